package archive_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/archive"
)

const megabyte = 1 << 20

// camp is a project here and a workspace on a host that it was sent to.
type camp struct {
	t       testing.TB
	project string
	repo    *archive.Repo
	// host is the workspace, an ordinary repository on branch "ws".
	host    string
	origins []archive.Origin
	there   []string
}

// newCamp makes a project of one commit and sends its snapshot.
func newCamp(t testing.TB, format string, tree files) *camp {
	t.Helper()
	home(t, "")
	c := &camp{t: t, project: newRepo(t, "--object-format="+format), host: newRepo(t, "--object-format="+format)}
	git(t, c.host, "config", "user.name", "Agent")
	git(t, c.host, "config", "user.email", "agent@host.example")
	commitTree(t, c.project, tree)
	git(t, c.project, "read-tree", "-u", "--reset", "HEAD")
	c.repo = open(t, c.project)
	git(t, c.host, "checkout", "-q", "-b", "ws")
	git(t, c.host, "reset", "-q", "--hard", c.sync())
	return c
}

// sync sends the snapshot of HEAD and returns its id.
func (c *camp) sync() string {
	c.t.Helper()
	s := snapshot(c.t, c.repo, "HEAD")
	send(c.t, s, nil, c.host)
	c.origins = append(c.origins, archive.Origin{Snapshot: s.Commit, Source: s.Source})
	return s.Commit
}

// here runs git in the project, on runs it in the workspace.
func (c *camp) here(args ...string) string { c.t.Helper(); return git(c.t, c.project, args...) }
func (c *camp) on(args ...string) string   { c.t.Helper(); return git(c.t, c.host, args...) }

// work commits a file in the workspace and returns the commit's id.
func (c *camp) work(path, content string) string {
	c.t.Helper()
	write(c.t, filepath.Join(c.host, path), content)
	c.on("add", "-f", path)
	c.on("commit", "-q", "-m", "work on "+path)
	return c.on("rev-parse", "HEAD")
}

// tips lists the workspace's branches.
func (c *camp) tips() []archive.Tip {
	c.t.Helper()
	var tips []archive.Tip
	for line := range strings.Lines(c.on("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/")) {
		id, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		tips = append(tips, archive.Tip{Name: name, Commit: id})
	}
	return tips
}

// pack makes the host's pack of those tips.
func (c *camp) pack(tips []archive.Tip, have []string) string {
	c.t.Helper()
	var revs strings.Builder
	for _, t := range tips {
		fmt.Fprintln(&revs, t.Commit)
	}
	for _, id := range have {
		fmt.Fprintln(&revs, "^"+id)
	}
	out, err := tryGit(c.t, c.host, revs.String(), "pack-objects", "--revs", "--stdout", "--thin", "--shallow", "-q", "--non-empty")
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *camp) intake() *archive.Intake {
	c.t.Helper()
	in, err := c.repo.Intake(c.t.Context(), "refs/bivy/ws/", c.origins, c.there)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = in.Close() })
	return in
}

// give plays the host's part with any tips and any pack, up to the plan.
func (c *camp) give(in *archive.Intake, tips []archive.Tip, pack string, limit int64) ([]archive.Landing, error) {
	c.t.Helper()
	if err := in.Announce(tips); err != nil {
		return nil, err
	}
	if pack != "" {
		r, err := in.Receive(c.t.Context(), limit)
		if err != nil {
			c.t.Fatal(err)
		}
		_, writeErr := r.Write([]byte(pack))
		if err := r.Close(); err != nil {
			return nil, err
		}
		if writeErr != nil {
			return nil, writeErr
		}
	}
	return in.Plan(c.t.Context())
}

// pull brings all branches here; sent are the bytes of the pack.
func (c *camp) pull() (plan []archive.Landing, sent int) {
	c.t.Helper()
	in := c.intake()
	tips := c.tips()
	pack := c.pack(tips, in.Have())
	plan, err := c.give(in, tips, pack, 100*megabyte)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := in.Land(c.t.Context(), plan); err != nil {
		c.t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		c.t.Error(err)
	}
	for _, l := range plan {
		c.there = append(c.there, l.Commit)
	}
	c.noRubbish()
	return plan, len(pack)
}

// noRubbish wants no quarantine and nothing broken in the project.
func (c *camp) noRubbish() {
	c.t.Helper()
	left, err := filepath.Glob(c.project + "/.git/objects/tmp_*")
	if err != nil || len(left) > 0 {
		c.t.Errorf("left in the project: %v %v", left, err)
	}
	c.here("fsck", "--strict", "--no-dangling", "--connectivity-only")
}

// hashes hashes everything below a directory.
func hashes(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			all[path] = "directory"
			return err
		}
		data, err := os.ReadFile(path) //nolint:gosec // a directory of the test
		all[path] = fmt.Sprintf("%x", sha256.Sum256(data))
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

func find(t testing.TB, plan []archive.Landing, name string) archive.Landing {
	t.Helper()
	for _, l := range plan {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no landing %q in %+v", name, plan)
	return archive.Landing{}
}

func chmod(path string) error { return os.Chmod(path, 0o700) }

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
