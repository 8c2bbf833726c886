// Command bench measures what bivy costs beside plain ssh and git: both sides
// of each figure in one run on one machine, in turn, as medians. Only the
// ratios and differences mean something; the goals are those of the README.
//
//	go run ./integration/bench [--json] [--only exec,start,direct,files,transfer,tree,sync,stream,crowd] [--calls 100] [--rounds 3] [--mib 1024] [--crowd 500]
//
// It starts a real sshd of its own on 127.0.0.1, whose account has no rc
// files, and builds bivy. It needs git, ssh, sshd and about 2 GB of /tmp.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"bivy/integration/sshdtest"
)

// options are the flags.
type options struct {
	JSON   bool
	Only   string
	Calls  int
	Rounds int
	MiB    int
	Crowd  int
}

func main() {
	var o options
	flag.BoolVar(&o.JSON, "json", false, "print one JSON object")
	flag.StringVar(&o.Only, "only", "exec,start,direct,files,transfer,tree,sync,stream,crowd", "which figures, by comma")
	flag.IntVar(&o.Calls, "calls", 100, "how often the short commands run")
	flag.IntVar(&o.Rounds, "rounds", 3, "how often the long ones run")
	flag.IntVar(&o.MiB, "mib", 1024, "size of the stream in MiB")
	flag.IntVar(&o.Crowd, "crowd", 500, "how many commands of a crowd")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure is a group of figures with its name for --only.
type measure struct {
	name string
	run  func(context.Context, *bench, options) ([]figure, error)
}

var measures = []measure{
	{"start", measureStart},
	{"exec", measureExec},
	{"direct", measureDirect},
	{"files", measureFiles},
	{"transfer", measureTransfer},
	{"stream", measureStream},
	{"tree", measureTree},
	{"sync", measureSync},
	{"crowd", measureCrowd},
}

func run(ctx context.Context, o options, out io.Writer) error {
	only := strings.Split(o.Only, ",")
	for _, name := range only {
		if !slices.ContainsFunc(measures, func(m measure) bool { return m.name == name }) {
			return fmt.Errorf("--only %s: there are exec, start, direct, files, transfer, tree, sync, stream and crowd", name)
		}
	}
	if o.Calls < 1 || o.Rounds < 1 || o.MiB < 1 || o.Crowd < 1 {
		return fmt.Errorf("--calls %d --rounds %d --mib %d --crowd %d: each must be at least 1", o.Calls, o.Rounds, o.MiB, o.Crowd)
	}
	b, err := newBench(ctx, sshdtest.Options{})
	if err != nil {
		return err
	}
	defer b.close()
	var all []figure
	for _, m := range measures {
		if !slices.Contains(only, m.name) {
			continue
		}
		figures, err := m.run(ctx, b, o)
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
		all = append(all, figures...)
		if !o.JSON {
			for _, f := range figures {
				if _, err := fmt.Fprintln(out, f); err != nil {
					return err
				}
			}
		}
	}
	if !o.JSON {
		return nil
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(report{Format: 1, Figures: all})
}
