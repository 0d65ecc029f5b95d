// Package kit is what tests of the whole command share: its binary, what a process
// said, ports, and waiting without sleeping.
package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// own is the directory of this process's tests, from Run on.
var own string

// Run runs a package's tests and removes what Binary built. TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(kit.Run(m)) }
func Run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "detour-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	own = dir
	return m.Run()
}

// Binary builds the command, once in a process, as it is shipped: static. It returns its path.
var Binary = sync.OnceValues(func() (string, error) {
	if own == "" {
		return "", errors.New("nobody would remove the binary: TestMain must call kit.Run")
	}
	path := filepath.Join(own, "resolver")
	build := exec.Command("go", "build", "-o", path, "github.com/detour-dns/detour/cmd/resolver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// Output is what a process said. It may be read while the process writes.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// String returns what was said so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// FreePort returns a port of loopback that was free for UDP and TCP a moment ago. It is none
// of those that the system gives to whoever asks for any: of these another test's client may
// have it by now.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 50 {
		port := strconv.Itoa(10_000 + rand.N(20_000))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		_ = l.Close()
		if err == nil {
			_ = u.Close()
			return port
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

// Read returns the text of a file.
func Read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every calls f at each tick until it says true, or returns an error when the time
// is over.
func Every(tick, limit time.Duration, f func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	t := time.NewTicker(tick)
	defer t.Stop()
	for !f() {
		select {
		case <-t.C:
		case <-ctx.Done():
			return errors.New("not within " + limit.String())
		}
	}
	return nil
}

// tool is where a program stands that tests use and that is built once on a
// machine.
func tool(name string) (path string, err error) {
	dir := os.Getenv("DETOUR_TOOLS")
	if dir == "" {
		home, herr := os.UserHomeDir()
		if herr != nil {
			return "", herr
		}
		dir = filepath.Join(home, ".cache", "detour-tools")
	}
	path = filepath.Join(dir, name)
	_, err = os.Stat(path)
	return path, err
}

// StockBinary returns the path of a CoreDNS without anything of ours, to compare
// with. It is built from test/tools/stock, which takes two minutes, where the
// benchmarks have not done so before.
var StockBinary = sync.OnceValues(func() (string, error) {
	path, err := tool("coredns")
	if path == "" || err == nil {
		return path, err
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/detour-dns/detour").Output()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	fresh := fmt.Sprint(path, ".", os.Getpid()) // two tests may build at a time
	cmd := exec.Command("go", "build", "-trimpath", "-o", fresh, "github.com/coredns/coredns")
	cmd.Dir = filepath.Join(strings.TrimSpace(string(root)), "test", "tools", "stock")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build of stock CoreDNS: %w\n%s", err, out)
	}
	return path, os.Rename(fresh, path)
})
