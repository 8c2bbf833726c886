package workspace

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"

	"bivy/exec"
	"bivy/exec/mux"
	"bivy/exec/proc"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
)

// The scripts that run on the host.
var (
	//go:embed host.sh
	hostScript string
	//go:embed look.sh
	lookScript string
	//go:embed create.sh
	createScript string
	//go:embed store.sh
	storeScript string
	//go:embed included.sh
	includedScript string
	//go:embed sync.sh
	syncText string
	//go:embed inspect.sh
	inspectScript string
	//go:embed remove.sh
	removeScript string
)

// maxAnswer bounds what a host may answer to one of our scripts, in bytes.
const maxAnswer = 4 << 20

// Trouble says what one of our scripts could not do on the host.
type Trouble struct {
	Host string
	// Kind is the script's word for it.
	Kind string
	// Line is the last thing that a tool said there, safe for a terminal.
	Line string
	// Path is the directory on the host that it was about.
	Path string
}

func (t *Trouble) Error() string {
	what := map[string]string{
		"no_git":     "has no git; install git there",
		"exists":     "has " + t.Path + " already, and not from this workspace; choose another name",
		"mkdir":      "does not let us make a directory in " + t.Path,
		"store":      "could not keep the project's store in " + t.Path,
		"pack":       "could not take the project's files",
		"incomplete": "did not get all of the project's files; try again",
		"norepo":     "has no git repository in " + t.Path + " any more",
		"format":     "has a repository in " + t.Path + " with ids of another kind than the project's (sha1, sha256)",
		"tree":       "could not take the files as they are in " + t.Path,
		"snapshot":   "has no longer the commit that was sent last to " + t.Path + ", so there is nothing to compare with",
		"send":       "could not send what it has in " + t.Path,
		"clone":      "could not make a repository of the project's store",
		"branch":     "could not make the branch",
		"checkout":   "could not check the files out",
		"rename":     "could not rename the finished directory to " + t.Path,
		"move":       "could not rename " + t.Path + ", which comes before removing it",
		"replaced":   "has something else at " + t.Path + " now; look at it and remove it by hand",
		"remove":     "could not remove all of " + t.Path,
		"gone":       "has no directory " + t.Path + " any more",
		"git_busy":   "has a git at work in " + t.Path + ", or one that was killed left .git/index.lock there",
		"worktree":   "could not make a work tree for the rebase",
		"keep":       "could not set the work in " + t.Path + " aside",
		"no_dir":     "has no directory " + t.Path,
		"odd_dir":    "has " + t.Path + " under a name with a newline, which bivy cannot remember",
		"no_repo":    "has no git repository in " + t.Path,
		"changes":    "could not take the changes in " + t.Path,
		"nested":     "has a git repository in " + t.Path + " that keeps its own elsewhere, which bivy cannot fork with its changes",
		"busy":       "is busy with " + t.Path + "; wait for its end and repeat",
		"lock":       "does not let us make a lock beside " + t.Path,
		"lock_lost":  "took so long with " + t.Path + " that it was taken for dead; look at it and repeat",
	}[t.Kind]
	if what == "" {
		what = "could not do its part (" + termsafe.Line(t.Kind, 40) + ")"
	}
	msg := t.Host + " " + what
	if t.Line != "" && t.Kind != "no_git" && t.Kind != "exists" && t.Kind != "replaced" {
		msg += ": " + t.Line
	}
	return msg
}

// Lacks reports whether the host lacks something: git, or space on its disk.
func (t *Trouble) Lacks() bool {
	return t.Kind == "no_git" || t.Full() ||
		// git before 2.29 knows no object format.
		strings.Contains(t.Line, "unknown option `object-format")
}

// Full reports whether the host's disk or quota is exhausted.
func (t *Trouble) Full() bool {
	return strings.Contains(t.Line, "No space left on device") || strings.Contains(t.Line, "uota exceeded") ||
		strings.Contains(t.Line, "File too large")
}

// answer is what a script printed: values by key, in order.
type answer map[string][]string

func (a answer) one(key string) string {
	if v := a[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// variable sets one shell variable of a script.
type variable struct{ name, value string }

// ask runs one of our scripts on the host and reads its answer. Stdin may be
// nil; a *bytes.Reader goes along with the script. The error is exec's for the
// command itself, *Trouble for what the script could not do.
func ask(ctx context.Context, lease *mux.Lease, script string, vars []variable, path string, stdin io.Reader) (answer, error) {
	return askHearing(ctx, lease, script, vars, path, stdin, &bounded{})
}

// converse is ask with a script that says "ready=1" when it has told what there
// is: reply is called with that, and what it returns goes to the script.
func converse(ctx context.Context, lease *mux.Lease, script string, vars []variable, path string, reply func(answer) io.Reader) (answer, error) {
	r, w := io.Pipe()
	said := make(chan answer, 1)
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case there := <-said:
			_, err := io.Copy(w, reply(there))
			_ = w.CloseWithError(err)
		case <-ended:
		}
	}()
	a, err := askHearing(ctx, lease, script, vars, path, r, &bounded{ready: said})
	_ = r.CloseWithError(io.ErrClosedPipe)
	close(ended)
	<-done
	return a, err
}

func askHearing(ctx context.Context, lease *mux.Lease, script string, vars []variable, path string, stdin io.Reader, out *bounded) (answer, error) {
	var words proc.Tail
	_, whole := stdin.(*bytes.Reader)
	receipt, err := exec.RunOn(ctx, lease, exec.Command{
		Script: scriptText(vars, script), Inline: true, Stdin: stdin, Early: whole, Stdout: out, Stderr: &words, Login: exec.LoginPath,
	})
	if err != nil {
		return nil, err
	}
	if out.over {
		return nil, fmt.Errorf("%s answered more than %d bytes to a question of ours", lease.Host(), maxAnswer)
	}
	a := parseAnswer(out.Bytes())
	if receipt.State == exec.Exited && receipt.Code == 0 {
		return a, nil
	}
	kind := a.one("trouble")
	if kind == "" {
		kind = string(receipt.State)
	}
	return a, &Trouble{Host: lease.Host(), Kind: kind, Line: troubleLine(words.String()), Path: termsafe.Line(path, 300)}
}

// scriptText is one of our scripts with its variables in front.
func scriptText(vars []variable, script string) string {
	var text strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&text, "%s=%s\n", v.name, sshcmd.Quote(v.value))
	}
	return text.String() + bare(hostScript+script)
}

// bare is a script without its comments and indentation, which are for its
// readers: they would cross with every call. A line that begins with # is a
// comment wherever it stands in our scripts.
func bare(script string) string {
	var text strings.Builder
	for line := range strings.Lines(script) {
		if line = strings.TrimLeft(line, " "); line != "\n" && !strings.HasPrefix(line, "#") {
			text.WriteString(line)
		}
	}
	return text.String()
}

func parseAnswer(out []byte) answer {
	a := answer{}
	for line := range bytes.Lines(out) {
		key, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
		if ok {
			a[key] = append(a[key], value)
		}
	}
	return a
}

// troubleLine picks the line that tells most: one about space, else the last.
func troubleLine(words string) string {
	lines := strings.Split(strings.TrimSpace(words), "\n")
	for _, line := range lines {
		if t := (&Trouble{Line: line}); t.Full() {
			return termsafe.Line(line, 300)
		}
	}
	return termsafe.Line(strings.TrimSpace(lines[len(lines)-1]), 300)
}

// bounded is a buffer that notes when more came than it takes. Where ready is
// set, it gets what came until a line says "ready=1".
type bounded struct {
	bytes.Buffer
	over  bool
	ready chan answer
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		b.over = true
		return len(p), nil
	}
	n, err := b.Buffer.Write(p)
	if b.ready != nil && bytes.HasSuffix(b.Bytes(), []byte("\nready=1\n")) {
		b.ready <- parseAnswer(b.Bytes())
		b.ready = nil
	}
	return n, err
}

// Target is the record's host as mux wants it.
func (r Record) Target() mux.Target {
	return mux.Target{
		Host: sshcmd.Host(r.Host),
		User: sshcmd.User{ConfigFile: r.SSHConfig, Options: r.SSHOptions},
	}
}
