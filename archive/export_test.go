package archive

import "time"

// ProjectName is what Name makes of a directory's base name.
var ProjectName = projectName

// ParseProgress reads one line of git's progress.
func ParseProgress(line string) (Progress, bool) { return parseProgress([]byte(line)) }

// Meter is the writer behind Progress, with a clock of the test's.
type Meter struct{ *meter }

// NewMeter makes one.
func NewMeter(report func(Progress), now func() time.Time) Meter {
	m := newMeter(report)
	m.now = now
	return Meter{m}
}

// Wrote tells it the bytes so far.
func (m Meter) Wrote(total int64) { m.wrote(total) }

// ParseDate reads a committer line's date.
var ParseDate = parseDate

// TempDir is the snapshot's temporary directory.
func (s *Snapshot) TempDir() string { return s.tmp.dir }

// ValidRef says which names of refs are taken from a host.
var ValidRef = validRef
