package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// holdScript holds the lock "ws" until the file go is there.
const holdScript = `trap bivy_unlock EXIT
trap 'exit 1' HUP INT TERM
bivy_lock "$W_dir" ws
: >"$W_dir/held"
until [ -e "$W_dir/go" ]; do sleep 0.05; done
bivy_held || bivy_trouble lock_lost
`

const takeScript = `trap bivy_unlock EXIT
bivy_lock "$W_dir" ws
bivy_held || bivy_trouble lock_lost
echo took=1
`

// lockDir is a directory for locks, which must be empty of ours in the end.
func lockDir(t *testing.T) (string, variable) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "it's a root")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, variable{"W_dir", dir}
}

func wantNoLocks(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func wantTook(t *testing.T, got ran) {
	t.Helper()
	if got.code != 0 || got.answer.one("took") != "1" {
		t.Fatalf("the lock is not taken: %v", got)
	}
}

func wantBusy(t *testing.T, got ran, words string) {
	t.Helper()
	if got.code != 1 || got.answer.one("trouble") != "busy" || !strings.Contains(got.stderr, words) {
		t.Fatalf("%v; want trouble=busy and %q", got, words)
	}
}

var noWait = variable{"L_wait", "0"}

// Many shells increase a number, which takes several steps; none gets lost.
func TestHostLockExcludes(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		counter := filepath.Join(dir, "counter")
		if err := os.WriteFile(counter, []byte("0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		const shells, rounds = 20, 2
		var all []*script
		for range shells {
			all = append(all, sh.start(t, fmt.Sprintf(`trap bivy_unlock EXIT
for n in $(seq %d); do
  bivy_lock "$W_dir" ws
  read -r old <"$W_dir/counter"
  echo $((old + 1)) >"$W_dir/counter"
  bivy_unlock
done
`, rounds), v, variable{"L_wait", "6000"}))
		}
		for _, s := range all {
			if got := s.wait(); got.code != 0 || got.stderr != "" {
				t.Errorf("%v", got)
			}
		}
		if text, err := os.ReadFile(counter); err != nil || string(text) != fmt.Sprintln(shells*rounds) {
			t.Errorf("the counter holds %q, %v; want %d", text, err, shells*rounds)
		}
		wantNoLocks(t, dir)
	})
}

// Many shells find the lock of a dead owner, and increase a number all the same.
func TestHostLockHasOneSuccessor(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		killed(t, sh, dir, v)
		counter := filepath.Join(dir, "counter")
		if err := os.WriteFile(counter, []byte("0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var all []*script
		// Every third dies in the end, with the lock in its hands.
		for n := range 15 {
			all = append(all, sh.start(t, `trap bivy_unlock EXIT
bivy_lock "$W_dir" ws
read -r old <"$W_dir/counter"
echo $((old + 1)) >"$W_dir/counter"
[ "$W_die" != 0 ] || kill -KILL $$
`, v, variable{"L_wait", "6000"}, variable{"W_die", strconv.Itoa(n % 3)}))
		}
		for _, s := range all {
			if got := s.wait(); got.code != 0 && got.code != 137 || got.stderr != "" {
				t.Errorf("%v", got)
			}
		}
		if text, err := os.ReadFile(counter); err != nil || string(text) != "15\n" {
			t.Errorf("the counter holds %q, %v; want 15", text, err)
		}
		wantTook(t, sh.run(t, takeScript, v))
		wantNoLocks(t, dir)
	})
}

// killed leaves the lock of a process that was killed.
func killed(t *testing.T, sh shell, dir string, v variable) {
	t.Helper()
	_ = os.Remove(dir + "/held")
	s := sh.start(t, holdScript, v, variable{"L_beat", "1"})
	eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
	if err := s.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := s.wait(); got.code != 137 || !there(dir+"/.lock-ws/owner") {
		t.Fatalf("the holder ends with %v", got)
	}
}

func TestHostLockIsHeldAndLeft(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		sh.env = append(sh.env, "SSH_CONNECTION=192.0.2.7 4711 192.0.2.1 22")
		s := sh.start(t, holdScript, v, variable{"L_doing", "bivy sync"})
		eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
		got := sh.run(t, takeScript, v, noWait)
		wantBusy(t, got, fmt.Sprintf("bivy sync from 192.0.2.7, process %d on ", s.process.Pid()))
		// Several together are taken all or none, and another is free.
		wantBusy(t, sh.run(t, `trap bivy_unlock EXIT; bivy_lock "$W_dir" other ws`, v, noWait), "bivy sync")
		wantTook(t, sh.run(t, `trap bivy_unlock EXIT; bivy_lock "$W_dir" other third; bivy_held && echo took=1`, v, noWait))
		if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.wait(); got.code != 0 {
			t.Errorf("the holder ends with %v", got)
		}
		wantNoLocks(t, dir)
	})
}

// A signal ends the holder, and its lock and its heart with it.
func TestHostLockOfOneThatIsEnded(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		s := sh.start(t, holdScript, v)
		eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
		if err := s.process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if got := s.wait(); got.code != 1 {
			t.Errorf("the holder ends with %v", got)
		}
		wantNoLocks(t, dir)
	})
}
