package workspace

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"bivy/archive"
	"bivy/exec/mux"
	"bivy/internal/termsafe"
)

var (
	//go:embed pull_tree.sh
	treeScript string
	//go:embed pull.sh
	pullScript string
)

// DefaultPullBytes is how much a pull takes from a host, unless it is told
// otherwise, in bytes.
const DefaultPullBytes = 2 << 30

// maxPulledTips is how many branches a host may tell, and so many other tips.
const maxPulledTips = 1000

// PullWish says what to bring here.
type PullWish struct {
	// Dirty brings uncommitted and untracked files too, as one commit more on
	// top of the branch that is checked out there.
	Dirty bool
	// Patch, where it is set, gets the work of that branch as text for `git am`,
	// and nothing is changed here.
	Patch io.Writer
	// MaxBytes bounds what the host may send.
	MaxBytes int64
	// Progress, if set, is told how many bytes have come so far.
	Progress func(bytes int64)
}

// Brought says what a pull has brought.
type Brought struct {
	Record Record
	// Landings are the workspace's branches and other tips, and what became of
	// them here.
	Landings []archive.Landing
	// Main is the name of the landing to look at first: the branch that is
	// checked out there, or the uncommitted work on it; empty if there is none.
	Main string
	// Bytes is the size of the pack.
	Bytes int64
	// Nested are directories that hold repositories of their own; Merges counts
	// merges, of which there is no patch. Damaged says that git there could not
	// list all that no branch leads to.
	Nested  []string
	Merges  int
	Damaged bool
}

// Changed reports whether anything is new here.
func (b Brought) Changed() bool { return slices.ContainsFunc(b.Landings, archive.Landing.Changed) }

// Pull brings a workspace's commits into the project, as refs/bivy/NAME/BRANCH
// and never into a branch of the user's, in one round trip. Errors: archive's
// *RefusedError and *TooLargeError for what the host sends, after which nothing
// is changed here, *BusyError, *Trouble, *CutError, and those of mux and exec.
func (w *Workspaces) Pull(ctx context.Context, ref Ref, target mux.Target, wish PullWish) (Brought, error) {
	unlock, err := w.Registry.Lock(ctx, ref.Project, ref.Name, "pull")
	if err != nil {
		return Brought{}, err
	}
	defer unlock()
	rec, err := w.Registry.Find(ref)
	if err != nil {
		return Brought{}, err
	}
	repo, err := archive.Open(ctx, rec.ProjectDir)
	if err != nil {
		return Brought{}, err
	}
	in, err := repo.Intake(ctx, "refs/bivy/"+rec.Name+"/", rec.origins(), rec.pulledTips())
	if err != nil {
		return Brought{}, err
	}
	defer in.Close() //nolint:errcheck // the next pull removes what is left
	lease, err := w.Masters.Lease(ctx, target)
	if err != nil {
		return Brought{}, err
	}
	defer lease.Release()
	b, err := takeIn(ctx, lease, rec, repo.Format(), in, wish)
	if err != nil {
		return Brought{}, err
	}
	if b.Landings, err = in.Plan(ctx); err != nil {
		return Brought{}, err
	}
	if wish.Patch != nil {
		return b, b.patch(ctx, in, wish)
	}
	if err := in.Land(ctx, b.Landings); err != nil {
		return Brought{}, err
	}
	b.Record = rec
	if b.Record.note(b.Landings) {
		err = w.Registry.Put(b.Record)
	}
	return b, err
}

// takeIn has the one conversation with the host: what it has, and the pack.
func takeIn(ctx context.Context, lease *mux.Lease, rec Record, format string, in *archive.Intake, wish PullWish) (Brought, error) {
	b := Brought{Record: rec}
	vars := []variable{
		{"W_dir", rec.Dir},
		{"W_format", format},
		{"W_have", strings.Join(in.Have(), " ")},
		{"W_sent", strings.Join(rec.sent(), " ")},
		{"W_dirty", "0"},
		{"W_most", strconv.Itoa(maxPulledTips + 1)},
	}
	if wish.Dirty {
		vars[4].value = "1"
	}
	ctx2, cancel := context.WithCancel(ctx)
	defer cancel()
	pack := &packSink{ctx: ctx2, in: in, limit: wish.MaxBytes, progress: wish.Progress}
	err := receive(ctx, lease, pullScript, vars, rec.Dir, func(a answer) (io.Writer, error) {
		tips, main, err := tipsOf(a)
		if err != nil {
			return nil, err
		}
		b.Main, b.Nested, b.Damaged = main, safeList(a["nested"]), a.one("damaged") != ""
		return pack, in.Announce(tips)
	})
	if err != nil && !pack.failed {
		cancel() // what git got is no whole pack, and no reason to blame the host
		_ = pack.close()
		return b, err
	}
	// Where git has refused the pack, its writer saw only a broken pipe.
	if verdict := pack.close(); verdict != nil {
		err = verdict
	}
	b.Bytes = pack.n
	return b, err
}

// packSink starts git with the first byte of a pack, which may be empty.
type packSink struct {
	ctx      context.Context //nolint:containedctx // of the one conversation
	in       *archive.Intake
	limit    int64
	progress func(int64)

	to     *archive.Receiver
	n      int64
	failed bool
}

func (s *packSink) Write(p []byte) (int, error) {
	if s.to == nil {
		var err error
		if s.to, err = s.in.Receive(s.ctx, s.limit); err != nil {
			return 0, err
		}
	}
	n, err := s.to.Write(p)
	s.n += int64(n)
	s.failed = err != nil
	if s.progress != nil {
		s.progress(s.n)
	}
	return n, err
}

func (s *packSink) close() error {
	if s.to == nil {
		return nil
	}
	return s.to.Close()
}

// tipsOf reads the tips that a host tells, and which of them is the main one.
// What the names and ids are worth, archive decides.
func tipsOf(a answer) (tips []archive.Tip, main string, err error) {
	for _, line := range a["tip"] {
		id, ref, _ := strings.Cut(line, " ")
		name, found := strings.CutPrefix(ref, "refs/heads/")
		top, _, _ := strings.Cut(name, "/")
		if !found || top == "+was" || top == otherDir {
			return nil, "", &archive.RefusedError{Why: fmt.Sprintf("it tells of a branch %s, which none may be called", termsafe.Line(ref, 100))}
		}
		tips = append(tips, archive.Tip{Name: name, Commit: id})
	}
	main = a.one("branch")
	if id := a.one("detached"); id != "" {
		main = "HEAD"
		tips = append(tips, archive.Tip{Name: main, Commit: id})
	}
	for _, id := range a["other"] {
		tips = append(tips, archive.Tip{Name: otherDir + "/" + id[:min(len(id), 12)], Commit: id})
	}
	if id := a.one("dirty"); id != "" {
		main += "+dirty"
		tips = append(tips, archive.Tip{Name: main, Commit: id})
	}
	return tips, main, nil
}

// otherDir is where commits go that no branch there leads to.
const otherDir = "+other"

func (b *Brought) patch(ctx context.Context, in *archive.Intake, wish PullWish) error {
	for _, l := range b.Landings {
		if l.Name == b.Main {
			var err error
			b.Merges, err = in.Patch(ctx, l, wish.Patch, wish.MaxBytes)
			return err
		}
	}
	return nil
}

// origins are the states that were sent, as archive wants them.
func (r Record) origins() []archive.Origin {
	var list []archive.Origin
	for _, s := range r.Sent {
		list = append(list, archive.Origin{Snapshot: s.Snapshot, Source: s.Source, Dirty: s.Dirty})
	}
	if len(list) == 0 && r.Snapshot != "" { // a record of the first version
		list = append(list, archive.Origin{Snapshot: r.Snapshot, Source: r.Source})
	}
	return list
}

func (r Record) pulledTips() []string {
	var ids []string
	for _, p := range r.Pulled {
		ids = append(ids, p.There)
	}
	return ids
}

// note remembers where the tips are here, and reports whether that is news.
func (r *Record) note(landings []archive.Landing) bool {
	before := slices.Clone(r.Pulled)
	for _, l := range landings {
		if l.Ref == "" {
			continue
		}
		list := make([]Pulled, 0, len(r.Pulled)+1)
		for _, p := range r.Pulled {
			switch {
			case p.Ref != l.Ref || p.There == l.Commit:
			case l.Kept != "" && p.Here == l.Old:
				p.Ref = l.Kept
			case l.Changed() && l.Kept == "":
				continue // the new tip leads to it
			}
			if p.There != l.Commit || p.Ref != l.Ref {
				list = append(list, p)
			}
		}
		r.Pulled = append(list, Pulled{There: l.Commit, Here: l.Here, Ref: l.Ref})
	}
	return !slices.Equal(before, r.Pulled)
}
