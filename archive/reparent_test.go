package archive_test

import (
	"path/filepath"
	"strings"
	"testing"

	"bivy/archive"
)

// secret is a tree of which parts do not cross.
func secret() files {
	return files{
		".gitattributes": "secret export-ignore\n*.key export-ignore\nonly/** export-ignore\n",
		"a":              "1\n", "secret/x": "x\n", "secret/deep/y": "y\n", "docs/open": "o\n", "docs/z.key": "z\n",
		"only/gone": "g\n", "docs/sub/k.key": "k\n", "docs/sub/m": "m\n", "a.key": "a\n",
	}
}

// TestIgnoredPathsStay: what export-ignore kept here is in every commit that
// comes back, so that a merge does not delete it.
func TestIgnoredPathsStay(t *testing.T) {
	for _, c := range []struct {
		name string
		work func(c *camp)
		// changed are the paths that differ from the source in the end.
		changed string
	}{
		{"a change", func(c *camp) { c.work("a", "2\n") }, "M\ta"},
		{"beside", func(c *camp) { c.work("docs/new", "n\n") }, "A\tdocs/new"},
		{"in their place", func(c *camp) { c.work("secret/x", "theirs\n") }, "M\tsecret/x"},
		{"a file for the directory", func(c *camp) { c.work("secret", "file\n") }, "A\tsecret\nD\tsecret/deep/y\nD\tsecret/x"},
		{"a directory for the file", func(c *camp) { c.work("a.key/b", "file\n") }, "D\ta.key\nA\ta.key/b"},
		{"a directory removed", func(c *camp) {
			c.on("rm", "-rq", "docs")
			c.on("commit", "-qm", "no docs")
		}, "D\tdocs/open\nD\tdocs/sub/m"},
		{"a directory moved", func(c *camp) {
			c.on("mv", "docs", "papers")
			c.on("commit", "-qm", "papers")
		}, "D\tdocs/open\nD\tdocs/sub/m\nA\tpapers/open\nA\tpapers/sub/m"},
		{
			"names that sort oddly", func(c *camp) { c.work("secret-", "1\n"); c.work("secret.x/y", "2\n"); c.work("secret0", "3\n") },
			"A\tsecret-\nA\tsecret.x/y\nA\tsecret0",
		},
		{"everything removed", func(c *camp) {
			c.on("rm", "-rq", ".")
			c.on("commit", "-qm", "nothing")
		}, "D\t.gitattributes\nD\ta\nD\tdocs/open\nD\tdocs/sub/m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			camp := newCamp(t, "sha1", secret())
			if listed := camp.on("ls-tree", "-r", "--name-only", "ws"); strings.Contains(listed, "key") || strings.Contains(listed, "secret") {
				t.Fatalf("on the host is %q", listed)
			}
			c.work(camp)
			plan, _ := camp.pull()
			l := find(t, plan, "ws")
			if got := camp.here("diff", "--no-renames", "--name-status", camp.origins[0].Source, l.Here); got != c.changed {
				t.Errorf("changed\n%s\nwant\n%s", got, c.changed)
			}
			camp.here("merge", "-q", "--ff-only", l.Ref)
			again, sent := camp.pull()
			if sent != 0 || again[0].Here != l.Here {
				t.Errorf("again %+v, %d bytes", again[0], sent)
			}
			// Later work on it needs nothing that is not here.
			camp.work("later", "1\n")
			if more, _ := camp.pull(); more[0].Kept != "" || more[0].Commits != 1 {
				t.Errorf("later %+v", more[0])
			}
		})
	}
}

// TestNewestIgnoredPaths: after a merge of two snapshots, the ignored paths are
// those of the newer.
func TestNewestIgnoredPaths(t *testing.T) {
	c := newCamp(t, "sha1", secret())
	c.work("b", "1\n")
	write(t, c.project+"/a.key", "newer\n")
	c.here("rm", "-rq", "secret/deep")
	c.here("commit", "-qam", "two")
	c.on("merge", "-q", "--no-edit", "--allow-unrelated-histories", c.sync())
	plan, _ := c.pull()
	if got := c.here("diff", "--name-status", "main", plan[0].Here); got != "A\tb" {
		t.Errorf("changed %q", got)
	}
	if got := c.here("show", plan[0].Here+"^:a.key"); got != "a" {
		t.Errorf("before the merge a.key is %q", got)
	}
}

// TestUncommittedWasSent: changes that were sent uncommitted come back as a
// commit of their own, below the work.
func TestUncommittedWasSent(t *testing.T) {
	for _, parented := range []bool{true, false} {
		c := newCamp(t, "sha1", secret())
		clean := c.origins[0]
		c.on("checkout", "-q", "--detach")
		args := []string{"commit-tree", "-m", "uncommitted changes"}
		if parented {
			args = append(args, "-p", clean.Snapshot)
		}
		write(t, filepath.Join(c.host, "a"), "dirty\n")
		c.on("rm", "-q", "docs/open")
		c.on("add", "-A")
		dirty := c.on(append(args, c.on("write-tree"))...)
		c.on("checkout", "-q", "-f", "-B", "ws", dirty)
		c.origins = []archive.Origin{{Snapshot: dirty, Source: clean.Source, Dirty: true}}
		c.work("b", "work\n")
		plan, _ := c.pull()
		l := plan[0]
		if got := c.here("log", "--format=%s", "--name-status", "main.."+l.Ref); got != "work on b\n\nA\tb\nuncommitted changes\n\nM\ta\nD\tdocs/open" {
			t.Errorf("parented %v: the log is\n%s", parented, got)
		}
		if got := c.here("rev-parse", l.Ref+"~2"); got != clean.Source {
			t.Errorf("parented %v: it stands on %s", parented, got)
		}
		if again, sent := c.pull(); sent != 0 || again[0].Here != l.Here {
			t.Errorf("parented %v: again %+v, %d bytes", parented, again[0], sent)
		}
	}
}

// TestCommitsKeepAllElse: odd headers and bytes stay, signatures go.
func TestCommitsKeepAllElse(t *testing.T) {
	c := newCamp(t, "sha1", files{"a": "1\n"})
	tree := c.on("rev-parse", "ws^{tree}")
	raw := "tree " + tree + "\nparent " + c.origins[0].Snapshot + "\nauthor Zoë \xe9 <z@x> 1700000000 +0545\ncommitter  <> 1 -0800\n" +
		"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\nencoding latin1\nHG:rename a b\n" +
		"gpgsig-sha256 x\n y\nodd one\n two\n\n\nNo subject \xff\n\nparent of nothing\n\n\n"
	id := gitIn(t, c.host, raw, "hash-object", "-t", "commit", "-w", "--stdin")
	c.on("update-ref", "refs/heads/ws", id)
	plan, _ := c.pull()
	want := "tree " + tree + "\nparent " + c.origins[0].Source + "\nauthor Zoë \xe9 <z@x> 1700000000 +0545\ncommitter  <> 1 -0800\n" +
		"encoding latin1\nHG:rename a b\nodd one\n two\n\n\nNo subject \xff\n\nparent of nothing\n\n\n"
	got, err := tryGit(t, c.project, "", "cat-file", "commit", plan[0].Here)
	if err != nil || got != want {
		t.Errorf("the commit is\n%q, want\n%q (%v)", got, want, err)
	}
}
