package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"bivy/exec/file"
	"bivy/exec/transfer"
	"bivy/internal/humane"
	"bivy/internal/termsafe"
	"bivy/sshcmd"
)

// maxSkipped is how many of the entries that are left out are named.
const maxSkipped = 20

// transfer finds the place that put and get work at, and the path there.
func (p FilePlace) transfer(app *App, arg string) (*transfer.Place, string, error) {
	if p.Host == "" && p.Dir != "" {
		return nil, "", usagef("--dir goes with --host; a path in a workspace is relative to its directory")
	}
	ws, paths, err := p.split([]string{arg})
	if err != nil {
		return nil, "", err
	}
	scp, err := scpProgram()
	if err != nil {
		return nil, "", err
	}
	at, err := app.resolve(Place{WS: ws, Host: p.Host, Dir: p.Dir})
	if err != nil {
		return nil, "", err
	}
	masters, err := app.Masters()
	if err != nil {
		return nil, "", err
	}
	place := &transfer.Place{Masters: masters, Target: at.target, Root: at.dir, SCP: scp}
	// scp takes the program that it starts as one word.
	if words := masters.Program(); len(words) == 1 && words[0] != "ssh" {
		place.SSH = words[0]
	}
	return place, paths[0], nil
}

// scpProgram is BIVY_SCP, which may be several words, or scp.
func scpProgram() ([]string, error) {
	value := os.Getenv("BIVY_SCP")
	if value == "" {
		return []string{"scp"}, nil
	}
	words, err := sshcmd.Words(value)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("BIVY_SCP is %q, which is no command line", value)}
	}
	return words, nil
}

// transferUI is what a person sees of a transfer.
type transferUI struct {
	meter   *meter
	mu      sync.Mutex
	skipped []string
	left    int
}

func newTransferUI(app *App) *transferUI {
	t := &transferUI{}
	if isTerminal(app.UI.Err) && !app.UI.Quiet && !app.UI.JSON {
		t.meter = newMeter(app.UI.Err)
	}
	return t
}

func (t *transferUI) options(app *App) transfer.Options {
	o := transfer.Options{Hurry: app.Hurry, Skipped: t.skip}
	if t.meter != nil {
		o.Progress = t.meter.show
	}
	return o
}

// skip remembers what is left out, to be said when the meter is gone.
func (t *transferUI) skip(path, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left++; t.left <= maxSkipped {
		t.skipped = append(t.skipped, shown(path)+": "+why)
	}
}

func (t *transferUI) end(ui *UI) {
	if t.meter != nil {
		t.meter.end()
	}
	for _, line := range t.skipped {
		ui.Note("bivy: left out: %s", line)
	}
	if more := t.left - len(t.skipped); more > 0 {
		ui.Note("bivy: left out: %s more", humane.Count(int64(more)))
	}
}

type transferFields struct {
	Format int `json:"format"`
	file.Name
	Way        transfer.Way `json:"way"`
	Bytes      int64        `json:"bytes"`
	SHA256     *string      `json:"sha256"`
	Files      int64        `json:"files"`
	Skipped    int64        `json:"skipped"`
	Verified   string       `json:"verified"`
	DurationMS int64        `json:"duration_ms"`
}

func (t *transferUI) result(ui *UI, verb string, r transfer.Result) error {
	f := transferFields{
		Format: 1, Name: named(r.Path), Way: r.Way, Bytes: r.Bytes, Files: r.Files, Skipped: r.Skipped,
		Verified: r.Checked, DurationMS: r.Took.Milliseconds(),
	}
	sum := ""
	if r.SHA256 != "" {
		f.SHA256 = &r.SHA256
		sum = ", sha256 " + r.SHA256
	}
	return ui.Result(f, fmt.Sprintf("%s %s: %s, %d bytes%s, checked by %s\n",
		verb, shown(r.Path), humane.Plural(int(r.Files), "file", "files"), r.Bytes, sum, r.Checked))
}

// meter is one line on a terminal that changes.
type meter struct {
	out   *os.File
	began time.Time

	mu    sync.Mutex
	last  time.Time
	drawn bool
	ended bool
}

func newMeter(out *os.File) *meter { return &meter{out: out, began: time.Now()} }

// show takes the next state, from any goroutine.
func (m *meter) show(p transfer.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.ended || now.Sub(m.last) < barRefresh || now.Sub(m.began) < barRefresh {
		return
	}
	m.last, m.drawn = now, true
	width, _, err := term.GetSize(int(m.out.Fd()))
	if err != nil || width < 2 {
		width = 80
	}
	// The last column stays free: some terminals begin a new line there.
	text := termsafe.Line("bivy: "+meterText(p, now.Sub(m.began)), width-1)
	_, _ = fmt.Fprintf(m.out, "\r%s\x1b[K", text)
}

// meterText says how far it is, how fast it goes, and how long it will take.
func meterText(p transfer.Progress, took time.Duration) string {
	text := humane.Bytes(p.Bytes)
	if p.Total > 0 {
		text = fmt.Sprintf("%d%% of %s", percent(p.Bytes, p.Total), humane.Bytes(p.Total))
	}
	if p.Files > 1 {
		text += ", " + humane.Plural(int(p.Files), "file", "files")
	}
	rate := float64(p.Bytes) / took.Seconds()
	text += ", " + humane.Rate(rate)
	if left := p.Total - p.Bytes; left > 0 && p.Bytes > 0 && took > time.Second {
		seconds := float64(left) / rate
		text += ", " + humane.Age(time.Duration(min(seconds, 1e8)*float64(time.Second))) + " left"
	}
	return text
}

// percent is 100 only when all is there.
func percent(n, total int64) int64 {
	if n >= total {
		return 100
	}
	return int64(min(float64(n)/float64(total)*100, 99))
}

// end clears the line.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	if m.drawn {
		_, _ = fmt.Fprint(m.out, "\r\x1b[K")
	}
}

// explainTransfer covers what put and get say of both sides.
func explainTransfer(err error, f *failure) bool {
	var (
		cut     *transfer.CutError
		source  *transfer.SourceError
		target  *transfer.TargetError
		changed *transfer.ChangedError
		limit   *transfer.LimitError
		archive *transfer.ArchiveError
	)
	switch {
	case errors.As(err, &cut):
		f.Code, f.Class, f.Host = exitLinkLost, "link_lost", cut.Host
		f.Hint = "repeat it when the host is back"
	case errors.As(err, &source):
		f.Code, f.Class = localCode(source.Missing)
	case errors.As(err, &target):
		f.Code, f.Class = localCode(target.Missing)
	case errors.As(err, &changed):
		f.Code, f.Class, f.Host = exitLocal, "local", changed.Host
		f.Hint = "try again when nothing writes to it"
	case errors.As(err, &limit):
		f.Code, f.Class, f.Host = exitLocal, "local", limit.Host
		f.Hint = "to take more: --max-bytes or --max-files"
	case errors.As(err, &archive):
		f.Code, f.Class, f.Host = exitLocal, "remote_denied", archive.Host
		f.Hint = "nothing of it was written"
	default:
		return false
	}
	return true
}

func localCode(missing bool) (int, string) {
	if missing {
		return exitNotFound, "not_found"
	}
	return exitLocal, "local"
}
