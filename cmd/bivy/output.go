package main

import (
	"errors"
	"io"
	"syscall"

	"bivy/exec"
)

// output is where the command's streams go: as they are to pipes and files,
// filtered to a terminal, as JSON lines under --json.
type output struct {
	stdout, stderr io.Writer
	ends           []func()
}

func newOutput(ui *UI, raw bool) *output {
	o := &output{}
	if ui.JSON {
		lines := &jsonLines{ui: ui}
		for name, to := range map[string]*io.Writer{"stdout": &o.stdout, "stderr": &o.stderr} {
			stream := lines.stream(name)
			shown := ui.secrets.Writer(stream)
			*to, o.ends = shown, append(o.ends, func() { _ = shown.Close() }, stream.flush)
		}
		return o
	}
	var end func()
	o.stdout, end = ui.safe(ui.Out, raw)
	o.ends = append(o.ends, end)
	o.stderr, end = ui.safe(ui.Err, raw)
	o.ends = append(o.ends, end)
	return o
}

func (o *output) end() {
	for _, end := range o.ends {
		end()
	}
}

// outputFailed picks out the output whose reader is gone, which is no failure
// to speak of.
func outputFailed(err error) error {
	var output *exec.OutputError
	if errors.As(err, &output) && errors.Is(output, syscall.EPIPE) {
		return errOutputClosed
	}
	return err
}
