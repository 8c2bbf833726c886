package exec

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPipeReaderTakesAllAndIsLetGo(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"nothing": 0, "a line": 20, "a buffer": firstBuffer, "much": 3 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close() //nolint:errcheck // the end of the test
			reader, err := newPipeReader(in)
			if err != nil {
				t.Fatal(err)
			}
			want := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			wrote := make(chan error, 1)
			go func() {
				// The writing end stays open.
				_, err := out.Write(want)
				wrote <- err
				reader.letGo()
			}()
			var got bytes.Buffer
			if err := copyStream(&got, reader); !errors.Is(err, os.ErrClosed) {
				t.Errorf("a reader that is let go ends with %v", err)
			}
			if err := errors.Join(<-wrote, out.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%d bytes of %d, or others, came through", got.Len(), len(want))
			}
			if n, err := reader.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %d, %v", n, err)
			}
		})
	}
}

func TestPipeReaderOfAClosedFile(t *testing.T) {
	t.Parallel()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() //nolint:errcheck // the end of the test
	reader, err := newPipeReader(in)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- copyStream(io.Discard, reader) }()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("a reader whose file is closed ends with %v", err)
	}
}

func TestKnownLogin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]EnvVar{
		loginFormat + "\x00":                           nil,
		loginFormat + "\x00PATH=/a=b:\n\x00LANG=C\x00": {{Name: "PATH", Value: "/a=b:\n"}, {Name: "LANG", Value: "C"}},
	} {
		got, ok := knownLogin([]byte(text))
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%q is known: %v (-want +got):\n%s", text, ok, diff)
		}
	}
	for _, text := range []string{"", loginFormat, loginFormat + "\x00PATH=/a", `{"format":1,"vars":[]}`} {
		if got, ok := knownLogin([]byte(text)); ok {
			t.Errorf("%q gives %v", text, got)
		}
	}
}
