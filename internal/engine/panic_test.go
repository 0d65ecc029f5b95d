package engine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAPanicEndsTheProcess: a resolver that cannot go on must not hang, for it would
// answer for ever what was true then. This test runs itself as the process.
func TestAPanicEndsTheProcess(t *testing.T) {
	if os.Getenv("DETOUR_TEST_PANICS") != "" {
		panics(t, os.Getenv("DETOUR_TEST_PANICS"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestAPanicEndsTheProcess$")
	cmd.Env = append(os.Environ(), "DETOUR_TEST_PANICS="+t.TempDir()) // which outlives what panics
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) || !strings.Contains(string(out), "panic: the loop cannot go on") {
		t.Errorf("%v, %v:\n%s", ctx.Err(), err, out)
	}
}

// panics runs an engine whose loop panics while a catalog waits to tell it that
// there is no Consul.
func panics(t *testing.T, dir string) {
	e, err := Start(Options{Config: parse(t, `
state: {dir: `+dir+`}
admin: {listen: "off"}
sources: [{consul: {address: "unix://`+filepath.Join(dir, "none.sock")+`", services: {web: {}}}}]
`)})
	if err != nil {
		t.Fatal(err)
	}
	_ = e.Do(func(*Core) {
		<-time.After(2 * time.Second)
		panic("the loop cannot go on")
	})
}
