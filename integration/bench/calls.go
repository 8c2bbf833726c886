package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"bivy/exec/proc"
)

// inTurn times two commands alternately, after one call of each for warmth.
func (b *bench) inTurn(ctx context.Context, calls int, bivy, plain []string) (bivys, plains []float64, err error) {
	for i := range calls + 1 {
		one, err := b.time(ctx, bivy...)
		if err != nil {
			return nil, nil, err
		}
		other, err := b.time(ctx, plain...)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 {
			bivys, plains = append(bivys, milliseconds(one)), append(plains, milliseconds(other))
		}
	}
	return bivys, plains, nil
}

func measureStart(ctx context.Context, b *bench, o options) ([]figure, error) {
	f := figure{Name: "bivy --version", Against: "/bin/true", Kind: difference, Unit: "ms", Goal: 10}
	var err error
	f.Bivys, f.Plains, err = b.inTurn(ctx, o.Calls, []string{b.bivy, "--version"}, []string{"/bin/true"})
	return []figure{f.settle()}, err
}

func measureExec(ctx context.Context, b *bench, o options) ([]figure, error) {
	f := figure{Name: "bivy exec of true, warm", Against: "ssh -S", Kind: difference, Unit: "ms", Goal: 12}
	var err error
	f.Bivys, f.Plains, err = b.inTurn(ctx, o.Calls, []string{b.bivy, "exec", "--host", host, "--", "true"}, b.plain("true"))
	if err != nil {
		return nil, err
	}
	phases, err := measurePhases(ctx, b, max(o.Calls/4, 1))
	return append([]figure{f.settle()}, phases...), err
}

// logLine is what bivy -vv says of a step, in milliseconds.
type logLine struct {
	Message string  `json:"message"`
	Took    float64 `json:"took"`
}

// measurePhases reads bivy's own log: where the time of a warm exec goes.
func measurePhases(ctx context.Context, b *bench, calls int) ([]figure, error) {
	phase := func(name string) figure { return figure{Name: "  " + name, Kind: remark, Unit: "ms"} }
	own, start, end := phase("bivy itself, before and after ssh"), phase("ssh, until the command's start"), phase("ssh, from then on")
	for range calls {
		words, err := os.CreateTemp(b.dir, "log-")
		if err != nil {
			return nil, err
		}
		total, err := b.logged(ctx, words)
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(words.Name())
		if err != nil {
			return nil, err
		}
		var toStart, ssh float64
		for line := range bytes.Lines(data) {
			var l logLine
			if json.Unmarshal(line, &l) != nil {
				continue
			}
			switch l.Message {
			case "command started":
				toStart = l.Took
			case "process ended", "session ended": // by ssh, or directly
				ssh += l.Took
			}
		}
		if toStart == 0 || ssh == 0 {
			return nil, fmt.Errorf("bivy -vv does not say how long its steps took: %s", data)
		}
		own.Bivys = append(own.Bivys, total-ssh)
		start.Bivys = append(start.Bivys, toStart)
		end.Bivys = append(end.Bivys, ssh-toStart)
	}
	return []figure{own.settle(), start.settle(), end.settle()}, nil
}

// logged runs one exec with its log in a file, and returns its time.
func (b *bench) logged(ctx context.Context, words *os.File) (float64, error) {
	defer words.Close() //nolint:errcheck // read by its name
	began := now()
	exit, err := proc.Run(ctx, proc.Spec{
		Args: []string{b.bivy, "-vv", "--json", "exec", "--host", host, "--", "true"}, Env: b.env, Stderr: words,
	})
	if err == nil && !exit.OK() {
		err = fmt.Errorf("bivy exec -vv: %s", exit)
	}
	return began.since(), err
}
