package workspace

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
	"bivy/sshcmd"
)

// odd is a directory's name that shell and git have to quote.
const odd = `it's "an" odd:name \ $x`

// pullShells are those that may be a host's /bin/sh.
func pullShells(t *testing.T, test func(t *testing.T, shell []string)) {
	t.Helper()
	for _, shell := range [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "sh"}, {"mksh"}, {"zsh", "--emulate", "sh"}} {
		t.Run(strings.Join(shell, " "), func(t *testing.T) {
			t.Parallel()
			_, err := proc.Run(t.Context(), proc.Spec{Args: append(shell[:len(shell):len(shell)], "-c", ":")})
			var missing *proc.NotFoundError
			if errors.As(err, &missing) {
				// .ci/run installs all of them; a laptop tests those it has.
				t.Skipf("%s is not installed", shell[0])
			}
			test(t, shell)
		})
	}
}

// runScript runs a script of ours as a host would, and returns its answer and
// what comes after it.
func runScript(t *testing.T, shell []string, script string, vars ...variable) (answer, string) {
	t.Helper()
	var text strings.Builder
	for _, v := range vars {
		text.WriteString(v.name + "=" + sshcmd.Quote(v.value) + "\n")
	}
	text.WriteString(hostScript + treeScript + script)
	var out, said bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{
		Args: append(shell[:len(shell):len(shell)], "-c", text.String()), Stdout: &out, Stderr: &said,
		Env: append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"),
	})
	if err != nil || !exit.OK() || said.Len() > 0 {
		t.Fatalf("%v %v: %s%s", err, exit, said.String(), out.String())
	}
	head, body, _ := strings.Cut(out.String(), "\nbody\n")
	return parseAnswer([]byte(head)), body
}

func shellIn(t *testing.T, dir, script string) string {
	t.Helper()
	var out bytes.Buffer
	exit, err := proc.Run(t.Context(), proc.Spec{
		Args: []string{"sh", "-ec", script}, Dir: dir, Stdout: &out, Stderr: &out,
		Env: append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b",
			"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b", "GIT_AUTHOR_DATE=@1700000000 +0000", "GIT_COMMITTER_DATE=@1700000000 +0000"),
	})
	if err != nil || !exit.OK() {
		t.Fatalf("%v %v: %s", err, exit, out.String())
	}
	return strings.TrimSpace(out.String())
}

// oddWorkspace makes a repository with a bit of everything in it.
func oddWorkspace(t *testing.T, format string) (dir, snapshot string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), odd)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	snapshot = shellIn(t, dir, `git init -q -b ws --object-format=`+format+` . >&2
		echo 1 >a; echo b >'b "b'; git add .; git commit -q -m snapshot; git rev-parse HEAD`)
	shellIn(t, dir, `echo 2 >a; git commit -qam work; git branch feature/x; git checkout -q --detach; git commit -q --allow-empty -m left
		git checkout -q ws; echo more >>a; echo new >'odd	"name'; git init -q 'nes"ted'; git init -q plain; rm 'b "b'`)
	return dir, snapshot
}

func TestPullScript(t *testing.T) {
	pullShells(t, func(t *testing.T, shell []string) {
		for _, format := range []string{"sha1", "sha256"} {
			dir, snapshot := oddWorkspace(t, format)
			head := shellIn(t, dir, "git rev-parse ws")
			vars := []variable{{"W_dir", dir}, {"W_format", format}, {"W_have", snapshot}, {"W_sent", snapshot}, {"W_dirty", "1"}, {"W_most", "10"}}
			a, pack := runScript(t, shell, pullScript, vars...)
			if a.one("branch") != "ws" || strings.Join(a["tip"], ",") != head+" refs/heads/feature/x,"+head+" refs/heads/ws" || len(a["other"]) != 1 {
				t.Errorf("the answer is %q", a)
			}
			if strings.Join(a["nested"], ",") != `"nes\"ted",plain` {
				t.Errorf("nested %q", a["nested"])
			}
			to := t.TempDir()
			shellIn(t, to, "git init -q --bare --object-format="+format+" .; git --git-dir=. fetch -q "+sshcmd.Quote(dir)+" "+snapshot)
			if err := os.WriteFile(to+"/p", []byte(pack), 0o600); err != nil {
				t.Fatal(err)
			}
			got := shellIn(t, to, "git index-pack --stdin --strict --fix-thin <p >&2; git log --format=%an:%at:%s --name-status "+a.one("dirty")+" --not "+head)
			if _, got, _ = strings.Cut(got, "\n"); got != "bivy:1700000000:uncommitted work\n\nM\ta\nD\t\"b \\\"b\"\nA\t\"odd\\t\\\"name\"" {
				t.Errorf("uncommitted:\n%s", got)
			}
			// The same again, with all that came.
			vars[2].value = snapshot + " " + a.one("dirty") + " " + a.one("other")
			if b, pack := runScript(t, shell, pullScript, vars...); b.one("dirty") != a.one("dirty") || pack != "" && len(pack) > 600 {
				t.Errorf("again: %q and %d bytes", b, len(pack))
			}
			if left := shellIn(t, dir, "ls .git/bivy"); left != "" {
				t.Errorf("left: %q", left)
			}
		}
	})
}

func TestDiffScript(t *testing.T) {
	pullShells(t, func(t *testing.T, shell []string) {
		dir, snapshot := oddWorkspace(t, "sha1")
		// One that a crash has left goes, one that is at work stays.
		shellIn(t, dir, "mkdir -p .git/bivy/pull.4000000 .git/bivy/pull.1")
		vars := []variable{{"W_dir", dir}, {"W_format", "sha1"}, {"W_snapshot", snapshot}, {"W_stat", "0"}, {"W_color", "never"}}
		_, text := runScript(t, shell, diffScript, vars...)
		if !strings.HasPrefix(text, "diff --git a/a b/a\n") || !strings.Contains(text, "+more\n") || strings.Contains(text, "plain") {
			t.Errorf("the text is\n%s", text)
		}
		if left := shellIn(t, dir, "ls .git/bivy"); left != "pull.1" {
			t.Errorf("left: %q", left)
		}
		vars[3].value = "1"
		if _, text := runScript(t, shell, diffScript, vars...); !strings.Contains(text, "3 files changed") {
			t.Errorf("the summary is\n%s", text)
		}
	})
}
