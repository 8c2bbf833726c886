package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"bivy/exec/proc"
)

// objectReader reads objects one by one, each when it is asked for, from one
// `git cat-file --batch`. It is not safe for concurrent use.
type objectReader struct {
	process *proc.Process
	ask     *os.File
	answers *os.File
	out     *bufio.Reader
	words   proc.Tail
}

// maxObject bounds a commit or a tree that is read, in bytes.
const maxObject = 256 << 20

func (r *Repo) newObjectReader(ctx context.Context) (*objectReader, error) {
	in, ask, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("read objects: %w", err)
	}
	defer in.Close() //nolint:errcheck // the child has it
	answers, out, err := os.Pipe()
	if err != nil {
		_ = ask.Close()
		return nil, fmt.Errorf("read objects: %w", err)
	}
	defer out.Close() //nolint:errcheck // the child has it
	o := &objectReader{ask: ask, answers: answers, out: bufio.NewReaderSize(answers, 64<<10)}
	o.process, err = proc.Start(ctx, proc.Spec{
		Args: slices.Concat([]string{"git"}, settings(), []string{"cat-file", "--batch"}),
		// Each answer is waited for.
		Dir: r.dir, Env: append(slices.Clone(r.env), "GIT_FLUSH=1"),
		Stdin: in, Stdout: out, Stderr: &o.words, Isolation: proc.Group,
	})
	if err != nil {
		_ = ask.Close()
		_ = answers.Close()
		return nil, err
	}
	return o, nil
}

// close ends git; its status tells nothing more than the answers did.
func (o *objectReader) close() {
	_ = o.ask.Close()
	_ = o.answers.Close()
	_, _ = o.process.Wait()
}

// read returns the content of an object of that kind, "commit" or "tree".
func (o *objectReader) read(id, kind string) ([]byte, error) {
	// git finds an object of another kind missing, of whatever size it is.
	if _, err := io.WriteString(o.ask, id+"^{"+kind+"}\n"); err != nil {
		return nil, o.failed(id, kind, err)
	}
	header, err := o.out.ReadString('\n')
	if err != nil {
		return nil, o.failed(id, kind, err)
	}
	words := strings.Fields(header)
	if len(words) != 3 || words[0] != id || words[1] != kind {
		return nil, &RefusedError{Why: fmt.Sprintf("there is no %s %s", kind, id)}
	}
	size, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil || size < 0 || size > maxObject {
		return nil, &RefusedError{Why: fmt.Sprintf("%s %s has %s bytes", kind, id, printable(words[2]))}
	}
	content := make([]byte, size+1)
	if _, err := io.ReadFull(o.out, content); err != nil {
		return nil, o.failed(id, kind, err)
	}
	return content[:size], nil
}

func (o *objectReader) failed(id, kind string, err error) error {
	if said := lastWord(o.words.String()); said != "" {
		return fmt.Errorf("read %s %s: git cat-file says: %s", kind, id, said)
	}
	return fmt.Errorf("read %s %s: %w", kind, id, err)
}

// list reads one directory; the paths of the entries are names.
func (o *objectReader) list(tree string) ([]entry, error) {
	if tree == "" {
		return nil, nil
	}
	content, err := o.read(tree, "tree")
	if err != nil {
		return nil, err
	}
	var entries []entry
	size := len(tree) / 2
	for len(content) > 0 {
		mode, rest, ok1 := bytes.Cut(content, []byte{' '})
		name, rest, ok2 := bytes.Cut(rest, []byte{0})
		if !ok1 || !ok2 || len(rest) < size {
			return nil, &RefusedError{Why: "tree " + tree + " is malformed"}
		}
		e := entry{mode: string(mode), kind: "blob", id: hex.EncodeToString(rest[:size]), path: string(name)}
		switch strings.TrimLeft(e.mode, "0") {
		case "40000":
			e.kind = "tree"
		case "160000":
			e.kind = "commit"
		}
		entries, content = append(entries, e), rest[size:]
	}
	return entries, nil
}
