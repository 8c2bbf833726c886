package workspace

import (
	"bytes"
	"context"
	"errors"
	"io"

	"bivy/archive"
	"bivy/exec/mux"
)

// maxEarlyPack is the largest pack that is sent before the host's script has
// begun, which saves a round trip, in bytes.
const maxEarlyPack = 1 << 20

// sendPack runs a script that takes a pack on stdin, W_pack=1, or W_pack=0
// where the host has all of it.
func (w *Workspaces) sendPack(ctx context.Context, lease *mux.Lease, script string, vars []variable, rec Record, snap *archive.Snapshot,
	have []archive.Have, progress func(archive.Progress),
) (answer, archive.PackStats, error) {
	if snap.Known(have) {
		a, err := ask(ctx, lease, script, append(vars, variable{"W_pack", "0"}), rec.Dir, nil)
		return a, archive.PackStats{}, err
	}
	vars = append(vars, variable{"W_pack", "1"})
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, pw := io.Pipe()
	defer r.Close() //nolint:errcheck // never fails; it ends the writer
	var stats archive.PackStats
	packed := make(chan error, 1)
	go func() {
		var err error
		stats, err = snap.Pack(ctx, have, pw, progress)
		if err != nil {
			// The host must not take a cut stream for a whole one: git would
			// notice, and so the command is ended first.
			cancel(err)
		}
		packed <- err
		_ = pw.CloseWithError(err)
	}()
	// A pack that is whole by now goes along with the script.
	head := make([]byte, maxEarlyPack)
	n, err := io.ReadFull(r, head)
	var a answer
	switch {
	case err == nil:
		a, err = ask(ctx, lease, script, vars, rec.Dir, io.MultiReader(bytes.NewReader(head), r))
	case errors.Is(err, io.ErrUnexpectedEOF):
		a, err = ask(ctx, lease, script, vars, rec.Dir, bytes.NewReader(head[:n]))
	}
	_ = r.CloseWithError(io.ErrClosedPipe)
	packErr := <-packed
	switch {
	case err != nil && errors.Is(packErr, io.ErrClosedPipe):
		// The host stopped taking the pack; why, only it knows.
		return a, stats, err
	case packErr != nil && (err == nil || errors.Is(context.Cause(ctx), packErr)):
		return a, stats, packErr
	}
	return a, stats, err
}
