package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"bivy/exec/proc"
	"bivy/integration/sandbox"
	"bivy/internal/leak"
)

// configVariable makes the test binary the host: it holds the Config as JSON.
const configVariable = "BIVY_SANDBOX_TEST_CONFIG"

func TestMain(m *testing.M) {
	proc.UnignoreSignals() // the tests may run under nohup
	if text, ok := os.LookupEnv(configVariable); ok {
		os.Exit(serve(text))
	}
	leak.Main(m)
}

// serve is what a ProxyCommand does.
func serve(text string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var cfg sandbox.Config
	err := json.Unmarshal([]byte(text), &cfg)
	if err == nil {
		err = sandbox.Serve(ctx, cfg, sandbox.Stdio())
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return 1
	}
	return 0
}
