package mux

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"bivy/internal/atomicfile"
)

// routeFormat begins a cached route; what begins otherwise is ignored.
const routeFormat = "bivy route 3"

// routeCache is what one `ssh -G` taught us. It stays true as long as none of
// the files that ssh read has changed. In its file are the format, the id, the
// user's socket, and three fields for each file, all ended by a NUL: every
// command reads one, and to decode JSON would take longer than all else here.
type routeCache struct {
	id string
	// userPath is the socket of the user's own masters, if any.
	userPath string
	files    []fileStamp
}

// fields joins texts that hold no NUL, as nothing does that comes from an
// environment or a command line.
func fields(list []string) []byte { return []byte(strings.Join(list, "\x00") + "\x00") }

func cachedRoute(file string) (c routeCache, ok bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return c, false
	}
	list := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	if len(list) < 3 || len(list)%3 != 0 || list[0] != routeFormat || len(list[1]) != idLength {
		return c, false
	}
	for f := list[3:]; len(f) > 0; f = f[3:] {
		now := stampOf(f[0])
		if f[1] != strconv.FormatInt(now.Size, 10) || f[2] != strconv.FormatInt(now.ModTime, 10) {
			return c, false
		}
	}
	return routeCache{id: list[1], userPath: list[2]}, true
}

// rememberRoute writes the cache. A cache that cannot be written only costs
// time, so the reason goes to the log and nowhere else.
func (m *Masters) rememberRoute(ctx context.Context, file string, c routeCache) {
	list := []string{routeFormat, c.id, c.userPath}
	for _, f := range c.files {
		list = append(list, f.Path, strconv.FormatInt(f.Size, 10), strconv.FormatInt(f.ModTime, 10))
	}
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = atomicfile.Write(file, fields(list), 0o600)
	}
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("route is not cached")
	}
}
