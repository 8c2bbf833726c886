package partial

import "testing"

func TestSuffix(t *testing.T) {
	const mark = "#a#b#"
	for data, want := range map[string]int{
		"": 0, "x": 0, "#": 1, "x#a": 2, "#a#": 3, "x#a#b": 4, "#a#b#": 1, "#a#x": 0, "#a#a#": 3, "#a#b": 4, "##": 1,
	} {
		if got := Suffix([]byte(data), []byte(mark)); got != want {
			t.Errorf("the end of %q that begins %q has %d bytes, want %d", data, mark, got, want)
		}
	}
}
