package paths_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bivy/internal/paths"
)

func TestFind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env  map[string]string
		want paths.Paths
	}{
		"defaults below HOME": {
			env: map[string]string{"HOME": "/h"},
			want: paths.Paths{
				State: "/h/.local/state/bivy", Cache: "/h/.cache/bivy", Sockets: "/h/.cache/bivy/m", Config: "/h/.config/bivy/config.toml",
			},
		},
		"XDG directories, a relative one ignored": {
			env: map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "c", "XDG_CONFIG_HOME": "/e"},
			want: paths.Paths{
				State: "/s/bivy", Cache: "/h/.cache/bivy", Sockets: "/h/.cache/bivy/m", Config: "/e/bivy/config.toml",
			},
		},
		"BIVY_HOME moves state and sockets, not the configuration": {
			env: map[string]string{"HOME": "/h", "BIVY_HOME": "/b", "XDG_STATE_HOME": "/s"},
			want: paths.Paths{
				State: "/b/state", Cache: "/b/cache", Sockets: "/b/m", Config: "/h/.config/bivy/config.toml",
			},
		},
		"BIVY_HOME alone, as under cron with an empty environment": {
			env: map[string]string{"BIVY_HOME": "/b"},
			want: paths.Paths{
				State: "/b/state", Cache: "/b/cache", Sockets: "/b/m", Config: "/b/config.toml",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := paths.Find(func(key string) string { return tt.env[key] })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("paths differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindMakesBIVYHOMEAbsolute(t *testing.T) {
	t.Parallel()
	got, err := paths.Find(func(key string) string { return map[string]string{"HOME": "/h", "BIVY_HOME": "rel"}[key] })
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "rel", "state"); got.State != want {
		t.Errorf("state is %s, want %s", got.State, want)
	}
}

func TestFindWithoutHome(t *testing.T) {
	t.Parallel()
	for _, home := range []string{"", "relative"} {
		if got, err := paths.Find(func(key string) string { return map[string]string{"HOME": home}[key] }); err == nil {
			t.Errorf("HOME %q gave %+v and no error", home, got)
		}
	}
}
