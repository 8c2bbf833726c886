package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bivy/exec/proc"
)

const (
	treeFiles = 15_000
	// enough of Go's own source to be worth copying.
	enough = 8_000
)

// made is what bivy new --json says.
type made struct {
	Name        string `json:"name"`
	Dir         string `json:"dir"`
	SentBytes   int64  `json:"sent_bytes"`
	SentObjects int64  `json:"sent_objects"`
}

func measureTree(ctx context.Context, b *bench, o options) ([]figure, error) {
	project := filepath.Join(b.dir, "project")
	files, size, err := b.makeProject(ctx, project)
	if err != nil {
		return nil, err
	}
	first := figure{
		Name: fmt.Sprintf("bivy new of %d files, %d MB", files, size/1_000_000), Against: "git push and checkout", Kind: slowdown, Unit: "ms", Goal: 0.65,
	}
	sent := figure{Name: "  sent", Against: "git push", Kind: slowdown, Unit: "kB"}
	second := figure{Name: "a second workspace there", Against: "checkout alone", Kind: slowdown, Unit: "ms", Goal: 1.2}
	again := figure{Name: "  sent", Kind: absolute, Unit: "bytes"}
	for i := range o.Rounds {
		// Whoever comes first finds the colder caches.
		sides := []func() error{
			func() error { return b.bivyRound(ctx, project, i, &first, &sent, &second, &again) },
			func() error { return b.gitRound(ctx, project, i, &first, &sent, &second) },
		}
		for j := range sides {
			if err := sides[(i+j)%2](); err != nil {
				return nil, err
			}
		}
	}
	return []figure{first.settle(), sent.settle(), second.settle(), again.settle()}, nil
}

// bivyRound makes two workspaces below a fresh root.
func (b *bench) bivyRound(ctx context.Context, project string, i int, first, sent, second, again *figure) error {
	root := "~/bivy" + strconv.Itoa(i)
	for j, f := range []*figure{first, second} {
		began := now()
		out, err := b.output(ctx, b.bivy, "--json", "new", "w"+strconv.Itoa(2*i+j), "--host", host, "--project", project, "--root", root)
		if err != nil {
			return err
		}
		f.Bivys = append(f.Bivys, began.since())
		var m made
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			return fmt.Errorf("read what bivy new made: %w", err)
		}
		if _, err := os.Stat(filepath.Join(m.Dir, ".git")); err != nil {
			return fmt.Errorf("bivy new made no repository: %w", err)
		}
		if j == 0 {
			sent.Bivys = append(sent.Bivys, float64(m.SentBytes)/1000)
		} else {
			again.Bivys = append(again.Bivys, float64(m.SentBytes))
		}
	}
	return os.RemoveAll(filepath.Join(b.server.Home, "bivy"+strconv.Itoa(i)))
}

// gitRound does the same with git: a push into a fresh bare repository over
// the same master, a local clone and a checkout; then a second checkout. The
// making of the empty repository is not counted.
func (b *bench) gitRound(ctx context.Context, project string, i int, first, sent, second *figure) error {
	dir := filepath.Join(b.server.Home, "git"+strconv.Itoa(i))
	store := filepath.Join(dir, "store.git")
	if err := b.must(ctx, proc.Spec{Args: []string{"git", "init", "--quiet", "--bare", store}, Env: b.env}); err != nil {
		return err
	}
	ssh := strings.Join([]string{"ssh", "-F", "none", "-S", b.socket, "-o", "ProxyCommand=false"}, " ")
	env := append(b.env[:len(b.env):len(b.env)], "GIT_SSH_COMMAND="+ssh, "GIT_SSH_VARIANT=ssh")
	began := now()
	push := proc.Spec{Args: []string{"git", "-C", project, "push", "--quiet", "x:" + store, "HEAD:refs/heads/main"}, Env: env}
	if err := b.must(ctx, push); err != nil {
		return err
	}
	checkout := func(name string) error {
		return b.must(ctx, proc.Spec{Env: b.env, Args: b.plain(fmt.Sprintf(
			"cd %s && git clone --quiet --local --no-checkout --branch main store.git %s && cd %[2]s && git reset --hard --quiet", dir, name))})
	}
	if err := checkout("one"); err != nil {
		return err
	}
	first.Plains = append(first.Plains, began.since())
	began = now()
	if err := checkout("two"); err != nil {
		return err
	}
	second.Plains = append(second.Plains, began.since())
	packed, err := sizeOf(filepath.Join(store, "objects"))
	if err != nil {
		return err
	}
	sent.Plains = append(sent.Plains, float64(packed)/1000)
	return os.RemoveAll(dir)
}

// sizeOf is how many bytes packs take, without their indexes.
func sizeOf(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".idx") || strings.HasSuffix(path, ".rev") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// makeProject makes a repository with one commit: Go's own source where it is
// there, and made-up text up to the wanted number of files. Its objects are
// packed, as after a clone.
func (b *bench) makeProject(ctx context.Context, dir string) (files int, size int64, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, 0, err
	}
	root, err := b.output(ctx, "go", "env", "GOROOT")
	if err == nil {
		files, size, err = copyText(filepath.Join(root, "src"), dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, 0, err
	}
	if files < enough {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
			return 0, 0, err
		}
		files, size = 0, 0
	}
	for ; files < treeFiles; files++ {
		text := madeUp(uint64(files))
		path := filepath.Join(dir, "made", strconv.Itoa(files%100), strconv.Itoa(files)+".txt")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return 0, 0, err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return 0, 0, err
		}
		size += int64(len(text))
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"commit", "--quiet", "--message=all"},
		{"repack", "--quiet", "-a", "-d"},
	} {
		if err := b.must(ctx, proc.Spec{Args: append([]string{"git", "-C", dir}, args...), Env: b.env}); err != nil {
			return 0, 0, err
		}
	}
	return files, size, nil
}

// copyText copies regular files, without those that git would not take.
func copyText(from, to string) (files int, size int64, err error) {
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".git") || files == treeFiles {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // the source of Go itself, which nobody changes meanwhile
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, rel)), 0o700); err != nil {
			return err
		}
		files, size = files+1, size+int64(len(data))
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	return files, size, err
}

// madeUp is about 9 kB of words, the same for the same number.
func madeUp(n uint64) string {
	words := []string{"func", "return", "error", "context", "the", "of", "master", "session", "if", "for", "range", "nil", "{", "}", "\n", "\t"}
	r := rand.New(rand.NewPCG(n, 1)) //nolint:gosec // text, not secrets
	var b strings.Builder
	for range 1_600 {
		b.WriteString(words[r.IntN(len(words))] + " ")
		if r.IntN(8) == 0 {
			b.WriteString(strconv.Itoa(r.IntN(1000)) + "\n")
		}
	}
	return b.String()
}
