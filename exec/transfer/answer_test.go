package transfer

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"bivy/exec/file"
)

// However an answer is cut, it is the same.
func TestAnswers(t *testing.T) {
	t.Parallel()
	mark := "\x1e0123\x1e"
	text := mark + "is=open\x00path=/a\nb\x00done\x00" + "body \x1e0123 \x1e\x1e of it\x1e012" + mark + "is=sum\x00sum=\x00done\x00" + mark + "is=last\x00done\x00"
	for size := 1; size <= len(text); size++ {
		a := newAnswers(mark)
		var body bytes.Buffer
		a.expect(&body)
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := a.Write(bytes.Clone(rest[:n])); err != nil {
				t.Fatalf("parts of %d: %v", size, err)
			}
			rest = rest[n:]
		}
		first, second, third := <-a.out, <-a.out, <-a.out
		if first["is"] != "open" || first["path"] != "/a\nb" || second["is"] != "sum" || second["sum"] != "" || third["is"] != "last" {
			t.Fatalf("parts of %d: %v, %v, %v", size, first, second, third)
		}
		if want := "body \x1e0123 \x1e\x1e of it\x1e012"; body.String() != want {
			t.Fatalf("parts of %d: the body is %q", size, body.String())
		}
	}
}

// A host that does not keep to it is stopped.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	mark := "\x1e0123\x1e"
	for what, text := range map[string]string{
		"a body":    "what nobody asked for",
		"endless":   mark + strings.Repeat("x", maxFacts+1),
		"no fact":   mark + "what\x00done\x00",
		"too often": strings.Repeat(mark+"is=size\x00done\x00", maxAnswers+1),
	} {
		a := newAnswers(mark)
		_, err := a.Write([]byte(text))
		var odd *file.ProtocolError
		if !errors.As(err, &odd) {
			t.Errorf("%s: the error is %v", what, err)
		}
		if _, again := a.Write([]byte("x")); again == nil {
			t.Errorf("%s: it goes on", what)
		}
	}
}
