package failover

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/plugin/forward"
	"github.com/miekg/dns"
)

// upstream answers everything with NOERROR and no records.
func upstream(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetReply(r)) })}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return c.LocalAddr().String()
}

// TestGateInTheChain: in each block that has the plugin, after a reload too, what
// other servers are asked for is bounded, and services are not. Blocks without it
// are as they were.
func TestGateInTheChain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "failover.yaml")
	text := "monitors: {web: {type: tcp, port: 1, interval: 1h}}\nprobes: {allow_targets: [127.0.0.0/8]}\nadmin: {listen: \"off\"}\n" +
		"state: {dir: " + dir + "/state}\nservices: {shop.example.org: {monitors: [web], pools: [{aws/us-east-1: [127.0.1.1]}]}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	corefile := strings.NewReplacer("FILE", file, "UP", upstream(t)).Replace(
		".:0 {\n failover FILE\n forward a.example UP\n forward . UP\n}\nb.example:0 {\n forward . UP\n failover FILE\n}\nfree.example:0 {\n forward . UP\n}\n",
	)
	inst, err := start(t, []string{"failover", "forward", "whoami"}, corefile)
	if err != nil {
		t.Fatal(err)
	}
	isBounded(t, inst, file)
	again, err := inst.Restart(caddy.CaddyfileInput{Contents: []byte(corefile + "# changed\n"), Filepath: "Corefile", ServerTypeName: "dns"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { again.ShutdownCallbacks(); _ = again.Stop() }()
	isBounded(t, again, file)
}

func isBounded(t *testing.T, inst *caddy.Instance, file string) {
	t.Helper()
	d := engines.get(file).door
	_, port, _ := net.SplitHostPort(inst.Servers()[0].LocalAddr().String())
	for _, full := range []bool{false, true} {
		if full {
			d.waiting.Add(d.room)
			defer d.waiting.Add(-d.room)
		}
		for name, bounded := range map[string]bool{
			"www.a.example.": true, "other.example.": true, "www.b.example.": true, "www.free.example.": false, "shop.example.org.": false,
		} {
			want := dns.RcodeSuccess
			if full && bounded {
				want = dns.RcodeRefused
			}
			if m, err := dns.Exchange(question(name, dns.TypeA), "127.0.0.1:"+port); err != nil || m.Rcode != want {
				t.Errorf("%s, full %v: %v, %v; want %s", name, full, m, err, dns.RcodeToString[want])
			}
		}
	}
}
