package main

import (
	"fmt"
	"sync"
	"time"

	"bivy/archive"
	"bivy/internal/humane"
)

const (
	// barRefresh is how often the line on a terminal changes at most.
	barRefresh = 100 * time.Millisecond
	// lineEvery is how often plain output gets a line.
	lineEvery = 10 * time.Second
)

// progress shows how far the sending has come: one line that changes on a
// terminal, a plain line now and then elsewhere, nothing with -q or --json.
type progress struct {
	ui   *UI
	live bool

	mu    sync.Mutex
	began time.Time
	last  time.Time
	drawn bool
}

func newProgress(ui *UI) *progress {
	now := time.Now()
	return &progress{ui: ui, live: isTerminal(ui.Err), began: now, last: now}
}

// Show takes the next state. It is called from the sender's goroutine.
func (p *progress) Show(s archive.Progress) {
	if p.ui.Quiet || p.ui.JSON {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	every := lineEvery
	if p.live {
		every = barRefresh
	}
	now := time.Now()
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	if p.live {
		// Carriage return, the text, erase to the end of the line.
		_, _ = fmt.Fprintf(p.ui.Err, "\rbivy: %s\x1b[K", progressText(s))
		p.drawn = true
		return
	}
	_, _ = fmt.Fprintf(p.ui.Err, "bivy: %s\n", progressText(s))
}

func progressText(s archive.Progress) string {
	text := s.Phase
	if s.Percent >= 0 {
		text += fmt.Sprintf(" %d%%", s.Percent)
	}
	// What git writes before it packs is a few bytes in no time.
	if s.Phase == "writing" && s.Bytes > 0 {
		text += ", " + humane.Bytes(s.Bytes)
		if s.Rate > 0 {
			text += ", " + humane.Rate(s.Rate)
		}
	}
	return text
}

// End clears the line.
func (p *progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		_, _ = fmt.Fprint(p.ui.Err, "\r\x1b[K")
		p.drawn = false
	}
}
