package workspace

import (
	"fmt"
	"path"
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
	if r.Dir == "" {
		return nil
	}
	if !path.IsAbs(r.Dir) || path.Clean(r.Dir) != r.Dir || strings.ContainsFunc(r.Dir, unicode.IsControl) {
		return fmt.Errorf("its directory %q is no plain absolute path", r.Dir)
	}
	if !strings.HasSuffix(r.Dir, "/"+r.Project+"/"+r.Name) {
		return fmt.Errorf("its directory %q does not end in /%s/%s", r.Dir, r.Project, r.Name)
	}
	return nil
}
