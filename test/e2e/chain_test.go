package e2e

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// upstream is a DNS server that other names are forwarded to. It counts nothing
// and knows one address.
func upstream(t *testing.T) string {
	t.Helper()
	at := "127.0.0.1:" + kit.FreePort(t)
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	h := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		if r.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR(r.Question[0].Name + " 60 IN A 127.0.9.9")
			m.Answer = []dns.RR{rr}
		}
		_ = w.WriteMsg(m)
	})
	for _, s := range []*dns.Server{{PacketConn: c, Handler: h}, {Listener: l, Handler: h}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return at
}

// TestWithOtherPlugins starts one Corefile with DNS, DoT, DoH and DoQ, views,
// cache, file and forward, and asks each way in with kdig.
func TestWithOtherPlugins(t *testing.T) {
	need(t, "kdig")
	web, tlsPort, httpsPort, quicPort := kit.FreePort(t), kit.FreePort(t), kit.FreePort(t), kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	pair, err := kit.SelfSigned(kit.Leaf{Subject: "resolver.example", Names: []string{"resolver.example"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	certs := t.TempDir()
	cert, key := filepath.Join(certs, "cert.pem"), filepath.Join(certs, "key.pem")
	kit.WritePair(t, &pair, cert, key)
	block := " bind 127.0.0.1\n errors\n failover failover.yaml\n cache 30\n file DIR/db.zone zone.example\n forward . " + upstream(t) + "\n"
	secure := "{\n tls " + cert + " " + key + "\n" + block + "}\n"
	p := start(t, map[string]string{
		"failover.yaml": shop("DIR", web, ""),
		"db.zone":       "$ORIGIN zone.example.\n@ 60 IN SOA ns host 1 2 3 4 60\n@ 60 IN NS ns\nns 60 IN A 127.0.9.1\nwww 60 IN A 127.0.9.2\n",
		"Corefile": ".:PORT {\n view v6only {\n  expr type() == 'AAAA'\n }\n bind 127.0.0.1\n failover failover.yaml\n}\n" +
			".:PORT {\n" + block + "}\n" +
			"tls://.:" + tlsPort + " " + secure + "https://.:" + httpsPort + " " + secure + "quic://.:" + quicPort + " " + secure,
	})
	for way, args := range map[string][]string{
		"udp": {"-p", p.port}, "tcp": {"-p", p.port, "+tcp"}, "tls": {"-p", tlsPort, "+tls"},
		"https": {"-p", httpsPort, "+https"}, "quic": {"-p", quicPort, "+quic"},
	} {
		for name, want := range map[string]string{
			"shop.example.org": "127.0.1.1", "www.zone.example": "127.0.9.2", "else.example": "127.0.9.9",
		} {
			out, err := exec.Command("kdig", append([]string{"@127.0.0.1", "+short", "+timeout=3", name, "A"}, args...)...).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != want {
				t.Errorf("%s over %s: %q, %v; want %s", name, way, out, err, want)
			}
		}
	}
	if m := p.ask("shop.example.org.", dns.TypeAAAA); m == nil || m.Rcode != dns.RcodeSuccess || len(m.Ns) != 1 {
		t.Errorf("AAAA through the view = %v, want NODATA", m)
	}
	if m := p.ask("shop.example.org.", dns.TypeMX); m == nil || m.Rcode != dns.RcodeSuccess {
		t.Errorf("MX through forward = %v", m)
	}
}

// TestFailoverOnLoopback kills a backend: answers move, and cache does not hold
// the old ones longer than our TTL says.
func TestFailoverOnLoopback(t *testing.T) {
	web := kit.FreePort(t)
	first := backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	p := start(t, map[string]string{
		"failover.yaml": shop("DIR", web, ""),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n errors\n failover failover.yaml\n cache 3600\n}\n",
	})
	p.eventually("answers lead to the first region", func() bool { return p.leads() == "127.0.1.1" })
	cut := time.Now()
	_ = first.Close()
	p.eventually("answers lead to the second region", func() bool { return p.leads() == "127.0.2.1" })
	if took := time.Since(cut); took > 2*time.Second { // 0.5 s + 2 x 0.1 s + 0.3 s, and as much for a busy machine
		t.Errorf("answers moved after %v, the bound is 1 s", took)
	}
	p.eventually("the log says what moved and why", func() bool {
		return strings.Contains(p.out.String(), "service moved") && strings.Contains(p.out.String(), "refused")
	})
}
