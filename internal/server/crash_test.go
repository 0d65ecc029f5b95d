package server

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/crash"
)

// poison is an address over which this test's resolver crashes: a file that passes
// every check, is taken, and ends the process later, on a goroutine of nobody's.
const poison = "127.0.0.66"

func poisoned(addr string) {
	for range time.Tick(50 * time.Millisecond) {
		if address(addr) == poison {
			panic("poison")
		}
	}
}

// TestACrashLoopEnds is the whole way of a poisoned failover.yaml through real
// processes: it is taken, the resolver crashes, is started again as a service manager
// does, and at the third start at the latest answers with what ran before.
func TestACrashLoopEnds(t *testing.T) {
	target := hold(t, "127.0.0.1:0")
	closing(t, target)
	_, up, _ := net.SplitHostPort(target.Addr().String())
	for _, ip := range []string{"127.0.0.2:", poison + ":"} {
		closing(t, hold(t, ip+up))
	}
	dir := t.TempDir()
	yaml := filepath.Join(dir, "f.yaml")
	rewrite(t, yaml, services(dir, "127.0.0.1", up))
	ranWell(t, dir, yaml)
	port := freePort(t)
	addr := "127.0.0.1:" + port
	path := write(t, says(port, "one", "errors\nfailover "+yaml))
	again := func() *process { return spawn(t, t.TempDir(), asFile+"="+path, asVictim+"="+addr) }

	p := again()
	if got := address(addr); got != "127.0.0.1" {
		t.Fatalf("at the start: %s", got)
	}
	rewrite(t, yaml, services(dir, poison, up))
	for n := range crash.Limit {
		if code := p.code(); code != 2 || !p.says("panic: poison") {
			t.Fatalf("process %d ended with %d", n, code)
		}
		p = again()
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 20 { // longer than the others lived
		if got := address(addr); got != "127.0.0.1" {
			t.Fatalf("after the crashes: %s", got)
		}
		<-tick.C
	}
	for _, want := range []string{"going back to the configuration that ran before", "by a fault of this program at", "panic: poison (internal/server.poisoned, crash_test.go:"} {
		if !p.says(want) {
			t.Errorf("it does not say %q", want)
		}
	}
	rewrite(t, yaml, services(dir, "127.0.0.2", up))
	wait(t, wait10, "the mended file in use", func() bool { return address(addr) == "127.0.0.2" })
}

// ranWell makes a configuration the one to go back to, as ten minutes with it do.
func ranWell(t *testing.T, dir, yaml string) {
	t.Helper()
	book, _, err := crash.Open(dir, yaml, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	if err := book.Takes(hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := book.RanWell(hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
}
