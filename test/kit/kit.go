// Package kit is what tests of the whole command share: its binary, what a process
// said, ports, and waiting without sleeping.
package kit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Binary builds the command, once in a process, and returns its path.
var Binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "detour-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "resolver")
	out, err := exec.Command("go", "build", "-o", path, "github.com/detour-dns/detour/cmd/resolver").CombinedOutput()
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

// FreePort returns a port of loopback that was free for UDP and TCP a moment ago.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
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
