package file

import (
	"context"
	_ "embed"
	"io/fs"

	"bivy/exec/frame"
)

//go:embed change.sh
var changeScript string

// MkdirOptions choose how a directory is made.
type MkdirOptions struct {
	// Parents makes those above too, and is content if it is there.
	Parents bool
	// Mode, when set, is its mode; otherwise the umask there decides.
	Mode *fs.FileMode
}

// Mkdir makes a directory, and reports whether there was none.
func (f *FS) Mkdir(ctx context.Context, path string, o MkdirOptions) (created bool, err error) {
	mode := ""
	if o.Mode != nil {
		mode = octal(*o.Mode)
	}
	known, err := f.change(ctx, "mkdir", []string{flag(o.Parents), mode, path}, path)
	return known["created"] == "1", err
}

// MoveOptions choose how something is renamed.
type MoveOptions struct {
	// Overwrite replaces a file that is there, in one step. A directory is
	// never replaced.
	Overwrite bool
}

// Move renames a file, a directory or a link itself. To is the new name also
// where it is a directory, which is then an error: nothing is moved into it.
// Onto or into itself nothing is moved either, which is Invalid.
// Without Overwrite, what appears at To at the very moment may be replaced.
// From one file system to another it is a copy and a removal.
func (f *FS) Move(ctx context.Context, from, to string, o MoveOptions) error {
	if from == "" || to == "" {
		return &Error{Host: f.Runner.Host(), Op: "mv", Path: from, Kind: Invalid}
	}
	_, err := f.change(ctx, "mv", []string{flag(o.Overwrite), from, to}, from)
	return err
}

// RemoveOptions choose what is removed.
type RemoveOptions struct {
	// Recursive removes directories with all that they hold.
	Recursive bool
	// MissingOK is content where a path is not there.
	MissingOK bool
	// Below refuses, as Outside, a path that leads out of Root by a symbolic
	// link alone: one that is relative and has no "..".
	Below bool
}

// Remove removes files, links (never what they lead to) and directories. All
// paths are looked at first; where one cannot be removed, for what was seen
// then, none is. It returns how many were. The root of all, the home
// directory, FS.Root and what holds one of them are refused as Protected.
func (f *FS) Remove(ctx context.Context, paths []string, o RemoveOptions) (removed int, err error) {
	if len(paths) == 0 {
		return 0, nil
	}
	if err := f.fewEnough("rm", paths); err != nil {
		return 0, err
	}
	for _, p := range paths {
		if p == "" {
			return 0, &Error{Host: f.Runner.Host(), Op: "rm", Path: p, Kind: Invalid}
		}
	}
	known, err := f.change(ctx, "rm", append([]string{flag(o.Recursive), flag(o.MissingOK), flag(o.Below)}, paths...), paths[0])
	if err != nil {
		return 0, err
	}
	n, ok := number(known["removed"])
	if !ok || n < 0 || n > int64(len(paths)) {
		return 0, f.odd("rm", "it does not say how many were removed")
	}
	return int(n), nil
}

// change runs a function of change.sh.
func (f *FS) change(ctx context.Context, op string, args []string, path string) (facts, error) {
	return f.call(ctx, Call{
		Op: op, Function: "bivy_" + op, Changes: true, Long: true, Args: args,
		Script: frame.Strip(lockScript) + frame.Strip(parentScript) + frame.Strip(changeScript),
	}, path, nil)
}
