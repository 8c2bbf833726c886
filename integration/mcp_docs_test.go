package integration

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

// entry is how an agent is told of a server.
type entry struct {
	Command string   `json:"command" toml:"command"`
	Args    []string `json:"args" toml:"args"`
}

// TestMCPBlocks: the blocks of docs/mcp.md can be parsed, and what they start is
// a tool server.
func TestMCPBlocks(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		page, err := os.ReadFile("../docs/mcp.md")
		w.must(err)
		blocks := map[string]string{}
		for _, match := range regexp.MustCompile("(?s)```(json|toml)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
			blocks[match[1]] += match[2]
		}
		var claude struct {
			MCPServers map[string]entry `json:"mcpServers"`
		}
		w.must(json.Unmarshal([]byte(blocks["json"]), &claude))
		var codex struct {
			MCPServers map[string]entry `toml:"mcp_servers"`
		}
		_, err = toml.Decode(blocks["toml"], &codex)
		w.must(err)
		entries := slices.AppendSeq(slices.Collect(maps.Values(claude.MCPServers)), maps.Values(codex.MCPServers))
		for _, match := range regexp.MustCompile("`(?:claude|codex) mcp add [^ ]+ -- ([^`]*)`").FindAllStringSubmatch(string(page), -1) {
			words := strings.Fields(match[1])
			entries = append(entries, entry{words[0], words[1:]})
		}
		if len(entries) != 5 {
			t.Fatalf("the page has %d entries: %v", len(entries), entries)
		}
		w.wants(0, "new", "fix-1", "--host", "gpu1")
		for _, e := range entries {
			if e.Command != "bivy" || len(e.Args) == 0 || e.Args[0] != "mcp" {
				t.Errorf("%+v starts no tool server of ours", e)
				continue
			}
			a := w.agent(e.Args[1:]...)
			if names := a.tools(); !slices.Contains(names, "read_file") || slices.Contains(e.Args, "--read-only") == slices.Contains(names, "write_file") {
				t.Errorf("%+v offers %q", e, names)
			}
			a.end()
		}
	})
}

// TestMCPPage: the page names every tool and every argument.
func TestMCPPage(t *testing.T) {
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		page := w.wants(0, "help", "mcp").stdout
		list, err := w.agent().session.ListTools(t.Context(), nil)
		w.must(err)
		for _, tool := range list.Tools {
			row := regexp.MustCompile("(?m)^\\| `" + tool.Name + "` .*$").FindString(page)
			input, _ := tool.InputSchema.(map[string]any)
			properties, _ := input["properties"].(map[string]any)
			if row == "" {
				t.Errorf("the page has no row on %s", tool.Name)
			}
			for name := range properties {
				if name != "workspace" && !strings.Contains(row, "`"+name+"`") {
					t.Errorf("the page does not say that %s takes %s", tool.Name, name)
				}
			}
		}
	})
}
