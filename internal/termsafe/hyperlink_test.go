package termsafe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHyperlinks(t *testing.T) {
	t.Parallel()
	const stop = "\x1b]8;;\x1b\\"
	long := "https://" + strings.Repeat("a", maxAddress-len("https://"))
	for _, tt := range []struct{ name, in, want string }{
		{"https", "\x1b]8;;https://a.example/?q=%20\x1b\\x\x1b]8;;\x1b\\y", "\x1b]8;;https://a.example/?q=%20\x1b\\x" + stop + "y"},
		{"http and BEL", "\x1b]8;;HTTP://a\ax\x1b]8;;\ay", "\x1b]8;;HTTP://a\x1b\\x" + stop + "y"},
		{"mailto with parameters", "\x1b]8;id=1:x=y;mailto:a@b\ax\x1b]8;id=1;\ay", "\x1b]8;;mailto:a@b\x1b\\x" + stop + "y"},
		{"never ended", "\x1b]8;;https://a\ax", "\x1b]8;;https://a\x1b\\x" + stop},
		{"ended only", "x\x1b]8;;\ay\x1b]8;;\x1b\\", "xy"},
		{"one after the other", "\x1b]8;;https://a\ax\x1b]8;;https://b\ay\x1b]8;;\a", "\x1b]8;;https://a\x1b\\x\x1b]8;;https://b\x1b\\y" + stop},
		{"odd schemes", "\x1b]8;;file:///etc/passwd\ax\x1b]8;;\a\x1b]8;;ssh://h\ax\x1b]8;;javascript:1\ay\x1b]8;;x-man-page:1\az\x1b]8;;https:a\a", "xxyz"},
		{"odd scheme in a link", "\x1b]8;;https://a\ax\x1b]8;;file:///b\ay\x1b]8;;\az", "\x1b]8;;https://a\x1b\\x" + stop + "yz"},
		{"scheme alone", "\x1b]8;;https://\ax", "x"},
		{"space, control, UTF-8", "\x1b]8;;https://a b\ax\x1b]8;;https://a\x01b\ax\x1b]8;;https://ü\ax\x1b]8;;https://a\x7f\ax", "xxxx"},
		{"longest", "\x1b]8;;" + long + "\ax", "\x1b]8;;" + long + "\x1b\\x" + stop},
		{"longer", "\x1b]8;;" + long + "a\ax", "x"},
		{"line in it", "\x1b]8;;https://a\nb\ax", "\nbx"},
		{"cancelled", "\x1b]8;;https://a\x18x", "x"},
		{"sequence in it", "\x1b]8;;https://a\x1b[1mx\x1b\\", "\x1b[1mx"},
		{"ESC ESC \\", "\x1b]8;;https://a\x1b\x1b\\x", "x"},
		{"cut", "\x1b]8;;https://a\ax\x1b]8;;https://b", "\x1b]8;;https://a\x1b\\x" + stop},
		{"other strings", "\x1b]88;;https://a\ax\x1b]8x;;https://a\ax\x1bP8;;https://a\x1b\\x\x1b]0;8;;https://a\ax", "xxxx"},
		{"stop alone", "\x1b\\x", "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, filter(t, tt.in)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			check(t, tt.in)
		})
	}
	if got := Line("\x1b]8;;https://a\x1b\\x\x1b]8;;\ay", 80); got != "xy" {
		t.Errorf("Line gives %q", got)
	}
}
