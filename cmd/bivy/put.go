package main

import (
	"context"

	"github.com/alecthomas/kong"
)

// PutCmd is `bivy put`.
type PutCmd struct {
	Files words `arg:"" name:"file... ws:path" help:"What to send, and last where to."`
	More  words `arg:"" optional:"" hidden:"" name:"ws:path" help:"What stands behind a flag."`
	FilePlace
}

// words are arguments one after the other. kong lets nothing follow a list, and
// so no argument a flag that follows one.
type words struct{ list []string }

// Decode takes all up to the next flag.
func (w *words) Decode(ctx *kong.DecodeContext) error {
	for _, token := range ctx.Scan.PopWhile(kong.Token.IsValue) {
		w.list = append(w.list, token.String())
	}
	return nil
}

// String is the last of them, which may name a workspace.
func (w words) String() string {
	if len(w.list) == 0 {
		return ""
	}
	return w.list[len(w.list)-1]
}

// Help is the long help.
func (*PutCmd) Help() string {
	return `Sends files and directories. Each arrives as a whole or not at all: it is staged
beside its target, checked there by a hash, and renamed.

  bivy put model.bin fix-1:data/           into the directory data
  bivy put model.bin fix-1:data/v2.bin     under that name
  bivy put conf/ fix-1:etc                 as etc, or as etc/conf where etc is there
  bivy put conf/. fix-1:etc                what is in conf, into etc
  bivy put a.txt b.txt --host gpu1 notes   several files, into a directory

With --host the last is a bare PATH, relative to --dir or the remote home. A path
that is a directory, or ends in "/", means into it, and must be there.

A file that is replaced keeps its mode, and a link to it is followed. A new file
gets the mode of yours, less the umask there; setuid bits, owners and times stay
behind. A directory that is there keeps all that it has: files of the same name
are replaced one by one, a link among them by the file, and nothing is done where
a file would take the place of a directory. Links in a directory stay links;
devices, FIFOs and sockets are left out, and said.

One file goes by your scp over the shared connection, or as a plain stream where
that cannot be (-v says so); directories and several files go as one tar stream.
A file that changes meanwhile is an error. After ^C nothing of it is left there.

Exit codes: 82 not there; 81 denied, or a file in the way; 93 no space there, or no
tar; 94 the link was lost (bivy help exit-codes).`
}

// Run sends.
func (c *PutCmd) Run(ctx context.Context, app *App) error {
	all := append(c.Files.list, c.More.list...)
	if len(all) < 2 {
		return usagef("give at least one file, and last where it shall go: bivy put FILE WS:PATH")
	}
	sources, last := all[:len(all)-1], all[len(all)-1]
	for _, s := range sources {
		if s == "" {
			return usagef("a file's name is empty")
		}
	}
	place, path, err := c.transfer(app, last)
	if err != nil {
		return err
	}
	t := newTransferUI(app)
	done, err := place.Put(ctx, sources, path, t.options(app))
	t.end(app.UI)
	if err != nil {
		return err
	}
	return t.result(app.UI, "sent", done)
}
