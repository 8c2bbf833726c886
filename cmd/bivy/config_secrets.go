package main

import (
	"os"
	"path/filepath"
	"strings"
)

// takeSecrets moves the table [secrets] out of the settings: identity is the
// file of who may open them, relative to the configuration, or below ~.
func (c *config) takeSecrets() error {
	raw, ok := c.base["secrets"]
	if !ok {
		return nil
	}
	delete(c.base, "secrets")
	table, ok := raw.(map[string]any)
	if !ok {
		return usagef("%s: secrets is a table; write [secrets]", c.file)
	}
	for key, value := range table {
		if key != "identity" {
			return usagef("%s: secrets.%s is nothing that bivy knows; identity is", c.file, key)
		}
		file, ok := value.(string)
		if !ok || file == "" {
			return usagef("%s: secrets.identity is the name of a file, in quotes", c.file)
		}
		if rest, ok := strings.CutPrefix(file, "~/"); ok {
			home, err := os.UserHomeDir()
			if err != nil {
				return usagef("%s: secrets.identity: %w", c.file, err)
			}
			file = filepath.Join(home, rest)
		}
		dir, err := filepath.Abs(filepath.Dir(c.file))
		if err != nil {
			return usagef("%s: secrets.identity: %w", c.file, err)
		}
		if c.identity = file; !filepath.IsAbs(file) {
			c.identity = filepath.Join(dir, file)
		}
	}
	return nil
}
