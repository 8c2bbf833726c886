package integration

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestCrowd has many more commands than the host takes sessions, and a host
// that throttles logins. integration/bench measures a larger one.
func TestCrowd(t *testing.T) {
	onSSHD(t, hostOptions{MaxSessions: 10, Extra: []string{"MaxStartups 10:30:100"}}, func(t *testing.T, w *world) {
		const commands, atOnce = 200, 32
		var work errgroup.Group
		work.SetLimit(atOnce)
		for i := range commands {
			work.Go(func() error {
				// Who waits long for a session says so; -q keeps that off stderr.
				b := w.start(w.spec("exec", "-q", "--host", "gpu1", "-c", fmt.Sprintf("echo %d; exit %d", i, i%50)))
				want := result{i % 50, fmt.Sprintf("%d\n", i), ""}
				if got := b.wait(); got != want {
					return fmt.Errorf("command %d of %d gives %v", i, commands, got)
				}
				return nil
			})
		}
		if err := work.Wait(); err != nil {
			t.Error(err)
		}
		if n := w.logins(); n < 1 || n > 2 {
			t.Errorf("%d logins, want at most 2", n)
		}
	})
}
