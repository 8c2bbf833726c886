package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bivy/exec/proc"
	"bivy/internal/leak"
	"bivy/sshcmd"
)

// loop is a Runner with one shell for all calls, each of which gets a subshell.
// It is used by one goroutine.
type loop struct {
	*host
	dir    string
	lines  *os.File // what the shell is told
	said   *os.File // what it answers
	script string   // whose functions it has
}

// loop starts one on the host, which ends with the test.
func (h *host) loop(t testing.TB) *loop {
	t.Helper()
	l := &loop{host: h, dir: t.TempDir()}
	in, lines, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l.lines, l.said = lines, said
	p, err := proc.Start(context.WithoutCancel(t.Context()), proc.Spec{
		Args: append(slices.Clone(h.argv), "-c", `while read -r what; do
			case $what in
				functions) . ./functions ;;
				call) (. ./call) <./content ;;
			esac
		done`),
		Dir: l.dir, Stdin: in, Stdout: out,
		Env: []string{"HOME=" + h.home, "PATH=" + h.path, leak.Variable + "=" + os.Getenv(leak.Variable)},
	})
	if err := errors.Join(err, in.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = lines.Close()
		_, _ = p.Wait()
		_ = said.Close()
	})
	return l
}

// Run runs one call.
func (l *loop) Run(_ context.Context, c Call) (Ending, error) {
	files := map[string]string{"call": "set -- " + sshcmd.QuoteAll(c.Args) + "\n" + c.Function + ` "$@"` + "\n", "content": string(c.Stdin)}
	words := "call\n"
	if c.Script != l.script {
		files["functions"], l.script, words = c.Script, c.Script, "functions\ncall\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			return Ending{}, err
		}
	}
	if _, err := l.lines.WriteString(words); err != nil {
		return Ending{}, err
	}
	buf := make([]byte, 64<<10)
	for !c.Done() {
		n, err := l.said.Read(buf)
		if err != nil {
			return Ending{How: "ended"}, err
		}
		if _, err := c.Stdout.Write(buf[:n]); err != nil {
			return Ending{}, err
		}
	}
	return Ending{How: "answered"}, nil
}
