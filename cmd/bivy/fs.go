package main

import (
	"encoding/base64"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bivy/exec/file"
	"bivy/internal/termsafe"
)

// FsCmd groups what is done with files on a host.
type FsCmd struct {
	Read  FsReadCmd  `cmd:"" help:"Print a file, or a part of it."`
	Write FsWriteCmd `cmd:"" help:"Write stdin to a file, as a whole or not at all."`
	Edit  FsEditCmd  `cmd:"" help:"Replace text in a file, and print the difference."`
	Stat  FsStatCmd  `cmd:"" help:"Say what files are: type, mode, size, time."`
	Ls    FsLsCmd    `cmd:"" help:"List a directory."`
	Find  FsFindCmd  `cmd:"" help:"Find files by a glob for their path."`
	Grep  FsGrepCmd  `cmd:"" help:"Search files for a regular expression."`
	Mkdir FsMkdirCmd `cmd:"" help:"Make a directory."`
	Mv    FsMvCmd    `cmd:"" help:"Rename a file or a directory."`
	Rm    FsRmCmd    `cmd:"" help:"Remove files and directories."`
}

// Help is the long help.
func (*FsCmd) Help() string {
	return `A path is WS:PATH, relative to the workspace's directory, or with --host a bare
PATH, relative to --dir or the remote home; ~ in front is a home directory there.

  bivy fs read fix-1:src/main.go --lines 10:40
  bivy fs edit fix-1:src/main.go --old 'retries = 3' --new 'retries = 5'
  bivy fs write --host gpu1 notes/todo.txt <todo.txt
  bivy fs grep fix-1: 'TODO|FIXME' -C 2

Names with odd characters are shown in quotes, as "a\nb"; --json has them as they
are. A path that begins with "-" goes behind "--", text that does behind "=", as
in --old=-x. Exit codes: 82 it is not there, or exists already; 83 protected;
84 a precondition does not hold (bivy help exit-codes).`
}

// FilePlace takes a host in place of the workspaces that paths name.
type FilePlace struct {
	Host string `name:"host" placeholder:"HOST" help:"A host instead of a workspace; paths are then bare."`
	Dir  string `name:"dir" placeholder:"DIR" help:"With --host: the directory that paths are relative to; default: the home there."`
}

// open finds the files that arguments name: WS:PATH, all of one workspace, or
// paths on --host. It returns the paths alone.
func (p FilePlace) open(app *App, args ...string) (*file.FS, []string, error) {
	if p.Host == "" && p.Dir != "" {
		return nil, nil, usagef("--dir goes with --host; a path in a workspace is relative to its directory")
	}
	ws, paths, err := p.split(args)
	if err != nil {
		return nil, nil, err
	}
	at, err := app.resolve(Place{WS: ws, Host: p.Host, Dir: p.Dir})
	if err != nil {
		return nil, nil, err
	}
	if isTerminal(app.UI.Out) {
		app.hideSecrets(at)
	}
	masters, err := app.Masters()
	if err != nil {
		return nil, nil, err
	}
	return &file.FS{Runner: &file.Session{Masters: masters, Target: at.target}, Root: at.dir}, paths, nil
}

// split takes the workspace off the arguments.
func (p FilePlace) split(args []string) (ws string, paths []string, err error) {
	if p.Host != "" {
		return "", args, nil
	}
	for i, arg := range args {
		name, rest, ok := strings.Cut(arg, ":")
		switch {
		case !ok || name == "":
			return "", nil, usagef("%q names no workspace: write WS:PATH, or give --host HOST", arg)
		case i > 0 && name != ws:
			return "", nil, usagef("%s and %s are different workspaces; take one at a time", ws, name)
		}
		ws, paths = name, append(paths, rest)
	}
	return ws, paths, nil
}

// shown is a name as people see it: one that could deceive them, or take more
// than a line, stands in quotes. So does one that begins with a quote, so that
// no two names look the same.
func shown(name string) string {
	switch {
	case name == "":
		return "."
	case name[0] == '"' || termsafe.Line(name, len(name)) != name || name != strings.TrimSpace(name):
		return strconv.Quote(name)
	}
	return name
}

// named is a path for JSON; the directory itself has a name, too.
func named(p string) file.Name {
	if p == "" {
		p = "."
	}
	return file.NameOf(p)
}

// inText is content for JSON: as text, or in base64 where it is not UTF-8.
func inText(data []byte) (text *string, base *string) {
	if utf8.Valid(data) {
		s := string(data)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(data)
	return nil, &s
}

// fileFields are what is known of a file; what is not known is null.
type fileFields struct {
	file.Name
	Type       file.Type  `json:"type"`
	Size       int64      `json:"size"`
	Mode       *string    `json:"mode"`
	ModifiedAt *string    `json:"modified_at"`
	UID        *int64     `json:"uid"`
	GID        *int64     `json:"gid"`
	Links      *int64     `json:"links"`
	Target     *file.Name `json:"target,omitempty"`
}

func fieldsOfFile(i file.Info) fileFields {
	f := fileFields{Name: named(i.Path), Type: i.Type, Size: i.Size, UID: known(i.UID), GID: known(i.GID), Links: known(i.Links)}
	mode := octal(i.Mode)
	f.Mode = &mode
	if !i.ModTime.IsZero() {
		at := i.ModTime.UTC().Format(time.RFC3339)
		f.ModifiedAt = &at
	}
	if i.Type == file.Symlink {
		target := file.NameOf(i.Target)
		f.Target = &target
	}
	return f
}

// known is a number that -1 stands for the lack of.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// octal is a mode as chmod takes it.
func octal(mode fs.FileMode) string {
	bits := uint64(mode.Perm())
	for bit, value := range map[fs.FileMode]uint64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&bit != 0 {
			bits |= value
		}
	}
	return "0" + strconv.FormatUint(bits, 8)
}

// fileRow is a file as a line of a table.
func fileRow(i file.Info) string {
	when := "-"
	if !i.ModTime.IsZero() {
		when = i.ModTime.Local().Format(time.DateTime)
	}
	name := shown(i.Path)
	switch i.Type {
	case file.Dir:
		name = strings.TrimSuffix(name, "/") + "/"
	case file.Symlink:
		name += " -> " + shown(i.Target)
	case file.Regular, file.Other:
	}
	return string(i.Type) + "\t" + octal(i.Mode) + "\t" + strconv.FormatInt(i.Size, 10) + "\t" + when + "\t" + name
}

// within puts the path of what was searched in front of a path that was found.
func within(dir, found string) string {
	if dir == "" || dir == "." {
		return found
	}
	return path.Clean(dir) + "/" + found
}
