package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"bivy/integration/sshdtest"
)

// TestScripts runs each script on both kinds of host. A script finds itself in
// a project of two commits, with the variables REMOTE (HOME on the host) and
// ROOT (a directory of its own) and these commands beside testscript's:
//
//	exits CODE PROGRAM ARG…   run it, and want exactly that exit code
//	json FILE PATH REGEXP     in the last JSON object of FILE, stdout or
//	                          stderr; the object is checked as a whole too
//	host NAME LINE…           a further name of the host, see world.hostBlock
//	await FILE                poll until FILE is there
//	gone                      poll until nothing runs on the host
//	logins N                  want that many logins so far
//	terminal                  skip where the host can give no terminal
func TestScripts(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{kindSandbox, kindSSHD} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir: "testdata",
				Setup: func(env *testscript.Env) error {
					tb, ok := env.T().(testing.TB)
					if !ok {
						return errors.New("testscript's T is no testing.TB")
					}
					w := newWorld(tb, kind, hostOptions{})
					env.Defer(w.end)
					env.Vars = append(env.Vars, w.env...)
					env.Cd = w.proj
					env.Values[worldKey{}] = w
					return nil
				},
				Condition: func(name string) (bool, error) { return condition(kind, name) },
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"exits": cmdExits, "json": cmdJSON, "host": cmdHost, "await": cmdAwait, "gone": cmdGone, "logins": cmdLogins,
					"terminal": cmdTerminal,
				},
			})
		})
	}
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world {
	w, ok := ts.Value(worldKey{}).(*world)
	if !ok {
		ts.Fatalf("the script has no world")
	}
	return w
}

// condition knows the kinds of host, and root.
func condition(kind, name string) (bool, error) {
	switch name {
	case kindSandbox, kindSSHD:
		return name == kind, nil
	case "root":
		return os.Getuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ended interface{ ExitCode() int }
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &ended):
		got = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// snakeCase is what every name in our JSON looks like.
var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH REGEXP")
	}
	object := lastObject(ts, ts.ReadFile(args[0]))
	if fmt.Sprint(object["format"]) != "1" {
		ts.Fatalf("the object has format %v, want 1", object["format"])
	}
	checkNames(ts, object)
	var value any = object
	for name := range strings.SplitSeq(args[1], ".") {
		value = child(ts, value, name)
	}
	text, ok := value.(string)
	if !ok {
		data, err := json.Marshal(value)
		ts.Check(err)
		text = string(data)
	}
	match, err := regexp.MatchString(`(?s)^(?:`+args[2]+`)$`, text)
	ts.Check(err)
	if match == neg {
		ts.Fatalf("%s is %s; match with %q: %v", args[1], text, args[2], match)
	}
}

// lastObject reads objects one after the other; all must be whole.
func lastObject(ts *testscript.TestScript, text string) map[string]any {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	var last map[string]any
	for {
		var next map[string]any
		err := dec.Decode(&next)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			ts.Fatalf("not JSON: %v: %q", err, text)
		}
		last = next
	}
	if last == nil {
		ts.Fatalf("no JSON object in %q", text)
	}
	return last
}

func checkNames(ts *testscript.TestScript, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			if !snakeCase.MatchString(name) {
				ts.Fatalf("the name %q is not snake_case", name)
			}
			checkNames(ts, field)
		}
	case []any:
		for _, item := range v {
			checkNames(ts, item)
		}
	}
}

func child(ts *testscript.TestScript, value any, name string) any {
	switch v := value.(type) {
	case map[string]any:
		field, ok := v[name]
		if !ok {
			ts.Fatalf("no field %s in %v", name, v)
		}
		return field
	case []any:
		if name == "length" {
			return len(v)
		}
		if i, err := strconv.Atoi(name); err == nil && i < len(v) {
			return v[i]
		}
	}
	ts.Fatalf("no %s in %v", name, value)
	return nil
}

func cmdHost(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: host NAME LINE…")
	}
	worldOf(ts).hostBlock(args[0], args[1:]...)
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	path := ts.MkAbs(args[0])
	worldOf(ts).eventually(filepath.Base(path)+" is there", func() bool { return exists(path) })
}

func cmdGone(ts *testscript.TestScript, _ bool, _ []string) { worldOf(ts).goneThere() }

func cmdLogins(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: logins N")
	}
	if n := worldOf(ts).logins(); strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d logins, want %s", n, args[0])
	}
}

// cmdTerminal skips where an unprivileged sshd cannot serve a terminal.
func cmdTerminal(ts *testscript.TestScript, _ bool, _ []string) {
	if w := worldOf(ts); w.kind == kindSSHD {
		sshdtest.RequireTerminal(w.tb)
	}
}
