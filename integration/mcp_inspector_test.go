package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bivy/exec/proc"
)

// inspect runs a client that is not ours: npm's @modelcontextprotocol/inspector
// on the command line. It starts a server of its own each time.
func (w *world) inspect(npx string, args ...string) map[string]any {
	w.tb.Helper()
	home, err := os.UserHomeDir()
	w.must(err)
	spec := proc.Spec{
		Args: append([]string{npx, "-y", "@modelcontextprotocol/inspector", "--cli", os.Getenv(binaryVariable), "mcp", "--host", "gpu1"}, args...),
		Dir:  w.root,
		// What npm has fetched is kept where the user's npm keeps it.
		Env: append(w.env[:len(w.env):len(w.env)], "npm_config_cache="+filepath.Join(home, ".npm"), "npm_config_update_notifier=false"),
	}
	for _, name := range []string{"npm_config_registry", "NODE_EXTRA_CA_CERTS", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			spec.Env = append(spec.Env, name+"="+value)
		}
	}
	got := w.run(spec)
	var result map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		w.tb.Fatalf("the inspector on %q gives %v", args, got)
	}
	return result
}

// TestMCPInspector: a client of other people lists the tools and calls every one.
func TestMCPInspector(t *testing.T) {
	npx := mcpTool(t, "npx")
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.write(w.remote+"/a.txt", "one\n")
		list, _ := w.inspect(npx, "--method", "tools/list")["tools"].([]any)
		var names []string
		for _, tool := range list {
			fields, _ := tool.(map[string]any)
			name, _ := fields["name"].(string)
			names = append(names, name)
		}
		if len(names) != len(readers)+len(writers) {
			t.Fatalf("it lists %q", names)
		}
		for _, c := range []struct {
			tool, want string
			args       []string
			fails      bool
		}{
			{"read_file", "one", []string{"file_path=a.txt"}, false},
			{"edit_file", "+two", []string{"file_path=a.txt", "old_string=one", "new_string=two"}, false},
			{"write_file", "created", []string{"file_path=b.txt", "content=three"}, false},
			{"list_directory", "b.txt", []string{"path=."}, false},
			{"glob", "a.txt", []string{"pattern=*.txt"}, false},
			{"search_file_content", "a.txt:1:two", []string{"pattern=^t.o$", "context=1"}, false},
			{"run_shell_command", "exit code 3", []string{"command=echo out; exit 3", "timeout=30"}, false},
			{"run_shell_command", "running as command_id c1", []string{"command=sleep 1000", "background=true"}, false},
			// A server of its own has no commands in the background.
			{"command_output", "(class: not_found)", []string{"command_id=c1"}, true},
			{"command_kill", "(class: not_found)", []string{"command_id=c1"}, true},
		} {
			args := []string{"--method", "tools/call", "--tool-name", c.tool}
			for _, arg := range c.args {
				args = append(args, "--tool-arg", arg)
			}
			result := w.inspect(npx, args...)
			text, _ := json.Marshal(result["content"])
			failed, _ := result["isError"].(bool)
			if failed != c.fails || !strings.Contains(string(text), c.want) || !c.fails && result["structuredContent"] == nil {
				t.Errorf("%s %q gives %v", c.tool, c.args, result)
			}
		}
		w.goneThere()
	})
}
