package mcp

import (
	"context"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"bivy/internal/termsafe"
)

const (
	// progressEach is the least time between two notes on a command that says
	// something, progressQuiet on one that says nothing: clients take a note
	// for a sign of life.
	progressEach  = 500 * time.Millisecond
	progressQuiet = 10 * time.Second
	// progressLine is how much of the last line is passed on, in characters.
	progressLine = 200
)

// progress tells the client, if it asked for that, how a command goes on, until
// the returned function is called: after that, nothing more is said.
func progress(ctx context.Context, req *sdk.CallToolRequest, s *streams) (stop func()) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tell(ctx, req, token, s)
	}()
	return func() {
		cancel()
		<-done
	}
}

func tell(ctx context.Context, req *sdk.CallToolRequest, token any, s *streams) {
	began := time.Now()
	tick := time.NewTicker(progressEach)
	defer tick.Stop()
	var told, spoke time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			line, at := s.lastLine()
			if !at.After(spoke) && now.Sub(told) < progressQuiet && !told.IsZero() {
				continue
			}
			told, spoke = now, at
			if line == "" {
				line = "running"
			}
			// An error is the connection's, which ends the call as well.
			_ = req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{
				ProgressToken: token, Progress: time.Since(began).Seconds(), Message: line,
			})
		}
	}
}

// lastLine is the last line that was written on either stream, and when.
func (s *streams) lastLine() (string, time.Time) {
	const enough = 4 * progressLine
	text, at := s.out.last(enough)
	if other, later := s.err.last(enough); later.After(at) {
		text, at = other, later
	}
	return termsafe.Line(termsafe.LastLine(clean(text)), progressLine), at
}
