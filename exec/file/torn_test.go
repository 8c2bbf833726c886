package file

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A content that is cut at any byte changes nothing, and leaves nothing.
func TestCutContent(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		content := strings.Repeat("0123456789", 20_000)
		h.put(t, "file", "old")
		for range 5 {
			h.starve = 1 + rand.IntN(len(content)-1) //nolint:gosec // a test
			for _, o := range []WriteOptions{{}, {CreateOnly: true}} {
				name := "file"
				if o.CreateOnly {
					name = "new"
				}
				_, err := h.fs().Write(t.Context(), name, []byte(content), o)
				wantKind(t, err, Incomplete)
			}
			h.want(t, "file", "old")
			if _, err := os.Lstat(h.at("new")); err == nil {
				t.Errorf("a file was made of %d bytes", h.starve)
			}
			h.wantNoLitter(t)
		}
	})
}

// The shell and all that it runs are killed before and after each program
// that it starts. The file is the old one or the new one, and the next write
// removes what is left.
func TestKilledAtEveryStep(t *testing.T) {
	for _, how := range []string{"KILL", "TERM", "HUP"} {
		for _, when := range []string{"before", "after"} {
			t.Run(how+" "+when, func(t *testing.T) {
				t.Parallel()
				h := dashHost(t)
				bin, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
				for _, program := range append(posix(), "stat", "sha256sum", "readlink") {
					path := ""
					for _, dir := range filepath.SplitList(usualPath) {
						if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
							path = filepath.Join(dir, program)
						}
					}
					kill := `echo x >>"$COUNT"; n=$(/usr/bin/wc -l <"$COUNT"); end() { [ "$n" != "$STEP" ] || { echo hit >"$COUNT.hit"; kill -` + how + ` 0; }; }; `
					if when == "before" {
						script(t, bin, program, kill+"end; exec "+path+` "$@"`)
					} else {
						script(t, bin, program, kill+path+` "$@"; c=$?; end; exit $c`)
					}
				}
				for _, o := range []WriteOptions{{}, {IfMatch: sumOf("old")}, {CreateOnly: true}} {
					killedAtEveryStep(t, h, bin, count, o)
				}
			})
		}
	}
}

func killedAtEveryStep(t *testing.T, h *host, bin, count string, o WriteOptions) {
	t.Helper()
	for step := 1; ; step++ {
		old := "old"
		if o.CreateOnly {
			old = ""
			_ = os.Remove(h.at("file"))
		} else {
			h.put(t, "file", old)
		}
		_ = os.Remove(count)
		_ = os.Remove(count + ".hit")
		killed := *h
		killed.path, killed.env = bin, []string{"COUNT=" + count, fmt.Sprintf("STEP=%d", step)}
		_, err := killed.fs().Write(t.Context(), "file", []byte("new"), o)
		got, _ := os.ReadFile(h.at("file"))
		if string(got) != old && string(got) != "new" || err == nil && string(got) != "new" {
			t.Errorf("step %d: the file holds %q, the error is %v", step, got, err)
		}
		if _, missed := os.Stat(count + ".hit"); missed != nil {
			if err != nil || step < 4 {
				t.Errorf("%d steps, %v", step, err)
			}
			return
		}
		// mv may have done its work, and was then killed.
		if _, err := h.fs().Write(t.Context(), "file", []byte("newer"), WriteOptions{IfMatch: sumOf(string(got)), LockWait: time.Second}); err != nil {
			if _, there := os.Lstat(h.at("file")); there == nil {
				t.Errorf("step %d: the next write: %v", step, err)
			} else if _, err := h.fs().Write(t.Context(), "file", []byte("newer"), WriteOptions{}); err != nil {
				t.Errorf("step %d: the next write: %v", step, err)
			}
		}
		h.want(t, "file", "newer")
		h.wantNoLitter(t)
	}
}

// A full disk is told by the words of whichever tool meets it.
func TestNoSpace(t *testing.T) {
	h := dashHost(t)
	bin := t.TempDir()
	script(t, bin, "dd", `cat >/dev/null; echo "dd: error writing: No space left on device" >&2; exit 1`)
	h.path = bin + ":" + h.path
	h.put(t, "file", "old")
	_, err := h.fs().Write(t.Context(), "file", []byte("new"), WriteOptions{})
	wantKind(t, err, NoSpace)
	script(t, bin, "dd", "exit 1")
	script(t, bin, "cat", `echo "cat: write error: Disk quota exceeded" >&2; exit 1`)
	_, err = h.fs().Write(t.Context(), "file", []byte("new"), WriteOptions{})
	wantKind(t, err, NoSpace)
	h.want(t, "file", "old")
	h.wantNoLitter(t)
}
