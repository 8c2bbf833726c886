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

// packing is a pack on its way: r is what of it is to be sent.
type packing struct {
	r     *io.PipeReader
	stats archive.PackStats
	done  chan error
}

// startPacking packs into a pipe. A failure ends ctx by cancel: the host must
// not take a cut stream for a whole one. git would notice, and so the command is
// ended first. The caller calls end.
func startPacking(ctx context.Context, cancel context.CancelCauseFunc, snap *archive.Snapshot, have []archive.Have, progress func(archive.Progress)) *packing {
	r, w := io.Pipe()
	p := &packing{r: r, done: make(chan error, 1)}
	go func() {
		stats, err := snap.Pack(ctx, have, w, progress)
		if err != nil {
			cancel(err)
		}
		p.stats = stats
		p.done <- err
		_ = w.CloseWithError(err)
	}()
	return p
}

// end waits for the packing when the host has come to an end, with err, and
// says which of both errors tells why.
func (p *packing) end(ctx context.Context, err error) (archive.PackStats, error) {
	_ = p.r.CloseWithError(io.ErrClosedPipe)
	packErr := <-p.done
	switch {
	case err != nil && errors.Is(packErr, io.ErrClosedPipe):
		// The host stopped taking the pack; why, only it knows.
		return p.stats, err
	case packErr != nil && (err == nil || errors.Is(context.Cause(ctx), packErr)):
		return p.stats, packErr
	}
	return p.stats, err
}

// sendPack runs a script that takes a pack on stdin, W_pack=1, or W_pack=0
// where the host has all of it.
func sendPack(ctx context.Context, lease *mux.Lease, script string, vars []variable, rec Record, snap *archive.Snapshot,
	have []archive.Have, progress func(archive.Progress),
) (answer, archive.PackStats, error) {
	if snap.Known(have) {
		a, err := ask(ctx, lease, script, append(vars, variable{"W_pack", "0"}), rec.Dir, nil)
		return a, archive.PackStats{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := startPacking(ctx, cancel, snap, have, progress)
	// A pack that is whole by now goes along with the script.
	head := make([]byte, maxEarlyPack)
	n, err := io.ReadFull(p.r, head)
	var pack io.Reader = bytes.NewReader(head[:n])
	if err == nil {
		pack = io.MultiReader(pack, p.r)
	}
	var a answer
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		a, err = ask(ctx, lease, script, append(vars, variable{"W_pack", "1"}), rec.Dir, pack)
	}
	stats, err := p.end(ctx, err)
	return a, stats, err
}
