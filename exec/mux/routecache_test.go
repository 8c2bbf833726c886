package mux

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRouteCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	read, missing := filepath.Join(dir, "a\nb = c"), filepath.Join(dir, "none")
	if err := os.WriteFile(read, []byte("Host *\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "routes", "one")
	want := routeCache{id: strings.Repeat("a", idLength), userPath: "/a b", files: []fileStamp{stampOf(read), stampOf(missing)}}
	(&Masters{}).rememberRoute(t.Context(), file, want)
	got, ok := cachedRoute(file)
	if !ok || got.id != want.id || got.userPath != want.userPath {
		t.Fatalf("the cache gives %+v, %v", got, ok)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "of another format": strings.Replace(string(whole), routeFormat, "bivy route 2", 1), "JSON": `{"format":2}`,
		"cut": string(whole[:len(whole)-4]), "cut in a field": string(whole[:len(whole)/2]), "longer": string(whole) + "x\x00",
		"without an id": routeFormat + "\x00\x00\x00", "NULs": strings.Repeat("\x00", 6),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := cachedRoute(file); ok {
			t.Errorf("a file that is %s gives %+v", name, got)
		}
	}
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(missing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := cachedRoute(file); ok {
		t.Errorf("with a file that is new the cache gives %+v", got)
	}
}

func TestAskedForTellsCommandLinesApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, words := range [][2]string{{"ssh", ""}, {"ssh -x", ""}, {"ssh", "-x"}, {"ssh 1 -x", ""}, {"ssh -x -x", ""}, {"ssh -x", "-x"}} {
		m := &Masters{cfg: Config{SSH: strings.Fields(words[0])}}
		target := Target{Host: "gpu1"}
		target.User.Options = strings.Fields(words[1])
		key := m.askedFor(target)
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have one name", words, other)
		}
		seen[key] = words[0] + "," + words[1]
	}
}

func TestOrderIsJSON(t *testing.T) {
	t.Parallel()
	for _, want := range []order{
		{Do: doYield},
		{Do: doRun, Run: "0123456789abcdef", Grace: 5, Lifeline: true, Keep: true},
		{Do: doRun, Run: "../\"\\", Grace: -1},
		{Do: doStarted, PID: 32768},
	} {
		line := string(want.line())
		var got order
		if err := json.Unmarshal([]byte(line), &got); err != nil || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%+v is sent as %q: %v", want, line, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}
