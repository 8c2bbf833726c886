package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"bivy/exec"
	"bivy/exec/file"
	"bivy/exec/frame"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/internal/termsafe"
)

const (
	// farewell is how long the host may take to clean up after the end of its
	// stdin before the session is ended in another way.
	farewell = 5 * time.Second
	// maxWords is how much of what the host's tools say is kept, in bytes.
	maxWords = 8 << 10
)

// dialog is one session in which our script does what it is told. While it
// lasts, what it has staged there is known to be somebody's.
type dialog struct {
	host, op, path string
	in             *io.PipeWriter
	answers        *answers
	words          *proc.Tail
	ended          chan struct{}
	end            context.CancelFunc
	hurry          <-chan struct{}
	early          facts // a sum that came unasked

	// Set when ended is closed.
	receipt exec.Receipt
	err     error
}

// talk starts the function of a script with arguments. The session goes on when
// the context ends: close ends it.
func (p *Place) talk(ctx context.Context, lease *mux.Lease, op, path, function, script string, hurry <-chan struct{}, args ...string) *dialog {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails (crypto/rand, Go 1.24)
	mark := "\x1e" + hex.EncodeToString(nonce[:]) + "\x1e"
	read, write := io.Pipe()
	d := &dialog{
		host: p.host(), op: op, path: path, in: write, answers: newAnswers(mark), words: &proc.Tail{Limit: maxWords},
		ended: make(chan struct{}), hurry: hurry,
	}
	call := file.Call{
		Function: function, Script: file.Shell() + frame.Strip(streamScript) + script,
		Args: append([]string{mark, p.Root, "0"}, args...),
	}
	ctx, d.end = context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.Command{Script: file.Text(call), Stdin: read, Stdout: d.answers, Stderr: d.words, Hurry: hurry}
	go func() {
		d.receipt, d.err = exec.RunOn(ctx, lease, cmd)
		_ = read.CloseWithError(errors.New("the session is over"))
		close(d.ended)
	}()
	return d
}

// say tells the script something.
func (d *dialog) say(format string, args ...any) {
	// An error is found out by who waits for the answer.
	_, _ = fmt.Fprintf(d.in, format+"\n", args...)
}

// answer waits for the next answer, whatever it is to. What the host reports as
// trouble is the error.
func (d *dialog) answer(ctx context.Context) (facts, error) {
	select {
	case known := <-d.answers.out:
		return d.take(ctx, known)
	case <-d.ended:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	select {
	case known := <-d.answers.out:
		return d.take(ctx, known)
	default:
		return nil, d.over()
	}
}

// wait waits for the answer to one question. A sum that comes before it is asked
// for is kept.
func (d *dialog) wait(ctx context.Context, is string) (facts, error) {
	if early := d.early; early != nil && is == "sum" {
		d.early = nil
		return early, nil
	}
	for {
		known, err := d.answer(ctx)
		if err != nil || known["is"] == is {
			return known, err
		}
		if known["is"] == "sum" {
			d.early = known
		}
	}
}

// failure is why the session ended, where nobody expected that.
func (d *dialog) failure(ctx context.Context) error {
	_, err := d.wait(ctx, "")
	return err
}

func (d *dialog) take(ctx context.Context, known facts) (facts, error) {
	kind := known["trouble"]
	if kind == "" {
		return known, nil
	}
	// Its tools' words are on another stream, which ends with the session.
	select {
	case <-d.ended:
	case <-ctx.Done():
	case <-time.After(farewell):
	}
	if kind == "lacks_tar" {
		return nil, &file.HostLacksError{Host: d.host, Op: d.op, Tool: "tar"}
	}
	return nil, file.Trouble(d.host, d.op, d.path, known, d.words.String())
}

// over is why the session ended though an answer was expected.
func (d *dialog) over() error {
	var odd *file.ProtocolError
	if errors.As(d.err, &odd) {
		return &file.ProtocolError{Host: d.host, Op: d.op, Why: odd.Why}
	}
	var output *exec.OutputError
	switch {
	case errors.As(d.err, &output):
		return output.Err // it is ours, and says all
	case d.err != nil:
		return d.err
	}
	return &file.ProtocolError{
		Host: d.host, Op: d.op, Why: fmt.Sprintf("it said nothing (the shell there %s)", d.receipt.State),
		Line: termsafe.Line(termsafe.LastLine(d.words.String()), 300),
	}
}

// close ends the session: the end of stdin makes the script remove what it has
// staged.
func (d *dialog) close(ctx context.Context) {
	defer d.end()
	_ = d.in.Close()
	late := time.NewTimer(farewell)
	defer late.Stop()
	hurry := d.hurry
	for {
		select {
		case <-d.ended:
			return
		case <-late.C:
			zerolog.Ctx(ctx).Debug().Str("host", d.host).Msg("the session does not end by itself")
			d.end()
			late.Reset(2 * farewell)
		case <-hurry:
			d.end()
			hurry = nil
		}
	}
}
