package exec

import (
	"path/filepath"
	"testing"
)

// The host may have a dd without fullblock. A byte at a time works as well.
func TestBootWithoutFullblock(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	used := filepath.Join(t.TempDir(), "used")
	writeProgram(t, filepath.Join(bin, "dd"),
		`case "$*" in *iflag*) echo "dd: unknown operand" >&2; exit 1 ;; esac; : >`+used+`; PATH=/usr/bin:/bin exec dd "$@"`)
	eachShell(t, func(t *testing.T, sh shell) {
		s := sh.start(t, setup{path: bin})
		s.feedAll(commandFrame(Command{Argv: []string{"cat"}}, testID(), modeUser), []byte("\nthe user's\n"))
		r := s.wait()
		r.wantExit(t, 0)
		if r.stdout != "\nthe user's\n" || r.stderr != "" {
			t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
		}
	})
	t.Cleanup(func() {
		if !exists(used) {
			t.Error("the dd of this test was never asked")
		}
	})
}

// A frame that was cut does nothing at all, wherever it was cut.
func TestCutFrameRunsNothing(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, sh shell) {
		home := t.TempDir()
		canary := filepath.Join(home, "canary")
		whole := commandFrame(Command{
			Argv: []string{"touch", canary}, Env: []EnvVar{{"A", "b\nc d\n"}, {"X", "$(touch " + canary + ")\ntouch " + canary}},
		}, testID(), modeUser)
		cuts := []int{len(whole) - 2}
		for at := 0; at < len(whole)-2; at += 50 {
			cuts = append(cuts, at)
		}
		for _, at := range cuts {
			s := sh.start(t, setup{home: home})
			s.feedAll(whole[:at])
			r := s.wait()
			if r.out.started || r.err.started || r.out.failed != "" || r.out.exited {
				t.Errorf("cut at %d of %d: marks %+v, %+v", at, len(whole), r.out, r.err)
			}
			if r.exit.OK() {
				t.Errorf("cut at %d of %d: the shell says 0", at, len(whole))
			}
			if exists(canary) {
				t.Fatalf("cut at %d of %d: the command ran", at, len(whole))
			}
		}
		// The whole one does run, so the canary can be made.
		s := sh.start(t, setup{home: home})
		s.feedAll(whole)
		s.wait().wantExit(t, 0)
		if !exists(canary) {
			t.Error("the whole frame did not run the command")
		}
	})
}
