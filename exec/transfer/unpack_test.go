package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// entry is one of an archive.
type entry struct {
	kind    byte
	name    string
	content string
	to      string
	mode    int64
	size    int64 // other than that of the content
}

// archived builds an archive, which may be one that no tar would write.
func archived(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		h := &tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.to, Mode: e.mode, Size: int64(len(e.content)), Format: tar.FormatGNU}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if e.mode == 0 {
			h.Mode = 0o644
		}
		if e.size != 0 {
			h.Size = e.size
		}
		var one bytes.Buffer
		w := tar.NewWriter(&one)
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		_, _ = io.WriteString(w, e.content)
		_ = w.Flush()
		b.Write(one.Bytes())
	}
	b.Write(make([]byte, endOfArchive))
	return b.Bytes()
}

// unpacked unpacks an archive into a directory that has a neighbour, which
// nothing may touch.
func unpacked(t *testing.T, archive []byte, change ...func(*unpacker)) (*world, *unpacker, []string, error) {
	t.Helper()
	w := &world{TB: t, near: t.TempDir()}
	w.write(w.near+"/outside/secret", "secret")
	w.must(os.Mkdir(w.near+"/in", 0o700))
	root, err := os.OpenRoot(w.near + "/in")
	w.must(err)
	defer root.Close() //nolint:errcheck // nothing is written by it
	var left []string
	u := &unpacker{
		root: root, umask: 0o022, maxEntries: 100, maxBytes: 1 << 20, tell: func() {},
		skipped: func(name, why string) { left = append(left, name+": "+why) },
	}
	for _, c := range change {
		c(u)
	}
	r := &receiving{Place: &Place{}, Options: Options{MaxFiles: u.maxEntries, MaxBytes: u.maxBytes}, path: "tree"}
	err = r.take(t.Context(), u, bytes.NewReader(archive))
	w.wantTree(w.near+"/outside", "secret")
	w.want(w.near+"/outside/secret", "secret")
	return w, u, left, err
}

// What a tree may hold comes as it is, without what only the host should have.
func TestUnpack(t *testing.T) {
	t.Parallel()
	w, u, left, err := unpacked(t, archived(t,
		entry{kind: tar.TypeDir, name: "./", mode: 0o755},
		entry{kind: tar.TypeDir, name: "./d/", mode: 0o2500},
		entry{name: "./d/f", content: "content", mode: 0o6777},
		entry{name: "deep/er/g", mode: 0o600},
		entry{kind: tar.TypeLink, name: "h/hard", to: "./d/f"},
		entry{kind: tar.TypeSymlink, name: "h/soft", to: "../d/./f"},
		entry{kind: tar.TypeSymlink, name: "none", to: "no/such"},
		entry{kind: tar.TypeDir, name: "d/", mode: 0o700},
	))
	if err != nil || u.files != 5 || u.bytes != 7 || len(left) != 0 {
		t.Fatalf("%v; %d files, %d bytes, left out: %q", err, u.files, u.bytes, left)
	}
	w.wantTree(w.near+"/in", "d/", "d/f", "deep/", "deep/er/", "deep/er/g", "h/", "h/hard", "h/soft -> ../d/./f", "none -> no/such")
	w.want(w.near+"/in/h/soft", "content")
	w.wantMode(w.near+"/in/d/f", 0o755)
	w.wantMode(w.near+"/in/deep/er/g", 0o600)
	w.wantMode(w.near+"/in/d", fs.ModeDir|0o700)
}

// What is left out is said, and the rest comes.
func TestUnpackLeavesOut(t *testing.T) {
	t.Parallel()
	for what, e := range map[string]entry{
		"a device":                        {kind: tar.TypeChar, name: "x"},
		"a disk":                          {kind: tar.TypeBlock, name: "x"},
		"a FIFO":                          {kind: tar.TypeFifo, name: "x"},
		"an absolute link":                {kind: tar.TypeSymlink, name: "x", to: "/etc/passwd"},
		"a link upwards":                  {kind: tar.TypeSymlink, name: "x", to: "../outside"},
		"a deep link upwards":             {kind: tar.TypeSymlink, name: "d/x", to: "../../outside/secret"},
		"a link that goes up on the way":  {kind: tar.TypeSymlink, name: "x", to: "d/../../outside"},
		"a link that goes up behind":      {kind: tar.TypeSymlink, name: "d/x", to: "e/.."},
		"a hard link to nothing":          {kind: tar.TypeLink, name: "x", to: "no"},
		"a hard link to a directory":      {kind: tar.TypeLink, name: "x", to: "d"},
		"a hard link to a link":           {kind: tar.TypeLink, name: "x", to: "link"},
		"a link to a path that is no one": {kind: tar.TypeSymlink, name: "x", to: strings.Repeat("a/", maxPath)},
	} {
		w, _, left, err := unpacked(t, archived(t, entry{kind: tar.TypeDir, name: "d/", mode: 0o755},
			entry{kind: tar.TypeSymlink, name: "link", to: "d"}, e, entry{name: "last"}))
		if err != nil || len(left) != 1 {
			t.Errorf("%s: %v, left out: %q", what, err, left)
		}
		w.wantTree(w.near+"/in", "d/", "last", "link -> d")
	}
}

// What no honest host sends is refused, and nothing outside is touched.
func TestUnpackHostile(t *testing.T) {
	t.Parallel()
	many := make([]entry, 101)
	for i := range many {
		many[i].name = fmt.Sprint("f", i)
	}
	whole := archived(t, entry{name: "a", content: "a"}, entry{name: "f", content: strings.Repeat("x", 5000)})
	for what, archive := range map[string][]byte{
		"up":                       archived(t, entry{name: "../outside/f"}),
		"up on the way":            archived(t, entry{name: "d/../../outside/f"}),
		"only up":                  archived(t, entry{kind: tar.TypeDir, name: ".."}),
		"absolute":                 archived(t, entry{name: "/tmp/bivy-hostile"}),
		"a file through a link":    archived(t, entry{kind: tar.TypeSymlink, name: "l", to: "d"}, entry{name: "l/f"}),
		"a link through a link":    archived(t, entry{kind: tar.TypeSymlink, name: "l", to: "d"}, entry{kind: tar.TypeSymlink, name: "l/m", to: "f"}),
		"a link, then a file":      archived(t, entry{kind: tar.TypeSymlink, name: "l", to: "d"}, entry{name: "l"}),
		"a file, then a link":      archived(t, entry{name: "l"}, entry{kind: tar.TypeSymlink, name: "l", to: "d"}),
		"a file twice":             archived(t, entry{name: "f", content: "1"}, entry{name: "f", content: "2"}),
		"below a file":             archived(t, entry{name: "f"}, entry{name: "f/g"}),
		"a directory over a file":  archived(t, entry{name: "f"}, entry{kind: tar.TypeDir, name: "f/"}),
		"a file over a directory":  archived(t, entry{kind: tar.TypeDir, name: "d/"}, entry{name: "d"}),
		"the tree as a file":       archived(t, entry{name: "."}),
		"the tree as a link":       archived(t, entry{kind: tar.TypeSymlink, name: ".", to: "d"}),
		"a hard link outside":      archived(t, entry{kind: tar.TypeLink, name: "h", to: "../outside/secret"}),
		"a hard link to /etc":      archived(t, entry{kind: tar.TypeLink, name: "h", to: "/etc/passwd"}),
		"too many":                 archived(t, many...),
		"too much":                 archived(t, entry{name: "f", content: strings.Repeat("x", 1<<20+1)}),
		"too much in all":          archived(t, entry{name: "f", content: strings.Repeat("x", 1<<19)}, entry{name: "g", content: strings.Repeat("x", 1<<19+1)}),
		"a size that is a lie":     archived(t, entry{name: "f", content: "x", size: 1 << 40}),
		"a size that is too large": archived(t, entry{name: "f", content: "x", size: 5000}),
		"a name of 100 KB":         archived(t, entry{name: strings.Repeat("n", 100<<10)}),
		"a path of 100 KB":         archived(t, entry{name: strings.Repeat("n/", 50<<10) + "f"}),
		"a kind of its own":        archived(t, entry{kind: 'Z', name: "f"}),
		"nothing at all":           nil,
		"text":                     []byte(strings.Repeat("this is no archive\n", 100)),
		"no end":                   append(whole[:len(whole):len(whole)], make([]byte, 2*maxFill)...),
		"cut in a header":          whole[:600],
		"cut in a content":         whole[:2000],
		"cut behind an entry":      whole[:1024],
		"cut behind all":           whole[:len(whole)-endOfArchive],
	} {
		_, _, _, err := unpacked(t, archive)
		var bad *ArchiveError
		var limit *LimitError
		if !errors.As(err, &bad) && !errors.As(err, &limit) {
			t.Errorf("%s: the error is %v (%T)", what, err, err)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
		}
	}
}

// Links that are kept cannot be put together to lead out.
func TestLinkChains(t *testing.T) {
	t.Parallel()
	w, _, left, err := unpacked(t, archived(t,
		entry{kind: tar.TypeDir, name: "p/q/"},
		entry{kind: tar.TypeSymlink, name: "p/q/up", to: ".."},
		entry{kind: tar.TypeSymlink, name: "p/q/top", to: "../.."},
		entry{kind: tar.TypeSymlink, name: "a", to: "p/q/up/../../.."},
		entry{kind: tar.TypeSymlink, name: "b", to: "p/q/top"},
		entry{kind: tar.TypeSymlink, name: "c", to: "b/.."},
		entry{kind: tar.TypeSymlink, name: "d", to: "b/b/b/outside"},
	))
	if err != nil || len(left) != 2 {
		t.Fatalf("%v, left out: %q", err, left)
	}
	w.wantTree(w.near+"/in", "p/", "p/q/", "p/q/up -> ..", "p/q/top -> ../..", "b -> p/q/top", "d -> b/b/b/outside")
	if _, err := os.Stat(w.near + "/in/d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the chain leads to something: %v", err)
	}
}

// A tree of links is bounded in memory, too.
func TestLinkText(t *testing.T) {
	t.Parallel()
	u := &unpacker{linkText: maxLinkText - 3}
	if err := u.keep("ab", "cd"); !errors.Is(err, errTooMuch) {
		t.Errorf("the error is %v", err)
	}
}
