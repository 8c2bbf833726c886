package main

import (
	"context"
)

// GetCmd is `bivy get`.
type GetCmd struct {
	Path  string `arg:"" name:"ws:path" help:"What to fetch: a file or a directory."`
	Local string `arg:"" name:"local" help:"Where to: what it shall be called, or a directory to put it in."`
	FilePlace
	MaxBytes int64 `name:"max-bytes" placeholder:"BYTES" help:"Take so much at most; default: 1 TiB."`
	MaxFiles int64 `name:"max-files" placeholder:"N" help:"Take so many files and directories at most; default: 1,000,000."`
}

// Help is the long help.
func (*GetCmd) Help() string {
	return `Fetches a file or a directory. It arrives as a whole or not at all: it is staged
beside its target, where only you can read it, checked by a hash, and renamed.

  bivy get fix-1:out/report.pdf .          into this directory
  bivy get fix-1:out results               as results, or as results/out where that is there
  bivy get fix-1:out/. results             what is in out, into results
  bivy get --host gpu1 /etc/hosts hosts.gpu1

A file that is replaced keeps its mode, and a link to it is followed. A new file
gets the mode that it has there, less your umask; setuid bits, owners and times
stay behind. A directory that is there keeps all that it has: files of the same
name are replaced one by one, a link among them by the file, and nothing is done
where a file would take the place of a directory.

The host is not trusted: nothing is written but what was named. Devices, FIFOs,
and links that lead out of the directory (an absolute one, say) are left out, and
said. Names that try to lead out, an archive that is damaged, and more than
--max-bytes or --max-files are errors, after which nothing is there.

One file goes by your scp over the shared connection, or as a plain stream where
that cannot be (-v says so); a directory goes as a tar stream. A file that changes
meanwhile is an error.`
}

// Run fetches.
func (c *GetCmd) Run(ctx context.Context, app *App) error {
	switch {
	case c.MaxBytes < 0:
		return usagef("--max-bytes is %d, which is no number of bytes", c.MaxBytes)
	case c.MaxFiles < 0:
		return usagef("--max-files is %d, which is no number of files", c.MaxFiles)
	case c.Local == "":
		return usagef("the name to be written is empty")
	}
	place, path, err := c.transfer(app, c.Path)
	if err != nil {
		return err
	}
	if path == "" {
		path = "."
	}
	t := newTransferUI(app)
	o := t.options(app)
	o.MaxBytes, o.MaxFiles = c.MaxBytes, c.MaxFiles
	done, err := place.Get(ctx, path, c.Local, o)
	t.end(app.UI)
	if err != nil {
		return err
	}
	return t.result(app.UI, "fetched", done)
}
