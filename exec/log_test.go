package exec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/exec/frame"
	"bivy/integration/sshdtest"
)

// logs are the files that are kept below a home directory, with their content.
func logs(t testing.TB, home string) map[string]string {
	t.Helper()
	found := map[string]string{}
	files, err := filepath.Glob(filepath.Join(home, ".bivy/log/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Ext(file)] = string(data)
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v", file, info.Mode(), err)
		}
	}
	return found
}

// lines is output of so many bytes, in lines of 100.
func lines(n int) string {
	return strings.Repeat(strings.Repeat("x", 99)+"\n", n/100)
}

func TestLogIsKeptWhereOutputIsLong(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for name, o := range map[string]struct{ out, err int }{
		"nothing": {0, 0}, "short": {limit, limit}, "stdout": {limit + 100, 100}, "stderr": {0, limit + 100}, "both": {100_000, 120_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, sh shell) {
				home := t.TempDir()
				c := Command{Script: "printf %s \"$OUT\"; printf %s \"$ERR\" >&2; exit 3", Log: limit}
				c.Env = []EnvVar{{"OUT", lines(o.out)}, {"ERR", lines(o.err)}}
				r := sh.run(t, setup{home: home}, c)
				wantMarks(t, r, 3)
				if r.stdout != lines(o.out) || r.stderr != lines(o.err) {
					t.Errorf("%d and %d bytes arrived, want %d and %d", len(r.stdout), len(r.stderr), o.out, o.err)
				}
				want, kept := map[string]string{}, [2]int64{}
				if o.out > limit {
					want[".out"], kept[0] = lines(o.out), int64(o.out)
				}
				if o.err > limit {
					want[".err"], kept[1] = lines(o.err), int64(o.err)
				}
				got := logs(t, home)
				for _, ext := range []string{".out", ".err"} {
					if got[ext] != want[ext] {
						t.Errorf("%s holds %d bytes that end in %q, want %d", ext, len(got[ext]), got[ext][max(0, len(got[ext])-100):], len(want[ext]))
					}
				}
				if r.out.logged != kept || len(got) != len(want) {
					t.Errorf("the host says that it kept %v, and has %d files; want %v", r.out.logged, len(got), kept)
				}
			})
		})
	}
}

// The host's tee, dd, tail and wc may be busybox's.
func TestLogByBusyboxPrograms(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, entry := range sshdtest.BusyboxPrograms(t) {
		program, name, two := strings.Cut(entry, " ")
		if path := "/usr/bin/" + program; two {
			if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		for i, c := range []Command{
			{Script: "printf %s \"$OUT\"; exit 3", Log: 1000, Env: []EnvVar{{"OUT", lines(100_000)}}},
			{Script: "echo short; exit 3", Log: 1000},
		} {
			r := sh.run(t, setup{home: home, path: bin}, c)
			wantMarks(t, r, 3)
			if got := logs(t, home); len(got) != 1 || got[".out"] != lines(100_000) || i == 0 && r.out.logged[0] != 100_000 {
				t.Errorf("%d files, %d bytes, and %v is said", len(got), len(got[".out"]), r.out.logged)
			}
		}
	})
}

// wantMarks checks the marks of a command with a log that ran to its own end.
func wantMarks(t testing.TB, r result, code int) {
	t.Helper()
	for name, m := range map[string]marks{"stdout": r.out, "stderr": r.err} {
		if !m.started || !m.exited || m.code != code || m.ended {
			t.Errorf("marks on %s are %+v, want an exit with %d; stdout %.200q, stderr %.200q", name, m, code, r.stdout, r.stderr)
		}
	}
	if r.noise != "" || r.stderrNoise != "" {
		t.Errorf("noise before the start: %q, %q", r.noise, r.stderrNoise)
	}
}

// Any byte may be in the output, and what looks like the beginning of a mark.
func TestLogOfAnyBytes(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		var all []byte
		for range 100 {
			for b := range 256 {
				all = append(all, byte(b))
			}
			all = append(all, "\x1ebivy:0123 exit 0\x1e"...)
		}
		file := filepath.Join(t.TempDir(), "all")
		if err := os.WriteFile(file, all, 0o600); err != nil {
			t.Fatal(err)
		}
		r := sh.run(t, setup{home: home}, Command{Argv: []string{"cat", file}, Log: 1000})
		wantMarks(t, r, 0)
		if got := logs(t, home); got[".out"] != string(all) || r.stdout != string(all) || r.out.logged[0] != int64(len(all)) {
			t.Errorf("%d bytes were kept, %d arrived, %v is said; want %d", len(got[".out"]), len(r.stdout), r.out.logged, len(all))
		}
	})
}

func TestLogOfCommandsThatDoNotExit(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		long := lines(5000)
		r := sh.run(t, setup{home: home}, Command{Script: "printf %s \"$OUT\"; kill -9 $$", Log: 1000, Env: []EnvVar{{"OUT", long}}})
		wantMarks(t, r, 137)
		if got := logs(t, home); got[".out"] != long || !sh.mute && r.out.signal != 9 {
			t.Errorf("%d bytes were kept, the signal is %d", len(got[".out"]), r.out.signal)
		}
	})
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		s := sh.start(t, setup{home: home})
		c := Command{Script: "printf %s \"$OUT\"; echo ready; sleep 1000 & wait", Log: 1000, Env: []EnvVar{{"OUT", lines(5000)}}}
		s.feed(commandFrame(c, testID(), modeWatch))
		awaitText(t, &s.stdout, "ready")
		if _, err := s.stdin.WriteString(wordEnd); err != nil {
			t.Fatal(err)
		}
		r := s.wait()
		want := lines(5000) + "ready\n"
		if !r.out.ended || !r.out.exited || len(r.out.left) > 0 || r.stdout != want {
			t.Errorf("marks %+v, %d bytes", r.out, len(r.stdout))
		}
		if got := logs(t, home)[".out"]; got != want {
			t.Errorf("%d bytes were kept, want %d; they end in %q", len(got), len(want), got[max(0, len(got)-100):])
		}
		awaitGone(t, s.mark)
	})
}

// A command that left somebody behind who writes ends all the same.
func TestLogAndOneThatWritesOn(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		gate := filepath.Join(t.TempDir(), "gate")
		s := sh.start(t, setup{home: home})
		script := fmt.Sprintf("(while [ ! -e %s ]; do sleep 0.05; done; echo late) & printf %%s \"$OUT\"", gate)
		s.feed(commandFrame(Command{Script: script, Log: 1000, Env: []EnvVar{{"OUT", lines(5000)}}}, testID(), modeWatch))
		eventually(t, func() string { return "no exit mark" }, func() bool {
			m, _ := s.out.state()
			return m.exited
		})
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := s.wait()
		got := logs(t, home)[".out"]
		if !strings.HasPrefix(got, lines(5000)) || !strings.HasSuffix(got, "late\n") || r.stdout != lines(5000)+"late\n" {
			t.Errorf("%d bytes were kept, %d arrived, want the late word at the end of both", len(got), len(r.stdout))
		}
	})
}

// Where there is no place for a log the command runs as ever.
func TestNoPlaceForLog(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		if err := os.WriteFile(filepath.Join(home, ".bivy"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := sh.run(t, setup{home: home}, Command{Script: "printf %s \"$OUT\"; exit 4", Log: 1000, Env: []EnvVar{{"OUT", lines(5000)}}})
		wantMarks(t, r, 4)
		if r.stdout != lines(5000) || r.out.logged != [2]int64{} {
			t.Errorf("%d bytes arrived, and %v was kept", len(r.stdout), r.out.logged)
		}
	})
}

// A log that has become too large ends there, and the command goes on.
func TestLogThatIsFull(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		c := Command{Script: "printf %s \"$OUT\"; exit 5", Log: 1000, Env: []EnvVar{{"OUT", lines(100_000)}}}
		_, script, ok := bytes.Cut(commandFrame(c, testID(), modeWatch), []byte("\n"))
		if !ok || !bytes.Contains(script, []byte("ulimit -f 524288")) {
			t.Fatal("the frame sets no limit; this test is of no use any more")
		}
		s := sh.start(t, setup{home: home})
		s.feed(frame.Pack(string(bytes.ReplaceAll(script, []byte("ulimit -f 524288"), []byte("ulimit -f 16")))))
		r := s.wait()
		wantMarks(t, r, 5)
		got := logs(t, home)[".out"]
		if n := len(got); n < 8192 || n > 16384 || !strings.HasPrefix(lines(100_000), got) || r.out.logged[0] != int64(n) {
			t.Errorf("%d bytes were kept, and %v is said", n, r.out.logged)
		}
		if r.stdout != lines(100_000) {
			t.Errorf("%d bytes arrived", len(r.stdout))
		}
	})
}

// The receipt names the files, also of a command with stdin.
func TestReceiptOfLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sshdtest.Options{})
	for _, in := range []io.Reader{nil, strings.NewReader("in\n")} {
		began := 0
		r := w.run(Command{
			Script: "cat; printf %s \"$OUT\"; echo short >&2", Stdin: in, Log: 1000, Env: []EnvVar{{"OUT", lines(5000)}},
			Began: func() { began++ },
		})
		r.wantExited(t, 0)
		if r.StdoutLog.Bytes != r.StdoutBytes || r.StderrLog != (Log{}) || began != 1 {
			t.Errorf("%d bytes, logs %+v and %+v; it began %d times", r.StdoutBytes, r.StdoutLog, r.StderrLog, began)
		}
		read := w.run(Command{Script: "cat " + r.StdoutLog.Path + " && rm " + r.StdoutLog.Path})
		if read.stdout != r.stdout || read.stdout == "" {
			t.Errorf("%s holds %d bytes, want %d; %s", r.StdoutLog.Path, len(read.stdout), len(r.stdout), read.stderr)
		}
	}
	for _, c := range []Command{{Argv: []string{"true"}, Log: 1, Keep: true}, {Argv: []string{"true"}, Log: 1, TTY: &TTY{}}} {
		var wrong *CommandError
		if r := w.run(c); !errors.As(r.err, &wrong) {
			t.Errorf("a log with Keep or a terminal gives %v", r.err)
		}
	}
}

func TestOldLogsGo(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		dir := filepath.Join(home, ".bivy/log")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, age := range map[string]time.Duration{"old.out": 9 * 24 * time.Hour, "new.out": 24 * time.Hour} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
				t.Fatal(err)
			}
		}
		r := sh.run(t, setup{home: home}, Command{Script: "printf %s \"$OUT\"", Log: 1000, Env: []EnvVar{{"OUT", lines(5000)}}})
		wantMarks(t, r, 0)
		if exists(filepath.Join(dir, "old.out")) || !exists(filepath.Join(dir, "new.out")) {
			t.Error("the old log is there, or the new one is gone")
		}
	})
}
