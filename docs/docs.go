// Package docs holds the pages that `bivy help TOPIC` prints, so that a page
// and the program that it describes are always of one version.
package docs

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed *.md
var pages embed.FS

// Topics are the names of the pages, sorted.
func Topics() []string {
	var names []string
	entries, err := fs.ReadDir(pages, ".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".md"))
	}
	return names
}

// Page returns one page; ok is false where there is none of that name.
func Page(topic string) (text string, ok bool) {
	data, err := pages.ReadFile(topic + ".md")
	return string(data), err == nil
}
