package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// load asks the resolver over a network at a steady rate until stopped, and
// counts what was lost or wrong.
type load struct {
	asked, lost, wrong atomic.Int64
	stop               chan struct{}
	wg                 sync.WaitGroup
}

// begin asks over UDP and TCP, rate questions a second in all.
func begin(p *process, rate int) *load {
	l := &load{stop: make(chan struct{})}
	const workers = 10
	for i := range workers {
		network := "udp"
		if i%5 == 4 {
			network = "tcp"
		}
		l.wg.Go(func() { l.work(p, network, time.Second*workers/time.Duration(rate)) })
	}
	return l
}

func (l *load) work(p *process, network string, gap time.Duration) {
	t := time.NewTicker(gap)
	defer t.Stop()
	c := dns.Client{Net: network, Timeout: 2 * time.Second}
	var conn *dns.Conn
	for {
		select {
		case <-l.stop:
			return
		case <-t.C:
		}
		if conn == nil {
			var err error
			if conn, err = c.Dial("127.0.0.1:" + p.port); err != nil {
				l.lost.Add(1)
				continue
			}
		}
		l.asked.Add(1)
		m, _, err := c.ExchangeWithConn(new(dns.Msg).SetQuestion("shop.example.org.", dns.TypeA), conn)
		switch {
		case err != nil:
			l.lost.Add(1)
			_ = conn.Close()
			conn = nil
		case len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "127.0.1.1":
			l.wrong.Add(1)
		}
	}
}

func (l *load) end() { close(l.stop); l.wg.Wait() }

// TestReloadsLoseNothing edits failover.yaml again and again under load: no
// query is lost, none is answered wrongly, and health survives.
func TestReloadsLoseNothing(t *testing.T) {
	web := kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	p := start(t, map[string]string{
		"failover.yaml": shop("DIR", web, ""),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n errors\n failover failover.yaml\n}\n",
	})
	p.eventually("answers lead to the first region", func() bool { return p.leads() == "127.0.1.1" })
	l := begin(p, 5000)
	reloads := func() int { return strings.Count(p.out.String(), "configuration reloaded") }
	const edits = 20 // one a second: that is how often the file is looked at
	for i := range edits {
		p.write("failover.yaml", shop("DIR", web, fmt.Sprintf("# edit %d\n", i)))
		p.eventually("the edit is taken", func() bool { return reloads() > i })
	}
	l.end()
	if l.lost.Load() > 0 || l.wrong.Load() > 0 || l.asked.Load() < 1000 {
		t.Errorf("%d asked, %d lost, %d wrong over %d reloads", l.asked.Load(), l.lost.Load(), l.wrong.Load(), edits)
	}
	if n := strings.Count(p.out.String(), "check down"); n > 0 {
		t.Errorf("%d checks turned down over reloads", n)
	}
}

// TestConfigMapSwap changes the file the way Kubernetes does: a symlink to a
// directory is swapped.
func TestConfigMapSwap(t *testing.T) {
	web := kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	dir := t.TempDir()
	put := func(version, extra string) {
		d := filepath.Join(dir, version)
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "failover.yaml"), []byte(shop(dir, web, extra)), 0o600); err != nil {
			t.Fatal(err)
		}
		tmp := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(version, tmp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	put("v1", "")
	if err := os.Symlink(filepath.Join("..data", "failover.yaml"), filepath.Join(dir, "failover.yaml")); err != nil {
		t.Fatal(err)
	}
	p := start(t, map[string]string{
		"Corefile": ".:PORT {\n bind 127.0.0.1\n failover " + filepath.Join(dir, "failover.yaml") + "\n}\n",
	})
	put("v2", "overrides: [{target: aws/us-east-1, do: drain, reason: test, owner: test}]\n")
	p.eventually("the swapped file is taken", func() bool { return p.leads() == "127.0.2.1" })
	put("v3", "nonsense: true\n")
	p.eventually("a bad file is refused aloud", func() bool {
		return strings.Contains(p.out.String(), "new configuration refused") && strings.Contains(p.out.String(), "nonsense")
	})
	if p.leads() != "127.0.2.1" {
		t.Error("a bad file changed the answers")
	}
}

// TestKillKeepsOverridesAndVerdicts: after kill -9 a restart answers as before,
// from its first answer on.
func TestKillKeepsVerdicts(t *testing.T) {
	web := kit.FreePort(t)
	first := backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	files := map[string]string{
		"failover.yaml": shop("DIR", web, ""),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n",
	}
	p := start(t, files)
	p.eventually("answers lead to the first region", func() bool { return p.leads() == "127.0.1.1" })
	_ = first.Close()
	p.eventually("answers lead to the second region", func() bool { return p.leads() == "127.0.2.1" })
	backend(t, "127.0.1.1", web) // back, but a failback takes five minutes
	p.eventually("it is up again", func() bool { return strings.Contains(p.out.String(), "check up") })
	state := filepath.Join(p.dir, "state", "detour.db")
	info, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}
	p.eventually("the state is written", func() bool {
		now, err := os.Stat(state)
		return err == nil && now.ModTime().After(info.ModTime().Add(5*time.Second))
	})
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
	q := start(t, map[string]string{
		"failover.yaml": strings.ReplaceAll(shop(p.dir, web, ""), "admin.sock", "admin2.sock"),
		"Corefile":      files["Corefile"],
	})
	for range 20 {
		if got := q.leads(); got != "127.0.2.1" {
			t.Fatalf("after kill -9 an answer leads to %q: the restart was a failback", got)
		}
	}
}

// TestTakenPort: one clear line, and no start.
func TestTakenPort(t *testing.T) {
	bin, err := kit.Binary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test's socket
	_, port, _ := net.SplitHostPort(l.LocalAddr().String())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Corefile"), []byte(".:"+port+" {\n bind 127.0.0.1\n whoami\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := run(t, bin, "serve", "--config", filepath.Join(dir, "Corefile"))
	if code != 1 || !strings.Contains(out, port) || !strings.Contains(out, "in use") {
		t.Errorf("exit %d: %s", code, out)
	}
}
