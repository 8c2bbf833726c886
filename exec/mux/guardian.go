package mux

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"bivy/exec/frame"
	"bivy/exec/proc"
	"bivy/sshcmd"
)

//go:embed guardian.sh
var guardianScript string

// guardianName is how the guardian shows in the host's list of processes.
const guardianName = "bivy-guardian"

const (
	// readyDeadline is how long a host may take to start the guardian.
	readyDeadline = 30 * time.Second
	// sendDeadline is how long ssh may refuse to take orders. Its pipe holds
	// many of them, so one that does has stopped.
	sendDeadline = time.Second
	// steady is how long a guardian must have lived for its end to be no
	// failure.
	steady = 10 * time.Second
	// maxAnswer bounds a line of the guardian's in bytes, and maxAnswers all
	// that it may say: an honest one hardly says anything.
	maxAnswer  = 1 << 10
	maxAnswers = 8 << 20
)

// guardian is one session on the host that ends commands.
type guardian struct {
	stdin  *os.File
	cancel context.CancelFunc
	born   time.Time
	// These belong to the warden's loop.
	ready   bool
	leaving bool
}

// guardianFrame is what the guardian's session reads first.
func guardianFrame(nonce string, silence time.Duration) []byte {
	return frame.Pack(fmt.Sprintf("%s%s%sB_nonce=%s B_silence=%d\nbivy_aes\nbivy_guard\n",
		frame.Tree(), frame.Strip(aesScript), frame.Strip(guardianScript), nonce, max(1, int(silence/time.Second))))
}

// listens reports whether orders reach it.
func (g *guardian) listens() bool { return g.ready && !g.leaving }

// send writes order lines.
func (g *guardian) send(lines string) {
	if lines == "" {
		return
	}
	_ = g.stdin.SetWriteDeadline(time.Now().Add(sendDeadline))
	if _, err := io.WriteString(g.stdin, lines); err != nil {
		g.cancel()
	}
}

// leave makes it go without ending anything. It is not killed should it take
// long: that would look to it like the end of the connection.
func (g *guardian) leave() {
	if !g.leaving {
		g.leaving = true
		g.send("bye - - - - .\n")
	}
}

// newNonce makes a word that nobody on the host can know before it is said.
func newNonce() string {
	var secret [8]byte
	_, _ = rand.Read(secret[:]) // never fails, crypto/rand says
	return hex.EncodeToString(secret[:])
}

// startGuardian starts a session over the master. What it says, and its end,
// is posted to the loop, which does not wait for the master here: that may be
// stopped.
func (w *warden) startGuardian(ctx context.Context, now time.Time) (*guardian, error) {
	nonce := newNonce()
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the guardian: %w", err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		_, _ = inR.Close(), inW.Close()
		return nil, fmt.Errorf("make a pipe for the guardian: %w", err)
	}
	own, cancel := context.WithCancel(ctx)
	g := &guardian{stdin: inW, cancel: cancel, born: now}
	w.work.Go(func() {
		s, err := w.open(own, inR, outW)
		_, _ = inR.Close(), outW.Close()
		end := w.attend(ctx, g, s, err, nonce, outR)
		w.post(ctx, func(now time.Time) { w.guardianEnded(now, g, end) })
	})
	g.send(string(guardianFrame(nonce, w.spec.Silence)))
	return g, nil
}

// guardianEnd is what a guardian's session ended with. There was none where
// err is set.
type guardianEnd struct {
	exit proc.Exit
	said *sshcmd.Error
	err  error
}

// attend reads what a guardian says until its end.
func (w *warden) attend(ctx context.Context, g *guardian, s guardSession, err error, nonce string, out *os.File) guardianEnd {
	defer out.Close() //nolint:errcheck // it was read only
	if err != nil {
		end := guardianEnd{exit: proc.Exit{Code: noStatus}}
		if !errors.As(err, &end.said) {
			end.err = err
		}
		return end
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.readAnswers(ctx, g, nonce, out)
	}()
	exit, _ := s.Wait()
	// A master that is stopped still holds the other end.
	_ = out.SetReadDeadline(time.Now().Add(drain))
	<-read
	return guardianEnd{exit: exit, said: sshcmd.ClassifySession(w.spec.Host, exit.Code, s.Words())}
}

// readAnswers posts the lines that carry the nonce. Lines are cut at their
// bound, and a host that never stops talking is not listened to any more.
func (w *warden) readAnswers(ctx context.Context, g *guardian, nonce string, out io.Reader) {
	limited := &io.LimitedReader{R: out, N: maxAnswers}
	lines := bufio.NewReaderSize(limited, maxAnswer)
	for whole := true; ; {
		line, more, err := lines.ReadLine()
		if err != nil {
			break
		}
		if answer, ok := strings.CutPrefix(string(line), nonce+" "); ok && whole {
			w.post(ctx, func(now time.Time) { w.heard(now, g, answer) })
		}
		whole = !more
	}
	if limited.N == 0 {
		g.cancel()
	}
}
