// Package paths says where bivy keeps what it must remember: one place for
// state, one for what can be made again, one for sockets, one for the user's
// configuration. BIVY_HOME moves the first three together, for tests and for
// people with several identities.
package paths

import (
	"fmt"
	"os"
	"path/filepath"
)

// Paths are absolute directories and files; none of them need exist yet.
type Paths struct {
	// State holds what cannot be made again: the registry of workspaces.
	State string
	// Cache holds what can: route identities.
	Cache string
	// Sockets is where control sockets should live; exec/mux moves them to
	// /tmp where this is too long for a socket or not on a local disk.
	Sockets string
	// Config is the user's config.toml.
	Config string
}

// Find derives the paths from the environment: BIVY_HOME, else XDG_STATE_HOME
// and XDG_CACHE_HOME with their defaults below HOME (on macOS too, where
// people who use ssh expect ~/.cache rather than ~/Library). An error means
// that neither BIVY_HOME nor HOME names an absolute directory.
func Find(getenv func(string) string) (Paths, error) {
	home := getenv("HOME")
	xdg := func(name, fallback string) string {
		// The XDG specification says to ignore relative values.
		if dir := getenv(name); filepath.IsAbs(dir) {
			return filepath.Join(dir, "bivy")
		}
		return filepath.Join(home, fallback, "bivy")
	}
	p := Paths{
		State:  xdg("XDG_STATE_HOME", ".local/state"),
		Cache:  xdg("XDG_CACHE_HOME", ".cache"),
		Config: filepath.Join(xdg("XDG_CONFIG_HOME", ".config"), "config.toml"),
	}
	p.Sockets = filepath.Join(p.Cache, "m")
	if base := getenv("BIVY_HOME"); base != "" {
		abs, err := filepath.Abs(base)
		if err != nil {
			return Paths{}, fmt.Errorf("make BIVY_HOME %q absolute: %w", base, err)
		}
		p.State, p.Cache, p.Sockets = filepath.Join(abs, "state"), filepath.Join(abs, "cache"), filepath.Join(abs, "m")
		if !filepath.IsAbs(home) {
			p.Config = filepath.Join(abs, "config.toml")
		}
		return p, nil
	}
	if !filepath.IsAbs(home) {
		return Paths{}, fmt.Errorf("HOME is %q, not an absolute directory; set HOME or BIVY_HOME", home)
	}
	return p, nil
}

// FromEnvironment is Find with the environment of this process.
func FromEnvironment() (Paths, error) { return Find(os.Getenv) }
