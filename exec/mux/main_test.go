package mux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"bivy/exec/proc"
	"bivy/internal/leak"
	"bivy/sshcmd"
)

// The test binary plays three programs: itself, the holder of a master, and a
// process of bivy that takes a lease.
func TestMain(m *testing.M) {
	proc.UnignoreSignals() // the tests may run under nohup
	role := ""
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch role {
	case "holder":
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		err := Hold(ctx, os.NewFile(LinkFD, "starter"))
		stop()
		exitWith(err)
	case "lease":
		exitWith(leaseUntilEOF(context.Background()))
	}
	leak.Main(m)
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// leaseRequest is what the role lease reads first from stdin.
type leaseRequest struct {
	Config Config
	Target Target
}

// leaseUntilEOF takes a lease, says "leased" or why not, and gives it back at
// the end of stdin.
func leaseUntilEOF(ctx context.Context) error {
	dec := json.NewDecoder(os.Stdin)
	var req leaseRequest
	if err := dec.Decode(&req); err != nil {
		return err
	}
	m, err := Open(req.Config)
	if err != nil {
		return err
	}
	l, err := m.Lease(ctx, req.Target)
	var said *sshcmd.Error
	switch {
	case errors.As(err, &said):
		fmt.Println(said.Class)
		return nil
	case err != nil:
		fmt.Println(err)
		return nil
	}
	defer l.Release()
	fmt.Println("leased")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
