package secrets

import (
	"bytes"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// expected is what the standard library makes of a text: leftmost, and longest
// first where several begin at the same place.
func expected(text string, values []Value) string {
	type pair struct{ from, to string }
	var pairs []pair
	for _, v := range values {
		for _, form := range forms(v.Value) {
			pairs = append(pairs, pair{form, "[secret " + v.Name + "]"})
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return len(b.from) - len(a.from) })
	var list []string
	for _, p := range pairs {
		list = append(list, p.from, p.to)
	}
	return strings.NewReplacer(list...).Replace(text)
}

// inPieces writes a text in pieces of those lengths, again and again.
func inPieces(t *testing.T, r *Redactor, text string, lengths []int) string {
	t.Helper()
	var out bytes.Buffer
	w := r.Writer(&out)
	for i := 0; text != ""; i++ {
		n := min(len(text), max(1, lengths[i%len(lengths)]))
		piece := []byte(text[:n])
		if got, err := w.Write(piece); got != n || err != nil {
			t.Fatal(got, err)
		}
		if string(piece) != text[:n] {
			t.Fatal("the caller's bytes were changed")
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRedactorIsAReplacer(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()                    //nolint:gosec // it is printed
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // as above
	letters := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "aab\n\"<é"[random.IntN(8)%7]
		}
		return string(b)
	}
	for range 3000 {
		var values []Value
		r := &Redactor{}
		for i := range 1 + random.IntN(4) {
			values = append(values, Value{string(rune('A' + i)), letters(MinRedacted + random.IntN(12))})
		}
		r.Learn(values...)
		text := ""
		for range random.IntN(12) {
			if text += letters(random.IntN(9)); random.IntN(2) == 0 {
				all := forms(values[random.IntN(len(values))].Value)
				text += all[random.IntN(len(all))]
			}
		}
		lengths := []int{1 + random.IntN(9), 1 + random.IntN(5), 1}
		if got, want := inPieces(t, r, text, lengths), expected(text, values); got != want {
			t.Fatalf("seed %d: %q of values %q in pieces of %v\ngives %q\nwant  %q", seed, text, values, lengths, got, want)
		}
		if got, want := r.Text(text), expected(text, values); got != want {
			t.Fatalf("seed %d: %q of values %q at once gives %q, want %q", seed, text, values, got, want)
		}
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("the key is abcd, or so", "abcd", "abcdef", 3)
	f.Add("aaaaaaaaaab", "aaaab", "aaaa", 1)
	f.Add("x\\n<y>\nz", "x\n<y>", "line one\nline two", 2)
	f.Fuzz(func(t *testing.T, text, first, second string, length int) {
		if len(first) < MinRedacted || len(second) < MinRedacted || first == second {
			return
		}
		values := []Value{{"A", first}, {"B", second}}
		r := &Redactor{}
		r.Learn(values...)
		if got, want := inPieces(t, r, text, []int{length % 7, 1}), expected(text, values); got != want {
			t.Errorf("%q without %q and %q is %q, want %q", text, first, second, got, want)
		}
	})
}

func TestForms(t *testing.T) {
	t.Parallel()
	r := &Redactor{}
	r.Learn(Value{"PLAIN", "s3cr\"t<>&\\"}, Value{"KEY", "-----BEGIN KEY-----\nabcdefghij\nshort\n-----END KEY-----\n"}, Value{"TINY", "abc"}, Value{"BIN", "\xff\xfe\x00x"})
	plain, err := json.Marshal("s3cr\"t<>&\\")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"it is s3cr\"t<>&\\!":             "it is [secret PLAIN]!",
		string(plain):                     `"[secret PLAIN]"`,
		`"s3cr\"t<>&\\"`:                  `"[secret PLAIN]"`,
		"abc":                             "abc",
		"\xff\xfe\x00x":                   "[secret BIN]",
		"-----BEGIN KEY-----\r\nx":        "-----BEGIN KEY-----\r\nx",
		"a\nabcdefghij\r\nshort":          "a\n[secret KEY]\r\nshort",
		`-----BEGIN KEY-----\nabcdefghij`: `-----BEGIN KEY-----\n[secret KEY]`,
		"-----BEGIN KEY-----\r\nabcdefghij\r\nshort\r\n-----END KEY-----\r\n": "[secret KEY]",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	var nobody *Redactor
	if got := nobody.Text("abcd"); got != "abcd" {
		t.Errorf("without a redactor a text becomes %q", got)
	}
}

// slow is a writer whose content can be looked at meanwhile.
type slow struct {
	mu   sync.Mutex
	text strings.Builder
	err  error
}

func (s *slow) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	return s.text.Write(p)
}

func (s *slow) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// becomes polls until the writer has got that text.
func (s *slow) becomes(t *testing.T, want string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * patience); s.String() != want; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("it is %q, want %q", s.String(), want)
		}
	}
}

func send(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func TestWriterPassesOnWhatIsNoBeginning(t *testing.T) {
	t.Parallel()
	r, out := &Redactor{}, &slow{}
	r.Learn(Value{"A", "secret value"}, Value{"B", "seco"})
	w := r.Writer(out)
	send(t, w, "prompt$ xs")
	if got := out.String(); got != "prompt$ x" {
		t.Errorf("at once comes %q", got)
	}
	out.becomes(t, "prompt$ xs") // the rest comes although nothing follows
	send(t, w, "ecret value.")
	if got := out.String(); got != "prompt$ xs[secret A]." {
		t.Errorf("what was begun is shown as %q", got)
	}
	send(t, w, "secret val")
	out.becomes(t, "prompt$ xs[secret A].secret val")
	send(t, w, "id\n")
	if got := out.String(); got != "prompt$ xs[secret A].secret valid\n" {
		t.Errorf("what was begun and is no secret is shown as %q", got)
	}
	send(t, w, "sec")
	if err := w.Close(); err != nil || !strings.HasSuffix(out.String(), "\nsec") {
		t.Errorf("at the end it is %q, %v", out.String(), err)
	}
}

// A value that another one begins with is not shown because that may still come.
func TestWriterGivesUpWithoutShowing(t *testing.T) {
	t.Parallel()
	r, out := &Redactor{}, &slow{}
	r.Learn(Value{"LONG", "abcdefgh"}, Value{"SHORT", "abcd"}, Value{"IN", "cdef"})
	w := r.Writer(out)
	send(t, w, "-abcd")
	out.becomes(t, "-[secret SHORT]")
	send(t, w, "!")
	out.becomes(t, "-[secret SHORT]!")
	send(t, w, "abcdef")
	out.becomes(t, "-[secret SHORT]![secret SHORT]ef")
	send(t, w, "gh.")
	out.becomes(t, "-[secret SHORT]![secret SHORT]ef[secret LONG].")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWriterTellsOfErrors(t *testing.T) {
	t.Parallel()
	r, full := &Redactor{}, errors.New("the disk is full")
	r.Learn(Value{"A", "secret value"})
	w := r.Writer(&slow{err: full})
	if _, err := w.Write([]byte("x")); !errors.Is(err, full) {
		t.Errorf("a write gives %v", err)
	}
	w = r.Writer(&slow{err: full})
	send(t, w, "sec") // held back
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("the end gives %v", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, full) {
		t.Errorf("a write after that gives %v", err)
	}
}

// Memory is bounded by the longest value, and many values cost little.
func TestWriterIsConstant(t *testing.T) {
	t.Parallel()
	r := &Redactor{}
	var values []Value
	for range MaxSecrets {
		values = append(values, Value{"X", crand.Text() + crand.Text()})
	}
	long := strings.Repeat("k", MaxValue-1) + "!"
	r.Learn(append(values, Value{"LONG", long})...)
	w := r.Writer(io.Discard)
	chunk := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 1000))
	for range 500 {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if len(w.held) > MaxValue {
			t.Fatalf("%d bytes are held", len(w.held))
		}
	}
	for range 3 * MaxValue / 1000 {
		send(t, w, long[:1000])
		if len(w.held) > MaxValue {
			t.Fatalf("%d bytes are held", len(w.held))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkWriter(b *testing.B) {
	r := &Redactor{}
	for range 20 {
		r.Learn(Value{"X", crand.Text()})
	}
	w := r.Writer(io.Discard)
	chunk := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 1000))
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := w.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
