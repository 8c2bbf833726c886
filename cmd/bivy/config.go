package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"

	"bivy/internal/paths"
	"bivy/workspace"
)

// config gives defaults for flags from config.toml (docs/config.md). It is a
// kong resolver: kong asks it for each flag that the command line left out.
type config struct {
	file  string
	base  map[string]any
	whens []when
	// identity is the file of [secrets] identity; it is for no flag, and so
	// for no command line.
	identity string

	// place of this command, found once where a [[when]] asks for it.
	placed        bool
	host, project string
}

// when is one [[when]]: settings for some hosts, a project, or both.
type when struct {
	host, project string
	settings      map[string]any
}

// readConfig reads the user's configuration. The default file need not exist;
// one that was named must. Nothing is returned where there is none.
func readConfig(args []string) (*config, error) {
	file, named := configFile(args)
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, usagef("cannot read the configuration: %w", err)
	}
	c := &config{file: file, base: map[string]any{}}
	if err := toml.Unmarshal(data, &c.base); err != nil {
		return nil, usagef("%s is not valid TOML: %w", file, err)
	}
	if err := c.takeSecrets(); err != nil {
		return nil, err
	}
	return c, c.takeWhens()
}

// configFile finds --config before the command line is parsed: what it says
// decides how that is done.
func configFile(args []string) (file string, named bool) {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			return value, true
		}
		if arg == "--config" && i+1 < len(args) {
			return args[i+1], true
		}
		if arg == "--" {
			break
		}
	}
	if value := os.Getenv("BIVY_CONFIG"); value != "" {
		return value, true
	}
	p, err := paths.FromEnvironment()
	if err != nil {
		return "", false
	}
	return p.Config, false
}

// takeWhens moves the [[when]] tables out of the settings.
func (c *config) takeWhens() error {
	raw, ok := c.base["when"]
	if !ok {
		return nil
	}
	delete(c.base, "when")
	tables, ok := raw.([]map[string]any)
	if !ok {
		return usagef("%s: when is a list of tables; write [[when]]", c.file)
	}
	for _, table := range tables {
		w := when{settings: table}
		for key, into := range map[string]*string{"host": &w.host, "project": &w.project} {
			value, ok := table[key]
			if !ok {
				continue
			}
			if *into, ok = value.(string); !ok {
				return usagef("%s: %s in [[when]] is a pattern in quotes", c.file, key)
			}
			if _, err := path.Match(*into, ""); err != nil {
				return usagef("%s: %q is no pattern: %w", c.file, *into, err)
			}
			delete(table, key)
		}
		if w.host == "" && w.project == "" {
			return usagef("%s: a [[when]] needs a host or a project", c.file)
		}
		c.whens = append(c.whens, w)
	}
	return nil
}

func (c *config) settings() []map[string]any {
	var all []map[string]any
	for _, w := range c.whens {
		all = append(all, w.settings)
	}
	return all
}

// check refuses settings that are for nothing in the command tree.
func (c *config) check(tree *kong.Node) error {
	for _, settings := range append([]map[string]any{c.base}, c.settings()...) {
		if err := checkKeys(c.file, "", settings, tree); err != nil {
			return err
		}
	}
	return nil
}

// checkKeys refuses what is neither a flag nor a command: a mistyped key must
// not be ignored.
func checkKeys(file, prefix string, settings map[string]any, node *kong.Node) error {
	for key, value := range settings {
		if table, ok := value.(map[string]any); ok {
			if child := childNamed(node, key); child != nil {
				if err := checkKeys(file, prefix+key+".", table, child); err != nil {
					return err
				}
				continue
			}
		} else if slices.ContainsFunc(node.Flags, func(f *kong.Flag) bool { return f.Name == key }) {
			continue
		}
		return usagef("%s: %s%s is no flag of bivy and no command", file, prefix, key)
	}
	return nil
}

func childNamed(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// Validate is part of kong.Resolver; the keys were checked when they were read.
func (*config) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag, or nil. What the environment says wins.
func (c *config) Resolve(kctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	route := routeTo(parent)
	value := lookup(c.base, route, flag.Name)
	for _, w := range c.whens {
		if v := lookup(w.settings, route, flag.Name); v != nil && c.applies(w, kctx) {
			value = v
		}
	}
	return value, nil
}

// routeTo is the path of tables that a flag's command stands for.
func routeTo(p *kong.Path) []string {
	var route []string
	for node := p.Node(); node != nil && node.Type == kong.CommandNode; node = node.Parent {
		route = append([]string{node.Name}, route...)
	}
	return route
}

func lookup(settings map[string]any, route []string, name string) any {
	for _, step := range route {
		table, ok := settings[step].(map[string]any)
		if !ok {
			return nil
		}
		settings = table
	}
	return settings[name]
}

// applies reports whether a [[when]] is for the place of this command.
func (c *config) applies(w when, kctx *kong.Context) bool {
	if !c.placed {
		c.placed = true
		c.host, c.project = placeOf(kctx)
	}
	matches := func(pattern, name string) bool {
		if pattern == "" {
			return true
		}
		ok, err := path.Match(pattern, name)
		return ok && err == nil && name != ""
	}
	return matches(w.host, c.host) && matches(w.project, c.project)
}

// placeOf finds the host and the project of a command line: as flags, as the
// argument of a host command, or through the workspace that it names.
func placeOf(kctx *kong.Context) (host, project string) {
	dir, files := ".", ""
	for _, p := range kctx.Path {
		switch {
		case p.Flag != nil && p.Flag.Name == "host":
			host, _ = kctx.FlagValue(p.Flag).(string)
		case p.Flag != nil && p.Flag.Name == "project":
			dir, _ = kctx.FlagValue(p.Flag).(string)
		case p.Positional != nil && p.Positional.Name == "host":
			host = fmt.Sprint(kctx.Value(p))
		case p.Positional != nil && p.Positional.Name == "ws":
			if rec, ok := recordOf(fmt.Sprint(kctx.Value(p))); ok {
				return rec.Host, rec.Project
			}
		case p.Positional != nil && strings.Contains(p.Positional.Name, "ws:"):
			files, _, _ = strings.Cut(fmt.Sprint(kctx.Value(p)), ":")
		}
	}
	if host == "" && files != "" { // with --host the path is bare, and may hold a colon
		if rec, ok := recordOf(files); ok {
			return rec.Host, rec.Project
		}
	}
	return host, projectAt(dir)
}

func recordOf(ws string) (workspace.Record, bool) {
	ref, err := workspace.ParseRef(strings.Trim(ws, "[]"))
	if err != nil {
		return workspace.Record{}, false
	}
	p, err := paths.FromEnvironment()
	if err != nil {
		return workspace.Record{}, false
	}
	registry, err := workspace.OpenRegistry(p.State)
	if err != nil {
		return workspace.Record{}, false
	}
	rec, err := registry.Find(ref)
	return rec, err == nil
}

// projectAt is the name of the repository around a directory, found without
// starting git: this runs before every command.
func projectAt(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for ; ; abs = filepath.Dir(abs) {
		if _, err := os.Lstat(filepath.Join(abs, ".git")); err == nil {
			return filepath.Base(abs)
		}
		if abs == filepath.Dir(abs) {
			return ""
		}
	}
}
