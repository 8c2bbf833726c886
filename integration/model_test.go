package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bivy/exec/proc"
)

// modelSteps and modelSeed are read from the environment, for a longer run, or
// for one that failed.
const (
	modelSteps = "BIVY_MODEL_STEPS"
	modelSeed  = "BIVY_MODEL_SEED"
)

// TestModel does anything in any order, on both sides, and kills some of it.
// Whatever was written anywhere, and not thrown away there by its own side,
// exists afterwards: in the project, or in a workspace that the registry knows.
func TestModel(t *testing.T) {
	steps, seed := 40, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv(modelSteps)); err == nil {
		steps = n
	}
	if n, err := strconv.ParseUint(os.Getenv(modelSeed), 10, 64); err == nil {
		seed = n
	}
	onSSHD(t, hostOptions{}, func(t *testing.T, w *world) {
		w.needProc()
		m := &model{world: w, t: t, random: rand.New(rand.NewPCG(seed, 1)), codes: map[string]int{}} //nolint:gosec // repeatable
		t.Logf("repeat with %s=%d %s=%d", modelSeed, seed, modelSteps, steps)
		m.bivyAny("new", "--host", "gpu1")
		for m.step = 1; m.step <= steps && !t.Failed(); m.step++ {
			m.next()
			m.check()
		}
		t.Logf("%v", m.codes)
		if t.Failed() {
			t.Logf("the last steps: %s", strings.Join(m.did[max(0, len(m.did)-25):], "\n"))
		}
	})
}

// model is what was written so far: each is a file of its own, whose name is
// found in no other place.
type model struct {
	*world
	t      *testing.T
	random *rand.Rand
	step   int
	tokens []string
	did    []string
	codes  map[string]int
}

// token makes up a name for something that must not get lost.
func (m *model) token() string {
	name := fmt.Sprintf("token-%d-%d", m.step, len(m.tokens))
	m.tokens = append(m.tokens, name)
	return name
}

// spaces lists what the registry knows.
func (m *model) spaces() []lsEntry {
	got := m.bivy("ls", "--json")
	var ls struct {
		Workspaces []lsEntry `json:"workspaces"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &ls); err != nil {
		m.t.Fatalf("bivy ls gives %v: %v", got, err)
	}
	return ls.Workspaces
}

type lsEntry struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
	// RenameTo is the name that a workspace was to get when that was cut off.
	RenameTo string `json:"rename_to"`
}

// next does one thing.
func (m *model) next() {
	spaces := m.spaces()
	if len(spaces) == 0 {
		m.bivyAny("new", "--host", "gpu1")
		return
	}
	ws := spaces[m.random.IntN(len(spaces))]
	switch m.random.IntN(20) {
	case 0, 1, 2:
		m.here(m.token(), true)
	case 3:
		m.here(m.token(), false)
	case 4, 5, 6:
		m.there(ws, m.token(), true)
	case 7, 8:
		m.there(ws, m.token(), false)
	case 9, 10, 11:
		m.bivyAny(append([]string{"sync", ws.Name}, m.some("--dirty", "--rebase", "--force")...)...)
	case 12, 13:
		m.bivyAny(append([]string{"pull", ws.Name}, m.some("--dirty")...)...)
	case 14:
		m.bivyAny(append([]string{"fork", ws.Name, m.name()}, m.some("--dirty")...)...)
	case 15:
		m.bivyAny("rename", ws.Name, m.name())
	case 16, 17:
		m.bivyAny("rm", ws.Name)
	case 18:
		if len(spaces) < 4 {
			m.bivyAny(append([]string{"new", m.name(), "--host", "gpu1"}, m.some("--dirty")...)...)
		}
	case 19:
		m.oddThere(ws)
	}
}

func (m *model) name() string { return "w" + strconv.Itoa(m.random.IntN(6)) }

// some picks at most one of the flags.
func (m *model) some(flags ...string) []string {
	if n := m.random.IntN(len(flags) + 1); n < len(flags) {
		return flags[n : n+1]
	}
	return nil
}

// here writes a token in the project; what is not committed is in the work tree.
func (m *model) here(token string, commit bool) {
	m.say("here %s commit=%v", token, commit)
	m.write(filepath.Join(m.proj, token), token+"\n")
	if commit {
		m.append(m.proj+"/README", token+"\n")
		m.git("add", "-A")
		m.git("commit", "-qm", token)
	}
}

// there writes one in a workspace.
func (m *model) there(ws lsEntry, token string, commit bool) {
	m.say("there %s in %s commit=%v", token, ws.Name, commit)
	script := "echo " + token + " >" + token
	if commit {
		script += " && git add -A && git commit -qm " + token
		if m.random.IntN(3) == 0 {
			script = "echo " + token + " >>README && " + script
		}
	}
	m.script2(ws, script)
}

// oddThere does what people and agents do with a repository.
func (m *model) oddThere(ws lsEntry) {
	token := m.token()
	scripts := []string{
		"git checkout -q -b b-" + token + " && echo x >" + token + " && git add . && git commit -qm " + token,
		"git checkout -q --detach && echo x >" + token + " && git add . && git commit -qm " + token,
		"echo x >" + token + " && git add " + token + " && git stash -q",
		"echo x >" + token + " && git add " + token + " && git commit -q --amend --no-edit",
		"git branch -q side-" + token + " && echo x >" + token,
	}
	script := scripts[m.random.IntN(len(scripts))]
	m.say("odd in %s: %s", ws.Name, script)
	m.script2(ws, script)
}

func (m *model) script2(ws lsEntry, script string) {
	token := m.tokens[len(m.tokens)-1]
	got := m.bivy("exec", ws.Name, "-c", "[ -d .git ] || exit 9; "+script)
	if got.code != 0 {
		// It was not written, then: a workspace may be half-made, or in a state in
		// which git refuses.
		m.say("  gave %v", got)
		if _, err := os.Stat(filepath.Join(ws.Dir, token)); err != nil {
			m.tokens = m.tokens[:len(m.tokens)-1]
		}
	}
}

func (m *model) say(format string, args ...any) {
	m.did = append(m.did, fmt.Sprintf("%d: ", m.step)+fmt.Sprintf(format, args...))
}

// bivyAny runs a command, now and then two at once, or one that is killed, and
// takes any end but a failure of bivy's own.
func (m *model) bivyAny(args ...string) {
	m.say("bivy %s", strings.Join(args, " "))
	b := m.start(m.spec(args...))
	killed := false
	switch m.random.IntN(6) {
	case 0:
		<-time.After(time.Duration(m.random.IntN(300)) * time.Millisecond)
		sig := []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM}[m.random.IntN(3)]
		m.say("  %s", sig)
		_ = b.process.Signal(sig)
		killed = true
	case 1:
		other := slices.Clone(args)
		m.say("  twice")
		second := m.bivy(other...)
		m.take(other, second, false)
	}
	m.take(args, b.wait(), killed)
}

func (m *model) take(args []string, got result, killed bool) {
	m.codes[args[0]+" "+strconv.Itoa(got.code)]++
	m.say("  %d %s", got.code, strings.TrimSpace(got.stderr))
	// Success; names that are taken or gone; refused; lost or canceled; busy.
	if slices.Contains([]int{0, 82, 83, 94, 96, 97}, got.code) || killed && got.code >= 128 {
		return
	}
	m.t.Errorf("step %d: bivy %q gives %v", m.step, args, got)
}

// check looks for every token.
func (m *model) check() {
	m.t.Helper()
	places := m.namesIn(m.proj)
	for _, ws := range m.spaces() {
		if ws.Dir == "" {
			continue
		}
		maps.Copy(places, m.namesIn(ws.Dir))
		if ws.RenameTo != "" {
			maps.Copy(places, m.namesIn(filepath.Join(filepath.Dir(ws.Dir), ws.RenameTo)))
		}
	}
	for _, token := range m.tokens {
		if !places[token] {
			m.t.Errorf("step %d: %s exists nowhere any more", m.step, token)
		}
	}
}

// namesIn is all that a repository and its work tree hold by name, whatever ref
// leads to it.
func (m *model) namesIn(dir string) map[string]bool {
	names := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return names
	}
	for _, e := range entries {
		names[e.Name()] = true
	}
	// All stashes but the last stand in the log of their ref only.
	for _, from := range [][]string{{"--all", "HEAD"}, {"-g", "refs/stash"}} {
		args := append([]string{"git", "-C", dir, "log", "-m", "--format=", "--name-only"}, from...)
		for name := range strings.Lines(m.run(proc.Spec{Args: args, Dir: dir, Env: m.env}).stdout) {
			names[strings.TrimSpace(name)] = true
		}
	}
	return names
}
