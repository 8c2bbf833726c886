package workspace

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"bivy/sshcmd"
)

// check refuses what no record of ours holds: ssh gets the host, and rm the
// directory.
func (r Record) check() error {
	if _, err := sshcmd.ParseHost(r.Host); err != nil {
		return err
	}
	for _, id := range r.sent() {
		if !hexID().MatchString(id) {
			return fmt.Errorf("%q is no object name", id)
		}
	}
	if r.State == Renaming {
		if err := checkName(r.RenameTo); err != nil {
			return err
		}
	}
	if r.Dir == "" {
		return nil
	}
	if !path.IsAbs(r.Dir) || path.Clean(r.Dir) != r.Dir || strings.ContainsFunc(r.Dir, unicode.IsControl) {
		return fmt.Errorf("its directory %q is no plain absolute path", r.Dir)
	}
	if !r.Adopted && !strings.HasSuffix(r.Dir, "/"+r.Project+"/"+r.Name) {
		return fmt.Errorf("its directory %q does not end in /%s/%s", r.Dir, r.Project, r.Name)
	}
	return nil
}

// sent returns the ids of the commits that the host got from us, the newest
// last: commits that stand on them are the workspace's own.
func (r Record) sent() []string {
	var ids []string
	for _, s := range r.Sent {
		ids = append(ids, s.Snapshot)
	}
	// A record of the first version has only the last.
	if r.Snapshot != "" && !slices.Contains(ids, r.Snapshot) {
		ids = append(ids, r.Snapshot)
	}
	return ids
}

// branchFor is the branch of a new workspace: its name, where git takes that
// for a branch (git-check-ref-format(1)).
func branchFor(name string) string {
	if strings.Contains(name, "..") || strings.HasSuffix(name, ".") || strings.HasSuffix(name, ".lock") {
		return "work"
	}
	return name
}
