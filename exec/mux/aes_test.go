package mux

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bivy/exec/proc"
)

// cpuInfos are files /proc/cpuinfo, and whether they list AES.
var cpuInfos = map[string]bool{
	"processor\t: 0\nflags\t\t: fpu sse2 pclmulqdq ssse3 aes avx\n": true,
	"Features\t: fp asimd evtstrm aes pmull sha1\n":                 true,
	"flags\t\t: fpu pclmulqdq ssse3 vaes vpclmulqdq\n":              false,
	"flags\t\t: fpu aes avx\n":                                      false,
	"flags\t\t: fpu pclmulqdq\nflags\t\t: aes\n":                    false,
	"": false,
}

// TestListsAES: we and every shell of a host read them alike.
func TestListsAES(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cpuinfo")
	if listsAES(file) {
		t.Error("a file that is missing lists AES")
	}
	for text, want := range cpuInfos {
		writeText(t, file, text)
		if got := listsAES(file); got != want {
			t.Errorf("%.60q is read as %v", text, got)
		}
	}
	// On a large machine we do not read to the end.
	writeText(t, file, strings.Repeat("x", maxCPUInfo)+"\nflags\t: pclmulqdq aes\n")
	if listsAES(file) {
		t.Error("all of a long file is read")
	}
	eachShell(t, func(t *testing.T, sh shell) {
		file := filepath.Join(t.TempDir(), "cpuinfo")
		script := "B_nonce=n\n" + strings.ReplaceAll(aesScript, "/proc/cpuinfo", file) + "\nbivy_aes\n"
		for text, want := range cpuInfos {
			writeText(t, file, text)
			if got := shellSays(t, sh, script); (got == "\nn aes 1\n") != want || !want && got != "\nn aes 0\n" {
				t.Errorf("%.60q makes the shell say %q", text, got)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if got := shellSays(t, sh, "sysctl() { echo unknown oid >&2; return 1; }\n"+script); got != "\nn aes 0\n" {
			t.Errorf("without /proc and names that sysctl knows it says %q", got)
		}
		if got := shellSays(t, sh, "sysctl() { echo 1; }\n"+script); got != "\nn aes 1\n" {
			t.Errorf("on a Mac it says %q", got)
		}
	})
}

// shellSays is all that a script prints.
func shellSays(t *testing.T, sh shell, script string) string {
	t.Helper()
	var said text
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := proc.Run(ctx, proc.Spec{Args: append(append([]string{}, sh.argv...), "-c", script), Stdout: &said, Stderr: &said, Isolation: proc.Session})
	if err != nil {
		t.Fatal(err)
	}
	return said.String()
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestGuardianTellsOfAES: every shell finds out what this processor has, which
// we know ourselves, before it is ready.
func TestGuardianTellsOfAES(t *testing.T) {
	t.Parallel()
	want := "0"
	if hasAES() {
		want = "1"
	}
	eachShell(t, func(t *testing.T, sh shell) {
		h := newHost(t, sh, time.Hour)
		if said := h.said.String(); !strings.Contains(said, "\n"+testNonce+" aes "+want+"\n") {
			t.Errorf("the guardian says %q, want aes %s", said, want)
		}
	})
}
