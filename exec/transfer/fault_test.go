package transfer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bivy/exec/file"
	"bivy/integration/sshdtest"
)

// script makes a program.
func (w *world) script(path, text string) string {
	w.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return path
}

// faked is a host with programs of ours in front of its own.
func faked(t *testing.T, programs map[string]string) *world {
	t.Helper()
	bin := t.TempDir()
	w := start(t, sshdtest.Options{ForceCommand: "PATH=" + bin + ":$PATH; export PATH; exec sh -c \"$SSH_ORIGINAL_COMMAND\""})
	for name, text := range programs {
		w.script(bin+"/"+name, text)
	}
	return w
}

// Where scp cannot be used, a file goes as a stream, with the same result.
func TestFallback(t *testing.T) {
	t.Parallel()
	const noSFTP = `case $SSH_ORIGINAL_COMMAND in *sftp*|scp*) echo blocked >&2; exit 65 ;; *) exec sh -c "$SSH_ORIGINAL_COMMAND" ;; esac`
	const cut = `for last; do :; done; case $last in *bivy.invalid:*) ;; *) head -c 1000000 /dev/zero >"$last" ;; esac; echo cut >&2; exit 1`
	for what, test := range map[string]struct {
		force, scp string
		sessions   int
	}{
		"blocked":     {force: noSFTP},
		"absent":      {scp: "/nonexistent/scp"},
		"broken":      {scp: "exit 1"},
		"idle":        {scp: "exit 0"},
		"cut":         {scp: cut},
		"one session": {sessions: 1},
		"two":         {sessions: 2},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := start(t, sshdtest.Options{ForceCommand: test.force, MaxSessions: test.sessions})
			switch {
			case strings.HasPrefix(test.scp, "/"):
				w.SCP = []string{test.scp}
			case test.scp != "":
				w.SCP = []string{w.script(w.near+"/bin/scp", test.scp)}
			}
			content := noise(2 << 20)
			w.write(w.near+"/f", content)
			w.write(w.near+"/d/f", content)
			r, err := w.Put(t.Context(), []string{w.near + "/f"}, "f", Options{})
			if err != nil || r.Way != ByStream || r.SHA256 != sumOf(content) || r.Checked != bySHA256 {
				t.Errorf("put: %+v, %v", r, err)
			}
			w.want(w.far+"/f", content)
			r, err = w.Get(t.Context(), "f", w.near+"/back", Options{})
			if err != nil || r.Way != ByStream || r.SHA256 != sumOf(content) || r.Checked != bySHA256 {
				t.Errorf("get: %+v, %v", r, err)
			}
			w.want(w.near+"/back", content)
			if _, err := w.Put(t.Context(), []string{w.near + "/d"}, "d", Options{}); err != nil {
				t.Errorf("put of a tree: %v", err)
			}
			if _, err := w.Get(t.Context(), "d", w.near+"/e", Options{}); err != nil {
				t.Errorf("get of a tree: %v", err)
			}
			w.want(w.near+"/e/f", content)
		})
	}
}

// More transfers at a time than there are sessions do not stop each other.
func TestMany(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	content := noise(1 << 20)
	w.write(w.near+"/f", content)
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			name := fmt.Sprint("f", i)
			if _, err := w.Put(t.Context(), []string{w.near + "/f"}, name, Options{}); err != nil {
				t.Errorf("put %s: %v %#v", name, err, errors.Unwrap(err))
			}
			if _, err := w.Get(t.Context(), name, w.near+"/"+name, Options{}); err != nil {
				t.Errorf("get %s: %v", name, err)
			}
		})
	}
	all.Wait()
	for i := range 12 {
		w.want(w.near+"/"+fmt.Sprint("f", i), content)
	}
	if left := append(staged(w.near), staged(w.far)...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// A large content is hashed once on the host, while it is on its way. (The
// program for it is tried before, on nothing.)
func TestHashedOnce(t *testing.T) {
	t.Parallel()
	log := t.TempDir() + "/log"
	w := faked(t, map[string]string{"openssl": "echo run >>" + log + "; exec /usr/bin/openssl \"$@\""})
	w.write(w.near+"/f", noise(large))
	for _, scp := range [][]string{{"scp"}, nil} {
		w.SCP = scp
		w.write(log, "")
		if r, err := w.Put(t.Context(), []string{w.near + "/f"}, "f", Options{}); err != nil || r.Checked != bySHA256 {
			t.Errorf("put: %+v, %v", r, err)
		}
		w.want(log, "run\nrun\n")
		w.write(log, "")
		if r, err := w.Get(t.Context(), "f", w.near+"/g", Options{}); err != nil || r.Checked != bySHA256 {
			t.Errorf("get: %+v, %v", r, err)
		}
		w.want(log, "run\nrun\n")
	}
}

// A hash that is another one leaves the old file.
func TestWrongHash(t *testing.T) {
	t.Parallel()
	wrong := "cat >/dev/null; echo " + strings.Repeat("0", 64)
	w := faked(t, map[string]string{"sha256sum": wrong, "openssl": wrong})
	w.write(w.near+"/f", "new")
	w.write(w.near+"/d/f", "new")
	w.write(w.far+"/f", "old")
	for _, scp := range [][]string{{"scp"}, nil} {
		w.SCP = scp
		_, err := w.Put(t.Context(), []string{w.near + "/f"}, "f", Options{})
		w.wantKind(err, file.Incomplete)
		_, err = w.Put(t.Context(), []string{w.near + "/d"}, "d", Options{})
		w.wantKind(err, file.Incomplete)
		_, err = w.Get(t.Context(), "f", w.near+"/f", Options{})
		w.wantKind(err, file.Incomplete)
		_, err = w.Get(t.Context(), ".", w.near+"/new", Options{})
		w.wantKind(err, file.Incomplete)
	}
	w.wantTree(w.far, "f")
	w.want(w.far+"/f", "old")
	w.wantTree(w.near, "d/", "d/f", "f")
	w.want(w.near+"/f", "new")
}

// An scp that carries something else than the file is found out.
func TestLyingSCP(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	w.write(w.near+"/f", "new")
	w.write(w.near+"/other", "woe")
	w.write(w.far+"/f", "old")
	lie := `for last; do prev=$this; this=$last; done
case $last in
  *bivy.invalid:*) cp ` + w.near + `/other "${last#*:}" ;;
  *) cp ` + w.near + `/other "$last" ;;
esac`
	w.SCP = []string{w.script(w.near+"/bin/scp", lie)}
	_, err := w.Put(t.Context(), []string{w.near + "/f"}, "f", Options{})
	w.wantKind(err, file.Incomplete)
	_, err = w.Get(t.Context(), "f", w.near+"/f", Options{})
	w.wantKind(err, file.Incomplete)
	w.want(w.far+"/f", "old")
	w.want(w.near+"/f", "new")
}

// A file that changes on the way is an error, and what was there stays.
func TestChanged(t *testing.T) {
	t.Parallel()
	w := start(t, sshdtest.Options{})
	w.write(w.near+"/f", noise(1<<20))
	w.write(w.far+"/f", noise(1<<20))
	w.write(w.far+"/old", "old")
	for what, side := range map[string]string{"put": w.near, "get": w.far} {
		for _, change := range []string{">>", ">"} {
			w.SCP = []string{w.script(w.near+"/bin/scp", "scp \"$@\" || exit; echo x "+change+side+"/f")}
			var err error
			if what == "put" {
				_, err = w.Put(t.Context(), []string{w.near + "/f"}, "old", Options{})
			} else {
				w.write(w.near+"/old", "old")
				_, err = w.Get(t.Context(), "f", w.near+"/old", Options{})
				w.want(w.near+"/old", "old")
			}
			var changed *ChangedError
			if !errors.As(err, &changed) {
				t.Errorf("%s, %s: the error is %v (%T)", what, change, err, err)
			}
		}
	}
	w.want(w.far+"/old", "old")
}

// A tar that does not do what it should leaves nothing.
func TestOddTar(t *testing.T) {
	t.Parallel()
	hostile := t.TempDir() + "/hostile.tar"
	if err := os.WriteFile(hostile, archived(t, entry{name: "../outside", content: "x"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"fails":      "echo tar: no way >&2; exit 2",
		"fails late": "/usr/bin/tar \"$@\"; exit 1",
		"says ok":    "exit 0",
		"hostile":    "cat " + hostile,
		"endless":    "cat /dev/zero",
		"noise":      "cat /dev/urandom",
		"truncated":  "/usr/bin/tar \"$@\" | head -c 2000",
		"killed":     "kill -9 $$",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := faked(t, map[string]string{"tar": text})
			w.write(w.far+"/d/f", noise(100_000))
			if r, err := w.Get(t.Context(), "d", w.near+"/d", Options{}); err == nil {
				t.Errorf("get gives %+v", r)
			}
			w.wantTree(w.near)
			w.write(w.near+"/e/f", "f")
			if what == "fails" || what == "fails late" || what == "killed" {
				if r, err := w.Put(t.Context(), []string{w.near + "/e"}, "e", Options{}); err == nil {
					t.Errorf("put gives %+v", r)
				}
				w.wantTree(w.far, "d/", "d/f")
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		t.Parallel()
		programs := posixPrograms()
		for i, p := range programs {
			if p == "tar" {
				programs = append(programs[:i], programs[i+1:]...)
				break
			}
		}
		w := start(t, sshdtest.Options{Programs: programs})
		w.write(w.near+"/d/f", "f")
		w.must(os.Mkdir(w.far+"/d", 0o755))
		var lacks *file.HostLacksError
		if _, err := w.Put(t.Context(), []string{w.near + "/d"}, "e", Options{}); !errors.As(err, &lacks) {
			t.Errorf("put: %v", err)
		}
		if _, err := w.Get(t.Context(), "d", w.near+"/e", Options{}); !errors.As(err, &lacks) {
			t.Errorf("get: %v", err)
		}
	})
}
