package sshcmd

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (v verdict) wantLine() string {
	if v.line == "" && v.class != ClassNone {
		return strings.TrimSpace(v.log)
	}
	return v.line
}

func TestClassify(t *testing.T) {
	for _, v := range verdicts {
		t.Run(v.name, func(t *testing.T) {
			got := Classify("h", 255, v.log)
			want := &Error{Class: v.class, Host: "h", ExitCode: 255, Log: v.log, Line: v.wantLine()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Classify (-want +got):\n%s", diff)
			}
		})
	}
}

// In a hermetic session a connection that "closed" never was one.
func TestClassifySession(t *testing.T) {
	const kex = "kex_exchange_identification: Connection closed by remote host\r\n"
	noMaster := "no master at the control socket (kex_exchange_identification: Connection closed by remote host)"
	for _, v := range []verdict{
		{"no socket", kex, ClassMux, noMaster},
		{"no socket, both lines", proxyEnd, ClassMux, "no master at the control socket (Connection closed by UNKNOWN port 65535)"},
		{"no socket, scp", kex + "scp: Connection closed\r\n", ClassMux, noMaster},
		{"no socket, git", kex + "fatal: Could not read from remote repository.\n", ClassMux, noMaster},
		{
			"no socket, proxy gone at once", "banner exchange: Connection to UNKNOWN port 65535: Broken pipe\r\n", ClassMux,
			"no master at the control socket (banner exchange: Connection to UNKNOWN port 65535: Broken pipe)",
		},
		{"stale socket", "Control socket connect(/s): Connection refused\r\n" + kex, ClassMux, "Control socket connect(/s): Connection refused"},
		{"refused", refusedSession + kex, ClassMuxRefused, strings.TrimSpace(refusedSession)},
		{"reply lost", "mux_client_request_session: read from master failed: Broken pipe\r\n" + kex, ClassConnectionLost, "mux_client_request_session: read from master failed: Broken pipe"},
		{"log cannot be opened", "Couldn't open logfile /x/y: No such file or directory", ClassConfig, ""},
		{"silent end", "", ClassNone, ""},
		{"no terminal", "PTY allocation request failed on channel 2\r\n", ClassTTY, ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			got := ClassifySession("h", 255, v.log)
			want := &Error{Class: v.class, Host: "h", ExitCode: 255, Log: v.log, Line: v.wantLine()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("ClassifySession (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	for _, tc := range []struct {
		err        *Error
		text, hint string
	}{
		{nil, "no failure of ssh", ""},
		{
			Classify("gpu1", 255, "ssh: connect to host 10.0.0.1 port 22: Connection refused\r\n"),
			"cannot reach gpu1: ssh: connect to host 10.0.0.1 port 22: Connection refused",
			"check that sshd runs there; `ssh -G gpu1` shows the address and port that ssh uses",
		},
		{
			Classify("gpu1", 255, changedBlock),
			"the host key of gpu1 has changed or was revoked: Offending ED25519 key in /x/known_hosts:3",
			"find out why before you go on: it may be an attack; if the new key is right, remove the old one with ssh-keygen -R",
		},
		{
			Classify("gpu1", 255, "u@h: Permission denied (publickey).\r\n"),
			"gpu1 refused the login: u@h: Permission denied (publickey)",
			"log in once with `bivy host connect gpu1`; `ssh-add -l` shows the keys of the agent",
		},
		{
			Classify("gpu1", 255, "sign_and_send_pubkey: signing failed for ED25519 \"k\" from agent: agent refused operation\nu@h: Permission denied (publickey)."),
			"gpu1 refused the login: u@h: Permission denied (publickey)",
			"the agent refused to sign: unlock it or touch the key, with `bivy host connect gpu1`",
		},
		{
			Classify("gpu1", 255, "\x1b]0;owned\a\x1b[31mworkspace \xffstopped\u202e\n"+proxyEnd),
			`the ProxyCommand or jump host for gpu1 failed: \u001b]0;owned\u0007\u001b[31mworkspace \xffstopped\u202e`,
			"try the proxy by itself; `ssh -v gpu1` shows how it is started",
		},
		{
			Classify("", 137, ""),
			"ssh to the host failed with status 137 and gave no reason",
			"ssh was ended from outside or lost its master; `bivy host ls` shows the connections that are up",
		},
		{Classify("h", 255, "the moon is full"), "ssh to h failed: the moon is full", "`ssh -v h` shows more"},
	} {
		if got := tc.err.Error(); got != tc.text {
			t.Errorf("Error() = %q, want %q", got, tc.text)
		}
		if got := tc.err.Hint(); got != tc.hint {
			t.Errorf("Hint() = %q, want %q", got, tc.hint)
		}
	}
}

// Every class has a sentence of its own and a hint, and is not both transient
// and permanent.
func TestClassesAreComplete(t *testing.T) {
	seen := map[Class]bool{}
	for _, v := range verdicts {
		seen[v.class] = true
		if v.class.Transient() && v.class.Permanent() {
			t.Errorf("class %q is transient and permanent", v.class)
		}
		if neither := !v.class.Transient() && !v.class.Permanent(); neither != (v.class == ClassNone || v.class == ClassUnknown) {
			t.Errorf("class %q: transient %v, permanent %v", v.class, v.class.Transient(), v.class.Permanent())
		}
		if (&Error{Class: v.class, Host: "h"}).Hint() == "" {
			t.Errorf("class %q has no hint", v.class)
		}
	}
	for class := range sentences {
		if !seen[class] {
			t.Errorf("class %q is in no test", class)
		}
	}
	if want := len(sentences) + 2; len(seen) != want {
		t.Errorf("%d classes are tested, want %d: those with a sentence, none and unknown", len(seen), want)
	}
}

func TestErrorIsFoundByType(t *testing.T) {
	err := fmt.Errorf("start the master: %w", Classify("h", 255, "u@h: Permission denied (publickey)."))
	var typed *Error
	if !errors.As(err, &typed) || typed.Class != ClassAuth {
		t.Errorf("errors.As gives %+v", typed)
	}
}

func FuzzClassify(f *testing.F) {
	for _, v := range verdicts {
		f.Add(v.log)
	}
	f.Fuzz(func(t *testing.T, log string) {
		for _, e := range []*Error{Classify("h", 255, log), ClassifySession("h", 255, log)} {
			if e.Log != log {
				t.Error("the log was changed")
			}
			if (e.Class == ClassNone) != (e.Line == "") {
				t.Errorf("class %q with line %q", e.Class, e.Line)
			}
			if len(e.Line) > maxLine+20 {
				t.Errorf("a line of %d bytes", len(e.Line))
			}
			if i := strings.IndexFunc(e.Error(), func(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }); i >= 0 {
				t.Errorf("control character at %d of %q", i, e.Error())
			}
		}
	})
}
