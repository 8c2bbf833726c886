package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/internal/termsafe"
)

// CutError says that the link to a host went away while it was sending. Nothing
// was changed here.
type CutError struct {
	Host string
	// Err is what was seen of it.
	Err error
}

func (e *CutError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *CutError) Unwrap() error { return e.Err }

// inflow is the output of a script that answers in lines up to one that is
// "body", and then with a stream.
type inflow struct {
	head  []byte
	begin func(answer) (io.Writer, error)
	body  io.Writer
	host  string
	err   error
}

func (f *inflow) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.body != nil {
		var n int
		n, f.err = f.body.Write(p)
		return n, f.err
	}
	f.head = append(f.head, p...)
	rest, whole := f.cut()
	switch {
	case !whole && len(f.head) > maxAnswer:
		f.err = fmt.Errorf("%s answered more than %d bytes to a question of ours", f.host, maxAnswer)
	case whole:
		if f.body, f.err = f.begin(parseAnswer(f.head)); f.err == nil && len(rest) > 0 {
			_, f.err = f.body.Write(rest)
		}
	}
	return len(p), f.err
}

// cut looks for the line that ends the head, and cuts there.
func (f *inflow) cut() (rest []byte, whole bool) {
	const line = "body\n"
	if rest, whole = bytes.CutPrefix(f.head, []byte(line)); whole {
		f.head = nil
		return rest, true
	}
	before, rest, whole := bytes.Cut(f.head, []byte("\n"+line))
	if whole {
		f.head = append(before[:len(before):len(before)], '\n')
	}
	return rest, whole
}

// receive runs a script whose answer has a body: begin gets the answer's lines
// and says where the body goes. Its error, and the body's writer's, end the
// script and are returned; else errors are those of ask, or *CutError.
func receive(ctx context.Context, lease *mux.Lease, script string, vars []variable, path string, begin func(answer) (io.Writer, error)) error {
	out := &inflow{begin: begin, host: lease.Host()}
	var words proc.Tail
	receipt, err := exec.RunOn(ctx, lease, exec.Command{Script: scriptText(vars, treeScript+script), Stdout: out, Stderr: &words, Login: exec.LoginPath})
	var lost *exec.LostError
	var cut *exec.CutError
	switch {
	case out.err != nil && ctx.Err() == nil:
		return out.err
	case errors.As(err, &lost), errors.As(err, &cut):
		return &CutError{Host: lease.Host(), Err: err}
	case err != nil:
		return err
	case receipt.State == exec.Exited && receipt.Code == 0 && out.body != nil:
		return nil
	}
	kind := parseAnswer(out.head).one("trouble")
	if out.body != nil {
		kind = "send"
	}
	if kind == "" {
		kind = string(receipt.State)
	}
	return &Trouble{Host: lease.Host(), Kind: kind, Line: troubleLine(words.String()), Path: termsafe.Line(path, 300)}
}
