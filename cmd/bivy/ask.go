package main

import (
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"bivy/internal/termsafe"
)

// ask asks a question at a terminal, without an echo where the answer is
// hidden. A signal ends it, and the terminal is as before.
func ask(in, out *os.File, question string, hidden bool) (string, error) {
	if _, err := io.WriteString(out, "bivy: "+termsafe.Line(question, 500)+": "); err != nil {
		return "", err
	}
	modes, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	type said struct {
		text string
		err  error
	}
	answer := make(chan said, 1)
	go func() { // it ends with the answer, or with the process
		if hidden {
			text, err := term.ReadPassword(int(in.Fd()))
			answer <- said{string(text), err}
			return
		}
		text, err := readLine(in)
		answer <- said{strings.TrimSpace(text), err}
	}()
	select {
	case a := <-answer:
		if hidden {
			_, _ = io.WriteString(out, "\n") // the user's own was not shown
		}
		return a.text, a.err
	case s := <-signals:
		_ = term.Restore(int(in.Fd()), modes)
		_, _ = io.WriteString(out, "\n")
		return "", &signalError{s}
	}
}

// readLine reads a line byte by byte: what follows is not ours.
func readLine(from io.Reader) (string, error) {
	var line strings.Builder
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(from, b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return line.String(), nil
		}
		line.WriteByte(b[0])
	}
}
