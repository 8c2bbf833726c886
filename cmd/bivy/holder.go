package main

import (
	"context"
	"os"

	"bivy/exec/mux"
	"bivy/exec/proc"
)

// HolderCmd is the process that holds a master. bivy starts it itself, with
// the socket to the starter as descriptor 3.
type HolderCmd struct{}

// Run holds the master until it ends.
func (*HolderCmd) Run(ctx context.Context, _ *App) error {
	link := os.NewFile(mux.LinkFD, "starter")
	if _, err := link.Stat(); err != nil {
		return usagef("bivy holder is started by bivy itself")
	}
	// Under nohup ssh and its proxies would not hear the holder's hang-up.
	proc.UnignoreSignals()
	return mux.Hold(ctx, link)
}
