package file

import (
	"math/rand/v2"
	"testing"
)

// Names and contents of any bytes come back as they were.
func TestAnyBytes(t *testing.T) {
	eachHost(t, func(t *testing.T, h *host) {
		f := h.fs()
		rounds := 4
		if testing.Short() {
			rounds = 1
		}
		seed := rand.Uint64()                    //nolint:gosec // a test
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
		for range rounds {
			names := make([]string, 0, 8)
			for range 8 {
				name := randomName(random)
				content := make([]byte, random.IntN(3000))
				for i := range content {
					content[i] = byte(random.IntN(256)) //nolint:gosec // it fits
				}
				if _, err := f.Write(t.Context(), "./"+name, content, WriteOptions{NoSync: true}); err != nil {
					t.Fatalf("seed %d: write %q: %v", seed, name, err)
				}
				c, err := f.Read(t.Context(), "./"+name, ReadOptions{})
				if err != nil || string(c.Data) != string(content) {
					t.Fatalf("seed %d: read %q: %v", seed, name, err)
				}
				h.want(t, name, string(content))
				names = append(names, "./"+name)
			}
			list, err := f.Stat(t.Context(), names, StatOptions{})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, s := range list {
				if s.Err != nil || s.Path != names[i] || s.Type != Regular {
					t.Errorf("seed %d: %q: %+v", seed, names[i], s)
				}
			}
		}
	})
}

// randomName is a name of up to 40 bytes: any, or those that are hard.
func randomName(random *rand.Rand) string {
	const hard = "\n\n'\"\\$`*?[]{}~-#=! \t\x01\x7f\x80\x83\xff;&|<>()%"
	for {
		name := make([]byte, 1+random.IntN(40))
		for i := range name {
			if random.IntN(2) == 0 {
				name[i] = hard[random.IntN(len(hard))]
			} else {
				name[i] = byte(1 + random.IntN(255)) //nolint:gosec // it fits
			}
			if name[i] == '/' {
				name[i] = '\n'
			}
		}
		if s := string(name); s != "." && s != ".." {
			return s
		}
	}
}
