package sshcmd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

// Config is the effective configuration of a destination, as `ssh -G`
// printed it.
type Config struct {
	values map[string][]string
}

// ParseConfig reads the stdout of `ssh -G`: a key, a space and a value on
// each line. Lines without a key are skipped.
func ParseConfig(stdout []byte) Config {
	c := Config{values: map[string][]string{}}
	for line := range bytes.Lines(stdout) {
		key, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		if key != "" {
			// 9.2 prints canonicalizePermittedcnames in mixed case.
			key = strings.ToLower(key)
			c.values[key] = append(c.values[key], value)
		}
	}
	return c
}

// Get returns the first value of a key in any case, or "".
func (c Config) Get(key string) string {
	if all := c.values[strings.ToLower(key)]; len(all) > 0 {
		return all[0]
	}
	return ""
}

// All returns the values of a key in any case, in the order of ssh.
func (c Config) All(key string) []string {
	return slices.Clone(c.values[strings.ToLower(key)])
}

// Digest identifies the configuration, with what else the caller knows to
// decide: the hex SHA-256 (64 digits) over every key and its values in order,
// and over extra in order.
//
// It leaves out the keys that Master.Args fixes or that have no effect beside
// it, and the name as typed, unless a value expands that name (%n, and %k
// which falls back to it): two aliases of one route then share a master.
func (c Config) Digest(extra ...string) string {
	keys := make([]string, 0, len(c.values))
	for key := range c.values {
		if !isFixedKey(key) && (key != "host" || c.expandsName()) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	h := sha256.New()
	for _, key := range keys {
		writeList(h, append([]string{key}, c.values[key]...))
	}
	writeList(h, append([]string{""}, extra...))
	return hex.EncodeToString(h.Sum(nil))
}

// writeList writes strings so that no two lists look the same.
func writeList(w io.Writer, list []string) {
	_, _ = fmt.Fprintf(w, "%d\n", len(list)) // a hash never fails
	for _, s := range list {
		_, _ = fmt.Fprintf(w, "%d:%s\n", len(s), s)
	}
}

// expandsName reports whether a value that counts holds the token %n or %k.
func (c Config) expandsName() bool {
	for key, values := range c.values {
		if isFixedKey(key) || key == "host" {
			continue
		}
		for _, value := range values {
			if hasToken(value, "nk") {
				return true
			}
		}
	}
	return false
}

// hasToken reports whether value holds % followed by one of the letters; %%
// is a percent sign.
func hasToken(value, letters string) bool {
	for i := 0; i+1 < len(value); i++ {
		if value[i] != '%' {
			continue
		}
		i++
		if strings.IndexByte(letters, value[i]) >= 0 {
			return true
		}
	}
	return false
}

// What `ssh -v` says of each file that it could open, and of each Include that
// found nothing (OpenSSH 9.2, readconf.c).
const (
	readingFile   = "debug1: Reading configuration data "
	includeFailed = " matched no files"
	includeWord   = ": include "
)

// ConfigFiles returns the files of configuration that ssh read, in order and
// each once, from the stderr of `ssh -v -G`; among them the patterns of
// Include lines that matched nothing yet, as they were written. ssh prints
// bytes that are not printable ASCII as \ooo and a backslash as \\; both are
// undone.
func ConfigFiles(stderr []byte) []string {
	var files []string
	for line := range bytes.Lines(stderr) {
		text := strings.TrimRight(string(line), "\r\n")
		name, ok := strings.CutPrefix(text, readingFile)
		if !ok {
			name = missedInclude(text)
		}
		if name == "" {
			continue
		}
		if name = unvis(name); !slices.Contains(files, name) {
			files = append(files, name)
		}
	}
	return files
}

// missedInclude returns the pattern of an Include that matched nothing, from
// "debug1: FILE line N: include PATTERN matched no files".
func missedInclude(text string) string {
	text, ok := strings.CutSuffix(text, includeFailed)
	if i := strings.LastIndex(text, includeWord); ok && strings.HasPrefix(text, "debug1: ") && i >= 0 {
		return text[i+len(includeWord):]
	}
	return ""
}

// unvis undoes strnvis(3) with VIS_SAFE|VIS_OCTAL, which OpenSSH applies to
// its log on stderr.
func unvis(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && s[i+1] == '\\' {
			out.WriteByte('\\')
			i++
			continue
		}
		if b, ok := octal(s[i:]); ok {
			out.WriteByte(b)
			i += 3
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

// octal reads \ooo at the start of s.
func octal(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] > '3' {
		return 0, false
	}
	var b byte
	for _, c := range []byte(s[1:4]) {
		if c < '0' || c > '7' {
			return 0, false
		}
		b = b<<3 | (c - '0')
	}
	return b, true
}
