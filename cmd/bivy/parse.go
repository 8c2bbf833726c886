package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// commander is a command that takes `-- CMD ARG…`.
type commander interface{ takesCommand() }

// parse splits the arguments at the first `--`: kong sees what stands before,
// and a command that runs something gets the rest word for word. For the
// others `--` only ends the flags, as everywhere. A nil context is no error:
// help or the version was asked for, and given.
func parse(cli *CLI, args []string) (*kong.Context, []string, error) {
	before, command := args, []string(nil)
	if i := slices.Index(args, "--"); i >= 0 {
		before, command = args[:i], append([]string{}, args[i+1:]...)
	}
	conf, err := readConfig(args)
	if err != nil {
		return nil, nil, err
	}
	answered := false
	options := append(options(), kong.Exit(func(int) { answered = true }))
	if conf == nil {
		kctx := parseNamed(cli, before, options)
		if answered {
			return nil, nil, nil
		}
		if kctx != nil && (command == nil || takesCommand(kctx, nil)) {
			return kctx, command, nil
		}
		*cli = CLI{}
	}
	parser, err := newParser(cli, conf, options)
	if err != nil {
		return nil, nil, err
	}
	if len(args) == 0 {
		before = []string{"--help"}
	}
	kctx, err := parser.Parse(before)
	if answered {
		return nil, nil, nil
	}
	if command != nil && !takesCommand(kctx, err) {
		kctx, err = parser.Parse(args)
		command = nil
	}
	if err != nil {
		return nil, nil, &usageError{err: err}
	}
	return kctx, command, nil
}

// parseNamed parses by a model of the one command that the arguments seem to
// name, since that of the whole tree takes four times as long to build. What it
// accepts means the same to the whole tree: the words before the command are
// the same flags there. It returns nil for all else, a mistake and the wish for
// help among it, and the whole tree has the word.
func parseNamed(cli *CLI, args []string, options []kong.Option) *kong.Context {
	i := slices.IndexFunc(args, func(arg string) bool { return commandNamed(cli, arg) != nil })
	if i < 0 {
		return nil
	}
	parser, err := kong.New(&cli.Globals, append(slices.Clone(options), commandNamed(cli, args[i]), kong.NoDefaultHelp())...)
	if err != nil {
		return nil
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		return nil
	}
	return kctx
}

// commandNamed returns the command of that name alone, or nil.
func commandNamed(cli *CLI, name string) kong.Option {
	tree := reflect.ValueOf(cli).Elem()
	for i := range tree.NumField() {
		field := tree.Type().Field(i)
		if _, ok := field.Tag.Lookup("cmd"); ok && strings.ToLower(field.Name) == name {
			return kong.DynamicCommand(name, field.Tag.Get("help"), "", tree.Field(i).Addr().Interface())
		}
	}
	return nil
}

func takesCommand(kctx *kong.Context, err error) bool {
	var failed *kong.ParseError
	if errors.As(err, &failed) {
		kctx = failed.Context
	}
	if kctx == nil || kctx.Selected() == nil {
		return false
	}
	_, ok := kctx.Selected().Target.Addr().Interface().(commander)
	return ok
}

func newParser(cli *CLI, conf *config, options []kong.Option) (*kong.Kong, error) {
	parser, err := kong.New(cli, options...)
	if err != nil {
		return nil, fmt.Errorf("build the command line: %w", err)
	}
	if conf == nil {
		return parser, nil
	}
	if err := conf.check(parser.Model.Node); err != nil {
		return nil, err
	}
	cli.Identity = conf.identity
	if err := kong.Resolvers(conf).Apply(parser); err != nil {
		return nil, fmt.Errorf("use the configuration: %w", err)
	}
	return parser, nil
}

func options() []kong.Option {
	return append(mappers(),
		kong.Name("bivy"),
		kong.Description("Working places on any machine that `ssh HOST` reaches."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"version": "bivy " + version},
	)
}
