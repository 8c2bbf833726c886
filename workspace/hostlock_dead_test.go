package workspace

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Nobody waits for one that was killed, where /proc tells.
func TestHostLockOfTheDead(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		killed(t, sh, dir, v)
		wantTook(t, sh.run(t, takeScript, v, noWait))
		wantNoLocks(t, dir)
		// Neither where the successor dies as well.
		killed(t, sh, dir, v)
		if got := sh.run(t, takeScript+"kill -KILL $$\n", v, noWait); got.code != 137 {
			t.Errorf("the successor ends with %v", got)
		}
		wantTook(t, sh.run(t, takeScript, v, noWait))
		wantNoLocks(t, dir)
	})
}

// edit changes the owner's line of a lock: token, pid, birth, place.
func edit(t *testing.T, dir string, change func(fields []string)) {
	t.Helper()
	file := dir + "/.lock-ws/owner"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(first)
	if len(fields) != 4 {
		t.Fatalf("the owner's line is %q", first)
	}
	change(fields)
	if err := os.WriteFile(file, []byte(strings.Join(fields, " ")+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The number of a dead owner may be another process's by now.
func TestHostLockAndAReusedPID(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		killed(t, sh, dir, v)
		edit(t, dir, func(f []string) { f[1] = strconv.Itoa(os.Getpid()) })
		wantTook(t, sh.run(t, takeScript, v, noWait))
		wantNoLocks(t, dir)
	})
}

// A pid of another boot, host, space or user proves nothing: its heart counts.
func TestHostLockOfAnotherHost(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		killed(t, sh, dir, v)
		edit(t, dir, func(f []string) { f[3] = "elsewhere/" + f[3] })
		wantBusy(t, sh.run(t, takeScript, v, noWait), "bivy test")
		past := time.Now().Add(-250 * time.Second)
		if err := os.Chtimes(dir+"/.lock-ws/beat", past, past); err != nil {
			t.Fatal(err)
		}
		wantBusy(t, sh.run(t, takeScript, v, noWait), "bivy test")
		past = time.Now().Add(-310 * time.Second)
		if err := os.Chtimes(dir+"/.lock-ws/beat", past, past); err != nil {
			t.Fatal(err)
		}
		wantTook(t, sh.run(t, takeScript, v, noWait))
		wantNoLocks(t, dir)
	})
}

// One that was taken for dead sees it before it does harm, and leaves the lock
// to its successor.
func TestHostLockIsLost(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		s := sh.start(t, holdScript, v)
		eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
		edit(t, dir, func(f []string) { f[2] = "1" })
		if err := os.Rename(dir+"/held", dir+"/held1"); err != nil {
			t.Fatal(err)
		}
		successor := sh.start(t, strings.ReplaceAll(holdScript, "/go", "/go2"), v)
		eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
		if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.wait(); got.answer.one("trouble") != "lock_lost" {
			t.Errorf("the first ends with %v", got)
		}
		wantBusy(t, sh.run(t, takeScript, v, noWait), "bivy test")
		if err := os.WriteFile(dir+"/go2", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := successor.wait(); got.code != 0 {
			t.Errorf("the second ends with %v", got)
		}
		wantNoLocks(t, dir)
	})
}

// The heart beats, and stops within a beat of the holder's end.
func TestHostLockHeart(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		s := sh.start(t, holdScript, v, variable{"L_beat", "1"})
		eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(dir+"/.lock-ws/beat", past, past); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the heart beats", func() bool {
			info, err := os.Stat(dir + "/.lock-ws/beat")
			return err == nil && time.Since(info.ModTime()) < 10*time.Minute
		})
		if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := s.wait(); got.code != 0 {
			t.Errorf("the holder ends with %v", got)
		}
	})
}

// Without /proc the pid and ps prove what they can; without a name for the
// boot nothing does.
func TestHostLockWithoutProc(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		noProc := variable{"L_proc", dir}
		hold := func() *script {
			_ = os.Remove(dir + "/held")
			s := sh.start(t, holdScript, v, noProc, variable{"L_beat", "1"})
			eventually(t, "the lock is held", func() bool { return there(dir + "/held") })
			wantBusy(t, sh.run(t, takeScript, v, noProc, noWait), "bivy test")
			if err := s.process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			s.wait()
			return s
		}
		hold()
		wantBusy(t, sh.run(t, takeScript, v, noProc, noWait), "bivy test")
		if err := os.RemoveAll(dir + "/.lock-ws"); err != nil {
			t.Fatal(err)
		}
		bin := t.TempDir()
		if err := os.WriteFile(bin+"/sysctl", []byte("#!/bin/sh\necho 6A7D-11\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		sh.env = append(sh.env, "PATH="+bin+":/usr/local/bin:/usr/bin:/bin")
		hold()
		edit(t, dir, func(f []string) {
			if !strings.Contains(f[2], ":") || !strings.Contains(f[3], "/6A7D-11/") {
				t.Errorf("the birth is %q, the place %q", f[2], f[3])
			}
		})
		wantTook(t, sh.run(t, takeScript, v, noProc, noWait))
		hold()
		edit(t, dir, func(f []string) { f[1] = strconv.Itoa(os.Getppid()) })
		wantTook(t, sh.run(t, takeScript, v, noProc, noWait))
		wantNoLocks(t, dir)
	})
}

// What stands in the lock's place and cannot be read is nobody's to take, nor
// is it a reason to hang.
func TestHostLockThatCannotBeRead(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		dir, v := lockDir(t)
		lock := dir + "/.lock-ws"
		for name, make := range map[string]func() error{
			"a file":            func() error { return os.WriteFile(lock, []byte("x"), 0o600) },
			"a link":            func() error { return os.Symlink("nowhere", lock) },
			"no owner":          func() error { return os.MkdirAll(lock+"/beat", 0o700) },
			"an empty owner":    func() error { return os.MkdirAll(lock, 0o700) },
			"a FIFO":            func() error { return os.MkdirAll(lock, 0o700) },
			"an owner's dir":    func() error { return os.MkdirAll(lock+"/owner", 0o700) },
			"an owner's nobody": func() error { return os.MkdirAll(lock, 0o700) },
		} {
			if err := make(); err != nil {
				t.Fatal(err)
			}
			switch name {
			case "an empty owner":
				if err := os.WriteFile(lock+"/owner", nil, 0o600); err != nil {
					t.Fatal(err)
				}
			case "an owner's nobody":
				if err := os.WriteFile(lock+"/owner", []byte("../../x 1 2 3\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			case "a FIFO":
				if err := syscall.Mkfifo(lock+"/owner", 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := sh.run(t, takeScript, v, noWait); got.answer.one("trouble") != "busy" || !strings.Contains(got.stderr, "cannot be read") {
				t.Errorf("%s gives %v", name, got)
			}
			if err := os.RemoveAll(lock); err != nil {
				t.Fatal(err)
			}
		}
		// An empty one is no lock at all.
		if err := os.Mkdir(lock, 0o700); err != nil {
			t.Fatal(err)
		}
		wantTook(t, sh.run(t, takeScript, v, noWait))
		wantNoLocks(t, dir)
		// Nor is there one where nothing can be made. (To root, /proc is such a place.)
		got := sh.run(t, takeScript, variable{"W_dir", "/proc"}, noWait)
		if got.answer.one("trouble") != "lock" || got.stderr == "" {
			t.Errorf("a directory that takes nothing gives %v", got)
		}
	})
}
