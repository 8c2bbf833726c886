package archive_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // git's checksum of a pack
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/archive"
)

// refuses plays a hostile host: whatever it does ends in that error and leaves
// no trace in the project.
func (c *camp) refuses(t *testing.T, tips []archive.Tip, pack string, limit int64, want any) {
	t.Helper()
	before := hashes(t, c.project)
	in := c.intake()
	plan, err := c.give(in, tips, pack, limit)
	if err == nil {
		t.Errorf("taken: %+v", plan)
	} else if !errors.As(err, want) {
		t.Errorf("the error is %v (%T), want a %T", err, err, want)
	} else {
		t.Log(err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, hashes(t, c.project)); diff != "" {
		t.Errorf("the project changed:\n%s", diff)
	}
}

// object is one of a pack: its number (1 a commit, 2 a tree, 3 a blob), the
// size that it claims, and its content; base is set for a delta.
type object struct {
	number  byte
	size    int
	content []byte
	base    string
}

// rawPack writes a pack that git itself would not.
func rawPack(objects ...object) string {
	var b bytes.Buffer
	b.WriteString("PACK\x00\x00\x00\x02")
	_ = binary.Write(&b, binary.BigEndian, int32(len(objects))) //nolint:gosec // a few
	for _, o := range objects {
		size := o.size
		if size == 0 {
			size = len(o.content)
		}
		c := o.number<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			b.WriteByte(c | 0x80)
			c = byte(size & 0x7f)
		}
		b.WriteByte(c)
		if o.base != "" {
			id, _ := hex.DecodeString(o.base)
			b.Write(id)
		}
		z := zlib.NewWriter(&b)
		_, _ = z.Write(o.content)
		_ = z.Close()
	}
	sum := sha1.Sum(b.Bytes()) //nolint:gosec // git's checksum of a pack
	return b.String() + string(sum[:])
}

func idOf(kind string, content []byte) string {
	sum := sha1.Sum(append([]byte(fmt.Sprintf("%s %d\x00", kind, len(content))), content...)) //nolint:gosec // git's ids
	return hex.EncodeToString(sum[:])
}

// commitOf is a commit on the camp's snapshot with that tree.
func (c *camp) commitOf(tree string) []byte {
	return []byte("tree " + tree + "\nparent " + c.origins[0].Snapshot + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n")
}

// item is an entry of a tree.
func item(mode, name, id string) []byte {
	raw, _ := hex.DecodeString(id)
	return append([]byte(mode+" "+name+"\x00"), raw...)
}

func TestHostileTrees(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	blob := []byte("[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=touch owned\n")
	blobID := idOf("blob", blob)
	sub := item("100644", "f", blobID)
	for name, tree := range map[string][]byte{
		"git":               item("40000", ".git", idOf("tree", sub)),
		"upper case":        item("40000", ".GIT", idOf("tree", sub)),
		"short name":        item("40000", "git~1", idOf("tree", sub)),
		"ignorable":         item("40000", ".g\u200cit", idOf("tree", sub)),
		"stream":            item("40000", ".git::$INDEX_ALLOCATION", idOf("tree", sub)),
		"backslash":         item("100644", "x\\.git\\config", blobID),
		"trailing dot":      item("40000", ".git. ", idOf("tree", sub)),
		"dots":              item("40000", "..", idOf("tree", sub)),
		"dot":               item("40000", ".", idOf("tree", sub)),
		"slash":             item("100644", "../../x", blobID),
		"empty name":        item("100644", "", blobID),
		"twice":             append(item("100644", "a", blobID), item("100644", "a", blobID)...),
		"disordered":        append(item("100644", "b", blobID), item("100644", "a", blobID)...),
		"file and tree":     append(item("100644", "a", blobID), item("40000", "a", idOf("tree", sub))...),
		"linked modules":    item("120000", ".gitmodules", blobID),
		"linked GITMODULES": item("120000", ".GITMODULES", blobID),
		"linked gitmod~1":   item("120000", "gitmod~1", blobID),
		"bad modules":       item("100644", ".gitmodules", blobID),
		"zero id":           item("100644", "z", strings.Repeat("0", 40)),
		"odd mode":          item("100999", "z", blobID),
		"not there":         item("100644", "z", strings.Repeat("1", 40)),
		"blob as tree":      item("40000", "z", blobID),
		"tree as blob":      item("100644", "z", idOf("tree", sub)),
		"cut short":         item("100644", "z", blobID[:30]),
	} {
		t.Run(name, func(t *testing.T) {
			commit := c.commitOf(idOf("tree", tree))
			pack := rawPack(object{number: 1, content: commit}, object{number: 2, content: tree}, object{number: 2, content: sub}, object{number: 3, content: blob})
			var want *archive.RefusedError
			c.refuses(t, []archive.Tip{{Name: "ws", Commit: idOf("commit", commit)}}, pack, megabyte, &want)
		})
	}
}

func TestHostilePacks(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	id := c.work("b", noise(20_000))
	tips := c.tips()
	pack := c.pack(tips, []string{c.origins[0].Snapshot})
	tree := item("100644", "b", idOf("blob", []byte("x")))
	huge := append([]byte{0x80, 0x80, 0x04}, 0x80, 0x80, 0x80, 0x80, 0x10) // from 64 KiB make 4 GiB
	huge = append(huge, bytes.Repeat([]byte{0x80}, 65536)...)
	zeros := make([]byte, 65536)
	commit := c.commitOf(idOf("tree", tree))
	tip := []archive.Tip{{Name: "ws", Commit: idOf("commit", commit)}}
	for name, p := range map[string]string{
		"no pack":           "hello, there is no pack here",
		"cut":               pack[:len(pack)/2],
		"cut in header":     pack[:7],
		"a bit flipped":     pack[:5000] + string(pack[5000]^1) + pack[5001:],
		"wrong checksum":    pack[:len(pack)-1] + string(pack[len(pack)-1]^1),
		"a line behind":     pack + "garbage\n",
		"much behind":       pack + noise(300_000),
		"two packs":         pack + pack,
		"count too high":    pack[:8] + "\xff\xff\xff\xff" + pack[12:],
		"count too low":     pack[:8] + "\x00\x00\x00\x01" + pack[12:],
		"another version":   pack[:7] + "\x09" + pack[8:],
		"nothing in it":     rawPack(),
		"huge delta":        rawPack(object{number: 3, content: zeros}, object{number: 7, base: idOf("blob", zeros), content: huge}),
		"delta of nothing":  rawPack(object{number: 7, base: strings.Repeat("1", 40), content: huge}),
		"lying size":        rawPack(object{number: 3, size: 1 << 40, content: []byte("x")}),
		"size too low":      rawPack(object{number: 3, size: 1, content: []byte("xyz")}),
		"an odd kind":       rawPack(object{number: 5, content: []byte("x")}),
		"malformed commit":  rawPack(object{number: 1, content: []byte("tree nothing\n\n")}),
		"not the objects":   rawPack(object{number: 3, content: []byte("x")}),
		"a tree is missing": rawPack(object{number: 1, content: commit}),
		"a blob is missing": rawPack(object{number: 1, content: commit}, object{number: 2, content: tree}),
	} {
		t.Run(name, func(t *testing.T) {
			var want *archive.RefusedError
			c.refuses(t, append(tips, archive.Tip{Name: "more", Commit: tip[0].Commit}), p, megabyte, &want)
		})
	}
	t.Run("a parent is missing", func(t *testing.T) {
		orphan := bytes.ReplaceAll(commit, []byte(c.origins[0].Snapshot), []byte(strings.Repeat("1", 40)))
		var want *archive.RefusedError
		c.refuses(t, []archive.Tip{{Name: "ws", Commit: idOf("commit", orphan)}},
			rawPack(object{number: 1, content: orphan}, object{number: 2, content: tree}, object{number: 3, content: []byte("x")}), megabyte, &want)
	})
	t.Run("too much", func(t *testing.T) {
		var want *archive.TooLargeError
		c.refuses(t, tips, pack, int64(len(pack)-1), &want)
	})
	t.Run("too much once unpacked", func(t *testing.T) {
		var want *archive.TooLargeError
		c.refuses(t, tips, rawPack(object{number: 3, content: make([]byte, 2*megabyte)}), megabyte, &want)
	})
	t.Run("a blob for a tip", func(t *testing.T) {
		var want *archive.RefusedError
		c.refuses(t, []archive.Tip{{Name: "ws", Commit: c.on("rev-parse", id+":b")}}, pack, megabyte, &want)
	})
	t.Run("a tag for a tip", func(t *testing.T) {
		c.on("tag", "-a", "-m", "t", "t", id)
		var want *archive.RefusedError
		tag := archive.Tip{Name: "ws", Commit: c.on("rev-parse", "t")}
		c.refuses(t, []archive.Tip{tag}, c.pack([]archive.Tip{tag}, []string{c.origins[0].Snapshot}), megabyte, &want)
	})
	// The honest pack is taken after all that.
	if plan, _ := c.pull(); plan[0].Commit != id {
		t.Errorf("landing %+v", plan[0])
	}
}

func TestHostileNames(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	id := c.work("b", "1\n")
	var want *archive.RefusedError
	for _, name := range []string{
		"", "../heads/main", "..", "/heads/main", "a//b", "a/", ".hidden", "a/.b", "a.lock", "a.lock/b", "a..b", "a@{b", "a b", "a\tb", "a\nb",
		"a\x00b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a.", "a\x7f", "a\u009bb", "a\xff", strings.Repeat("x", 300), strings.Repeat("x/", 600) + "x",
	} {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			c.refuses(t, []archive.Tip{{Name: name, Commit: id}}, "", megabyte, &want)
		})
	}
	for _, id := range []string{"", "HEAD", "main", id[:39], id + "0", strings.ToUpper(id), "--all", "^" + id[1:], id + "\n"} {
		t.Run(fmt.Sprintf("%.20q", id), func(t *testing.T) {
			c.refuses(t, []archive.Tip{{Name: "ws", Commit: id}}, "", megabyte, &want)
		})
	}
	t.Run("twice", func(t *testing.T) {
		c.refuses(t, []archive.Tip{{Name: "x", Commit: id}, {Name: "x", Commit: id}}, "", megabyte, &want)
	})
	t.Run("file and directory", func(t *testing.T) {
		c.refuses(t, []archive.Tip{{Name: "x/y/z", Commit: id}, {Name: "x", Commit: id}}, "", megabyte, &want)
	})
	t.Run("too many", func(t *testing.T) {
		var tips []archive.Tip
		for i := range 1001 {
			tips = append(tips, archive.Tip{Name: fmt.Sprint(i), Commit: id})
		}
		c.refuses(t, tips, "", megabyte, &want)
	})
	// Names that look like more than they are stay below the prefix.
	in := c.intake()
	var tips []archive.Tip
	for _, name := range []string{"refs/heads/main", "heads/main", "-x", "HEAD", "+x", "a{b", "ä"} {
		tips = append(tips, archive.Tip{Name: name, Commit: id})
	}
	head := c.here("rev-parse", "main")
	plan, err := c.give(in, tips, c.pack(tips, in.Have()), megabyte)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Land(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(c.here("for-each-ref", "--format=%(refname)")) {
		if name := strings.TrimSpace(line); name != "refs/heads/main" && !strings.HasPrefix(name, "refs/bivy/ws/") {
			t.Errorf("a ref elsewhere: %q", name)
		}
	}
	if got := c.here("rev-parse", "main"); got != head {
		t.Errorf("main moved to %s", got)
	}
}

// TestTreeBomb: few objects that stand for more files than a disk holds.
func TestTreeBomb(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	for _, bomb := range []struct{ wide, deep int }{{10, 10}, {1, 1100}} {
		objects := []object{{number: 3, content: []byte("x")}}
		mode, id := "100644", idOf("blob", []byte("x"))
		for range bomb.deep {
			var tree []byte
			for i := range bomb.wide {
				tree = append(tree, item(mode, string(rune('a'+i)), id)...)
			}
			objects = append(objects, object{number: 2, content: tree})
			mode, id = "40000", idOf("tree", tree)
		}
		commit := c.commitOf(id)
		var want *archive.RefusedError
		c.refuses(t, []archive.Tip{{Name: "ws", Commit: idOf("commit", commit)}}, rawPack(append(objects, object{number: 1, content: commit})...), megabyte, &want)
	}
}
