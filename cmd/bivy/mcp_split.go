//go:build split

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"bivy/exec/proc"
)

// mcpProgram is bivy with all that the protocol takes: the same command line. A
// program that holds that starts 0.7 ms later, whatever it does (a tenth of a
// warm command), so a build with the tag split leaves it to a second one.
const mcpProgram = "bivy-mcp"

// Run becomes the program beside us that speaks the protocol.
func (*McpCmd) Run(context.Context, *App) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find %s beside bivy: %w", mcpProgram, err)
	}
	path := filepath.Join(filepath.Dir(self), mcpProgram)
	return fmt.Errorf("%w; it is installed beside bivy (just build)", proc.Become(path, os.Args, os.Environ()))
}
