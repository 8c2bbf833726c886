package exec

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bivy/sshcmd"
)

func said(class sshcmd.Class) *sshcmd.Error { return &sshcmd.Error{Class: class, Host: "gpu1"} }

func TestOutcome(t *testing.T) {
	t.Parallel()
	begun := marks{started: true, pid: 5}
	exited := marks{started: true, exited: true}
	killed := marks{started: true, exited: true, code: 137, signal: 9}
	cut := marks{started: true, exited: true, ended: true, code: 143, signal: 15}
	for name, c := range map[string]struct {
		e     evidence
		state State
		class sshcmd.Class
	}{
		"exited":                           {evidence{marks: exited, sent: true}, Exited, ""},
		"exited, then the link was lost":   {evidence{marks: exited, sent: true, sshCode: 255, said: said(sshcmd.ClassConnectionLost)}, Exited, ""},
		"exited before the cancel":         {evidence{marks: exited, sent: true, canceled: true}, Exited, ""},
		"exited before the timeout":        {evidence{marks: exited, sent: true, timedOut: true}, Exited, ""},
		"signaled":                         {evidence{marks: killed, sent: true}, Signaled, ""},
		"signaled before the cancel":       {evidence{marks: killed, sent: true, canceled: true}, Signaled, ""},
		"ended for a timeout":              {evidence{marks: cut, sent: true, timedOut: true}, TimedOut, ""},
		"ended for a cancel":               {evidence{marks: cut, sent: true, canceled: true}, Canceled, ""},
		"ended for a timeout, canceled":    {evidence{marks: cut, sent: true, canceled: true, timedOut: true}, TimedOut, ""},
		"ended for nobody that we know":    {evidence{marks: cut, sent: true}, Unknown, sshcmd.ClassConnectionLost},
		"no directory":                     {evidence{marks: marks{failed: "dir"}, sent: true, sshCode: 1, masterAlive: true}, NeverStarted, ""},
		"no directory, link lost":          {evidence{marks: marks{failed: "dir"}, sent: true, sshCode: 255, said: said(sshcmd.ClassConnectionLost)}, NeverStarted, ""},
		"session refused":                  {evidence{sent: true, sshCode: 255, masterAlive: true, said: said(sshcmd.ClassMuxRefused)}, NeverStarted, sshcmd.ClassMuxRefused},
		"master gone before":               {evidence{sent: true, sshCode: 255, said: said(sshcmd.ClassMux)}, NeverStarted, sshcmd.ClassMux},
		"nothing was sent":                 {evidence{sshCode: 255, said: said(sshcmd.ClassTTY)}, NeverStarted, sshcmd.ClassTTY},
		"unread, the master gone":          {evidence{sshCode: 255}, NeverStarted, sshcmd.ClassMux},
		"unread, the master broke off":     {evidence{sshCode: 255, masterAlive: true, said: said(sshcmd.ClassConnectionLost)}, NeverStarted, sshcmd.ClassMux},
		"unread, ssh gone without a word":  {evidence{sshCode: 255, masterAlive: true, said: said("")}, NeverStarted, sshcmd.ClassMux},
		"unread, no answer at all":         {evidence{sshCode: 255, masterAlive: true, gaveUp: true, said: said("")}, NeverStarted, sshcmd.ClassTimeout},
		"another shell":                    {evidence{sent: true, sshCode: 0, masterAlive: true}, NeverStarted, ""},
		"no sh":                            {evidence{sent: true, sshCode: 127, masterAlive: true}, NeverStarted, ""},
		"another shell, though its 255":    {evidence{sent: true, sshCode: 255, masterAlive: true, said: said("")}, Unknown, ""},
		"lost before the start":            {evidence{sent: true, sshCode: 255, said: said(sshcmd.ClassConnectionLost)}, Unknown, sshcmd.ClassConnectionLost},
		"lost after the start":             {evidence{marks: begun, sent: true, sshCode: 255, said: said(sshcmd.ClassConnectionLost)}, Unknown, sshcmd.ClassConnectionLost},
		"lost after the start, in silence": {evidence{marks: begun, sent: true, sshCode: 255, said: said("")}, Unknown, sshcmd.ClassConnectionLost},
		"mux trouble after the start":      {evidence{marks: begun, sent: true, sshCode: 255, said: said(sshcmd.ClassMux)}, Unknown, sshcmd.ClassConnectionLost},
		"session killed on the host":       {evidence{marks: begun, sent: true, sshCode: 255, masterAlive: true, said: said("")}, Unknown, ""},
		"session ended without a report":   {evidence{marks: begun, sent: true, sshCode: 0, masterAlive: true}, Unknown, ""},
		"timeout, no answer":               {evidence{marks: begun, sent: true, sshCode: 255, masterAlive: true, timedOut: true}, TimedOut, ""},
		"cancel, no answer":                {evidence{marks: begun, sent: true, sshCode: 255, masterAlive: true, canceled: true}, Canceled, ""},
		"canceled before the start":        {evidence{sent: true, sshCode: 255, masterAlive: true, canceled: true}, Canceled, ""},
		"start and failure: a lying host":  {evidence{marks: marks{started: true, failed: "dir"}, sent: true, masterAlive: true}, Unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, class := outcome(c.e)
			if state != c.state || class != c.class {
				t.Errorf("outcome is %s %q, want %s %q", state, class, c.state, c.class)
			}
		})
	}
}

// everyEvidence is the full product of what decides an outcome.
func everyEvidence(visit func(e evidence)) {
	var ms []marks
	for _, failed := range []string{"", "dir"} {
		ms = append(ms, marks{failed: failed}, marks{started: true, failed: failed})
		for _, ended := range []bool{false, true} {
			for _, signal := range []int{0, 9} {
				for _, code := range []int{0, 137, 255} {
					ms = append(ms, marks{started: true, failed: failed, exited: true, ended: ended, signal: signal, code: code})
				}
			}
		}
	}
	saids := []*sshcmd.Error{nil, said(sshcmd.ClassNone), said(sshcmd.ClassMuxRefused), said(sshcmd.ClassMux), said(sshcmd.ClassConnectionLost), said(sshcmd.ClassUnknown), said(sshcmd.ClassTTY)}
	flags := []bool{false, true}
	for _, m := range ms {
		for _, s := range saids {
			for _, code := range []int{0, 1, 127, 137, 143, 255} {
				for _, alive := range flags {
					for _, canceled := range flags {
						for _, timedOut := range flags {
							for _, sent := range flags {
								for _, gaveUp := range flags {
									visit(evidence{
										marks: m, said: s, sshCode: code, masterAlive: alive, canceled: canceled, timedOut: timedOut,
										sent: sent, gaveUp: gaveUp,
									})
								}
							}
						}
					}
				}
			}
		}
	}
}

func TestOutcomeInvariants(t *testing.T) {
	t.Parallel()
	n, broken := 0, 0
	everyEvidence(func(e evidence) {
		n++
		if broken > 20 {
			return
		}
		state, class := outcome(e)
		m := e.marks
		for rule, holds := range map[string]bool{
			"never_started only without a start mark":  state != NeverStarted || !m.started,
			"exited and signaled need an exit mark":    state != Exited && state != Signaled || m.exited,
			"signaled needs evidence":                  state != Signaled || m.signal != 0,
			"exited has no evidence of a signal":       state != Exited || m.signal == 0,
			"an own end is never unknown":              !m.exited || m.ended && !e.canceled && !e.timedOut || state != Unknown && state != NeverStarted,
			"timed_out needs our timeout":              state != TimedOut || e.timedOut,
			"canceled needs our cancel":                state != Canceled || e.canceled,
			"an own end is not ours":                   !m.exited || m.ended || state == Exited || state == Signaled,
			"ours is not its own":                      !m.ended || state != Exited && state != Signaled,
			"what is known to have run is not retried": !m.started || !retryable(class),
			"retryable only if it never started":       !retryable(class) || state == NeverStarted || state == Canceled && !m.started,
			"unknown has nobody to blame":              state != Unknown || !e.canceled && !e.timedOut,
			"a lost link is said to be one":            state != Unknown || e.masterAlive || class == sshcmd.ClassConnectionLost,
			"certain states have no class":             state != Exited && state != Signaled || class == sshcmd.ClassNone,
			"a state":                                  state != "",
		} {
			if !holds {
				broken++
				t.Errorf("%s: %+v (ssh said %v) gives %s %q", rule, e, e.said, state, class)
			}
		}
	})
	if n < 10_000 {
		t.Errorf("only %d combinations", n)
	}
}

func TestSignalPossible(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{0: 0, 1: 0, 127: 0, 128: 0, 129: 1, 130: 2, 137: 9, 143: 15, 192: 64, 193: 0, 255: 0} {
		if got := signalPossible(code); got != want {
			t.Errorf("signalPossible(%d) = %d, want %d", code, got, want)
		}
	}
}

func TestSignalName(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1: "HUP", 2: "INT", 6: "ABRT", 9: "KILL", 11: "SEGV", 13: "PIPE", 15: "TERM", 24: "XCPU", 34: "34", 0: "0", 64: "64"} {
		if got := SignalName(n); got != want {
			t.Errorf("SignalName(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestMergeMarks(t *testing.T) {
	t.Parallel()
	all := marks{started: true, pid: 1, pgid: 2, bootID: "b", exited: true, code: 137, signal: 9, ended: true}
	begun := marks{started: true, pid: 1, pgid: 2, bootID: "b"}
	for name, c := range map[string]struct{ out, err, want marks }{
		"nothing":               {},
		"only stdout":           {out: all, want: all},
		"only stderr":           {err: all, want: all},
		"both":                  {out: all, err: all, want: all},
		"end only on stderr":    {out: begun, err: all, want: all},
		"end only on stdout":    {out: all, err: begun, want: all},
		"failure on stderr":     {err: marks{failed: "dir"}, want: marks{failed: "dir"}},
		"two stories: stdout's": {out: marks{started: true, pid: 1, exited: true, code: 1}, err: all, want: marks{started: true, pid: 1, exited: true, code: 1}},
	} {
		if diff := cmp.Diff(c.want, merge(c.out, c.err), allowMarks); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEnvVarCheck(t *testing.T) {
	t.Parallel()
	for v, good := range map[EnvVar]bool{
		{"A", ""}: true, {"a_1", "x\ny"}: true, {"_X", "\xff"}: true, {"PATH", "/bin"}: true, {"B_dir", "x"}: true, {"UIDX", "1"}: true,
		{"", "x"}: false, {"1A", "x"}: false, {"A-B", "x"}: false, {"A B", "x"}: false, {"A=B", "x"}: false, {"é", "x"}: false,
		{"A\n", "x"}: false, {"$(id)", "x"}: false, {"UID", "0"}: false, {"EUID", "0"}: false, {"PPID", "1"}: false, {"_", "x"}: false,
		{"SHELLOPTS", "x"}: false, {"BASHOPTS", "x"}: false, {"BASH_VERSINFO", "x"}: false, {"A", "x\x00y"}: false,
	} {
		err := v.Check()
		var bad *EnvError
		if good && err != nil || !good && !errors.As(err, &bad) {
			t.Errorf("check of %+q: %v", v, err)
		} else if !good && (bad.Name != v.Name || !strings.Contains(err.Error(), bad.Why) || bad.Why == "") {
			t.Errorf("error of %+q: %v", v, err)
		}
	}
}

func TestCommandCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		c    Command
		want string // a part of the error; empty: none
	}{
		"argv":          {Command{Argv: []string{"a", "", "\xff\n"}}, ""},
		"script":        {Command{Script: "x"}, ""},
		"nothing":       {Command{}, "no command"},
		"both":          {Command{Argv: []string{"a"}, Script: "b"}, "both"},
		"empty name":    {Command{Argv: []string{"", "a"}}, "name is empty"},
		"NUL in argv":   {Command{Argv: []string{"a", "b\x00"}}, "NUL"},
		"NUL in script": {Command{Script: "a\x00"}, "NUL"},
		"NUL in dir":    {Command{Script: "a", Dir: "\x00"}, "NUL"},
		"bad variable":  {Command{Script: "a", Env: []EnvVar{{"A", ""}, {"B C", ""}}}, `"B C"`},
	} {
		err := c.c.check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func TestGrace(t *testing.T) {
	t.Parallel()
	for in, want := range map[time.Duration]time.Duration{0: DefaultGrace, time.Millisecond: time.Second, time.Second: time.Second, time.Minute: time.Minute} {
		if got := (Command{Grace: in}).grace(); got != want {
			t.Errorf("grace of %s is %s, want %s", in, got, want)
		}
	}
}

func TestParseLogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		out  string
		want Login
		vars []EnvVar
	}{
		"nothing":         {"", LoginPath, nil},
		"no mark":         {"PATH=/bin\x00", LoginPath, nil},
		"path":            {"motd\n[bivy:env]PATH=/a:/b\x00LANG=C.UTF-8\x00", LoginPath, []EnvVar{{"PATH", "/a:/b"}, {"LANG", "C.UTF-8"}}},
		"no LANG":         {"[bivy:env]PATH=/a\x00LANG=\x00", LoginPath, []EnvVar{{"PATH", "/a"}}},
		"path, not more":  {"[bivy:env]PATH=/a\x00LD_PRELOAD=/x\x00", LoginPath, []EnvVar{{"PATH", "/a"}}},
		"full":            {"[bivy:env]A=1\x00B=x=y\nz\x00", LoginFull, []EnvVar{{"A", "1"}, {"B", "x=y\nz"}}},
		"the shell's own": {"[bivy:env]PWD=/\x00OLDPWD=/\x00SHLVL=2\x00_=/bin/env\x00SSH_CLIENT=x\x00B_print=x\x00UID=0\x00K=v\x00", LoginFull, []EnvVar{{"K", "v"}}},
		"functions":       {"[bivy:env]BASH_FUNC_f%%=() { :; }\x00K=v\x00", LoginFull, []EnvVar{{"K", "v"}}},
		"junk":            {"[bivy:env]no equals\x00=x\x00\x00\xff=1\x00K=\xff\x00", LoginFull, []EnvVar{{"K", "\xff"}}},
	} {
		if diff := cmp.Diff(c.vars, parseLogin([]byte(c.out), c.want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLoginOutputIsBounded(t *testing.T) {
	t.Parallel()
	var l limited
	piece := make([]byte, 300<<10)
	for range 10 {
		if n, err := l.Write(piece); n != len(piece) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if l.Len() != maxLoginEnv {
		t.Errorf("kept %d bytes, want %d", l.Len(), maxLoginEnv)
	}
}

// Whatever a host says is safe for a terminal in an error, and on one line.
func TestErrorsAreSafeAndSayWhatToKnow(t *testing.T) {
	t.Parallel()
	const evil = "first\nlast \x1b]0;title\x07words"
	for want, err := range map[string]error{
		"no directory":                   &NotStartedError{Host: "gpu1", Dir: evil},
		"status 3":                       &NotStartedError{Host: "gpu1", ExitCode: 3, Noise: evil},
		"gpu1":                           &NotStartedError{Host: "gpu1", Said: said(sshcmd.ClassMuxRefused)},
		"link to gpu1 was lost":          &LostError{Host: "gpu1", Started: true, Words: evil},
		"link is up":                     &LostError{Host: "gpu1", Started: true, MasterAlive: true, Words: evil},
		"no word":                        &LostError{Host: "gpu1", MasterAlive: true},
		"for 3s and was ended":           &TimeoutError{Host: "gpu1", After: 3 * time.Second, Confirmed: true},
		"did not confirm that it did":    &TimeoutError{Host: "gpu1", After: 3 * time.Second},
		"before the command started":     &CanceledError{Host: "gpu1"},
		"the command on gpu1 was ended":  &CanceledError{Host: "gpu1", Started: true, Confirmed: true},
		"did not confirm that the comma": &CanceledError{Host: "gpu1", Started: true},
	} {
		msg := err.Error()
		if !strings.Contains(msg, want) || strings.ContainsAny(msg, "\x1b\x07\n") {
			t.Errorf("%T says %q, want %q in it and nothing for terminals", err, msg, want)
		}
	}
	var not error = &NotStartedError{Said: said(sshcmd.ClassMux)}
	var ssh *sshcmd.Error
	if !errors.As(fmt.Errorf("run: %w", not), &ssh) || ssh.Class != sshcmd.ClassMux {
		t.Error("what ssh said is not to be found in the error")
	}
	if !errors.Is(&CanceledError{Cause: io.ErrShortWrite}, io.ErrShortWrite) {
		t.Error("the cause is not to be found in the error")
	}
}
