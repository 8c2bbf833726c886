package file

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// manyNames is how many names are tried in all. Each goes through every
	// operation on one host, and every sampleOf-th on all of them.
	manyNames = 10_000
	sampleOf  = 50
	// perPath is how many names make one path, of which all but the last are
	// directories: a file for each of them takes the programs of a host minutes.
	// Those of the sample are files.
	perPath = 5
	// alone in the environment makes files of all names.
	alone = "BIVY_TEST_NAMES_ALONE"
)

// TestNames sends names of any bytes through every operation.
func TestNames(t *testing.T) {
	seed := rand.Uint64() //nolint:gosec // a test
	t.Logf("seed %d", seed)
	count, size := manyNames, perPath
	if testing.Short() || underRace {
		count /= 20
	}
	if os.Getenv(alone) != "" {
		size = 1
	}
	names := oddNames(rand.New(rand.NewPCG(seed, 1)), count) //nolint:gosec // a test
	var sample, paths []string
	for i := 0; i < count; i += sampleOf {
		sample = append(sample, names[i])
	}
	for part := range slices.Chunk(names, size) {
		paths = append(paths, strings.Join(part, "/"))
	}
	all, usual := shells(t), tools{"usual", usualPath}
	for i, shell := range []struct {
		shell
		tools
	}{{all[0], usual}, {all[1], usual}, {shell{"busybox", []string{"busybox", "sh"}}, busyboxTools(t)}} {
		t.Run(shell.shell.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, shell.shell, shell.tools)
			h.inLanes(t)
			// All of them, so that a session is not opened 60,000 times.
			lanes := runnerFunc{h, func(ctx context.Context, c Call) (Ending, error) {
				c.Long, c.Tools = false, false
				return h.lanes.Run(ctx, c)
			}}
			v := &voyage{t: t, host: h, FS: &FS{Runner: lanes, Root: h.root}}
			v.survive("files", sample)
			var mine []string
			for n := i; n < len(paths); n += 3 {
				mine = append(mine, paths[n])
			}
			v.survive("paths", mine)
			h.wantTree(t)
		})
	}
}

// voyage is what names go through on one host.
type voyage struct {
	t    *testing.T
	host *host
	*FS
	dir string
}

// survive writes, lists, finds, reads, renames and removes files at those paths.
func (v *voyage) survive(dir string, paths []string) {
	v.t.Helper()
	v.dir = dir
	ctx := v.t.Context()
	v.each("write", paths, func(i int, path string) error {
		w, err := v.Write(ctx, path, content(i, path), WriteOptions{NoSync: true, CreateOnly: i%2 == 0})
		if err == nil && !w.Created {
			err = fmt.Errorf("it was there already: %+v", w)
		}
		return err
	})
	v.ls(paths)
	v.find(paths)
	v.each("read", paths, func(i int, path string) error {
		c, err := v.Read(ctx, path, ReadOptions{Bare: i%2 == 0})
		if err == nil && string(c.Data) != string(content(i, path)) {
			err = fmt.Errorf("it holds %q", c.Data)
		}
		return err
	})
	v.each("mv", paths, func(i int, path string) error {
		err := v.Move(ctx, path, movedTo(path), MoveOptions{})
		v.host.want(v.t, movedTo(path), string(content(i, path)))
		return err
	})
	v.rm(paths)
}

// each does something with every path below the directory.
func (v *voyage) each(what string, paths []string, do func(i int, path string) error) {
	v.t.Helper()
	began := time.Now()
	for i, path := range paths {
		if err := do(i, v.dir+"/"+path); err != nil {
			v.t.Fatalf("%s of path %d, %q: %v", what, i, path, err)
		}
	}
	v.done(what, len(paths), began)
}

func (v *voyage) done(what string, n int, began time.Time) {
	v.t.Helper()
	v.t.Logf("%s %d %s: %s", what, n, v.dir, time.Since(began).Round(time.Millisecond))
}

func (v *voyage) ls(paths []string) {
	v.t.Helper()
	began := time.Now()
	var want []string
	for _, path := range paths {
		for at := path; at != "."; at = parent(at) {
			want = append(want, at)
		}
	}
	l, err := v.List(v.t.Context(), v.dir, ListOptions{Depth: -1, Max: len(want) + 1})
	var got []string
	for _, e := range l.Entries {
		got = append(got, e.Path)
	}
	v.same("ls", got, want, err)
	v.done("ls", len(want), began)
}

func (v *voyage) find(paths []string) {
	v.t.Helper()
	began := time.Now()
	found, err := v.Find(v.t.Context(), "", v.dir+"/**", FindOptions{Max: len(paths) + 1})
	for i, path := range found.Paths {
		found.Paths[i] = strings.TrimPrefix(path, v.dir+"/")
	}
	v.same("find", found.Paths, paths, err)
	v.done("find", len(paths), began)
}

// rm removes everything by paths in which every name stands, some hundreds at
// once.
func (v *voyage) rm(paths []string) {
	v.t.Helper()
	began := time.Now()
	all := []string{}
	for _, path := range paths {
		all = append(all, movedTo(v.dir+"/"+path))
		if dir := parent(path); dir != "." {
			all = append(all, v.dir+"/"+dir, v.dir+"/"+strings.Split(path, "/")[0])
		}
	}
	all = append(all, v.dir)
	for part := range slices.Chunk(all, 500) {
		if n, err := v.Remove(v.t.Context(), part, RemoveOptions{Recursive: true}); err != nil || n != len(part) {
			v.t.Fatalf("rm: %d of %d, %v", n, len(part), err)
		}
	}
	v.done("rm", len(all), began)
}

// movedTo is the new name of a path: the last part of it beside the first, or
// where that is the same, in the directory of all.
func movedTo(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) == 2 {
		return "./" + parts[1]
	}
	return strings.Join(append(parts[:2:2], parts[len(parts)-1]), "/")
}

// parent is path without its last part; "." is that of a single one. Unlike
// path.Dir it does not clean anything.
func parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "."
	}
	return path[:i]
}

func content(i int, path string) []byte { return fmt.Appendf(nil, "%d\x00%s\n", i, path) }

func (v *voyage) same(what string, got, want []string, err error) {
	v.t.Helper()
	want = slices.Sorted(slices.Values(want))
	slices.Sort(got)
	if err == nil && slices.Equal(got, want) {
		return
	}
	for _, name := range want {
		if _, found := slices.BinarySearch(got, name); !found {
			v.t.Errorf("%s: %q is not there", what, name)
			break
		}
	}
	v.t.Fatalf("%s: %d names, %v; want %d", what, len(got), err, len(want))
}

// oddNames draws n names: of any bytes, of bytes that are hard, of one byte
// alone again and again; up to 255 bytes long.
func oddNames(random *rand.Rand, n int) []string {
	const hard = "\n\n'\"\\$`*?[]{}~-#=! \t\x01\x7f\x80\x83\xff;&|<>()%^.,:@"
	seen := map[string]bool{".": true, "..": true}
	var names []string
	for len(names) < n {
		name := make([]byte, 1+random.IntN(255))
		if random.IntN(3) == 0 {
			name = name[:min(len(name), 1+random.IntN(4))]
		}
		from := make([]byte, 255)
		for i := range from {
			from[i] = byte(1 + i)
		}
		switch random.IntN(4) {
		case 0:
			from = []byte(hard)
		case 1:
			from = []byte{hard[random.IntN(len(hard))]}
		case 2:
			from = []byte("-\n*")
		}
		for i := range name {
			if name[i] = from[random.IntN(len(from))]; name[i] == '/' {
				name[i] = '\n'
			}
		}
		if s := string(name); !seen[s] && !strings.HasPrefix(s, ".bivy-") {
			seen[s] = true
			names = append(names, s)
		}
	}
	return names
}
