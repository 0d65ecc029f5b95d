package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// foreignMain is a CoreDNS of somebody else that has our two plugins, as the lines
// in its plugin.cfg would put them there.
const foreignMain = `package main

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/core/plugin"
	"github.com/coredns/coredns/coremain"
	_ "github.com/detour-dns/detour/plugin/failover"
	_ "github.com/detour-dns/detour/plugin/guard"
)

func main() {
	at := slices.Index(dnsserver.Directives, "cache")
	list := slices.Insert(slices.Clone(dnsserver.Directives), at+1, "guard")
	if err := dnsserver.SetDirectives(slices.Insert(list, at, "failover")); err != nil {
		panic(err)
	}
	coremain.Run()
}
`

// foreign builds it in a module of its own, with what stock CoreDNS v1.15.0 is
// built from.
func foreign(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mod := kit.Read(t, filepath.Join(root, "test/tools/stock/go.mod")) +
		"\nrequire github.com/detour-dns/detour v0.0.0\n\nreplace github.com/detour-dns/detour => " + root + "\n"
	mod = strings.Replace(strings.Replace(mod, "module stock", "module foreign", 1), "tool github.com/coredns/coredns\n", "", 1)
	for name, text := range map[string]string{
		"go.mod": mod, "main.go": foreignMain,
		"go.sum": kit.Read(t, filepath.Join(root, "test/tools/stock/go.sum")) + kit.Read(t, filepath.Join(root, "go.sum")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "coredns")
	cmd := exec.Command("go", "build", "-mod=mod", "-o", bin, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("a CoreDNS with our plugins does not build: %v\n%s", err, out)
	}
	return bin
}

// TestInACoreDNSOfOnesOwn builds somebody else's CoreDNS with our plugins, and has
// guard alone in one block and failover in another.
func TestInACoreDNSOfOnesOwn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a CoreDNS")
	}
	t.Parallel()
	var empty atomic.Bool
	up := emptiable(t, &empty)
	web := kit.FreePort(t)
	backend(t, "127.0.4.1", web)
	port, dir := kit.FreePort(t), t.TempDir()
	for name, text := range map[string]string{
		"failover.yaml": strings.NewReplacer("127.0.1.1", "127.0.4.1", "127.0.2.1", "127.0.4.2").Replace(shop(dir, web, "")),
		"Corefile": fmt.Sprintf("cloud.example:%[1]s {\n bind 127.0.0.1\n cache 30\n guard api.cloud.example {\n  proof tcp:%[2]s\n  allow_targets 127.0.0.0/8\n  state %[3]s\n }\n forward . %[4]s\n}\n"+
			"example.org:%[1]s {\n bind 127.0.0.1\n failover failover.yaml\n cache 30\n}\n", port, web, dir, up),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out kit.Output
	cmd := exec.Command(foreign(t), "-conf", filepath.Join(dir, "Corefile"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	answers := func(name, want string) {
		t.Helper()
		var last *dns.Msg
		if err := kit.Every(200*time.Millisecond, 20*time.Second, func() bool {
			last, _ = dns.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), "127.0.0.1:"+port)
			return last != nil && len(last.Answer) == 1 && strings.HasSuffix(last.Answer[0].String(), want)
		}); err != nil {
			t.Fatalf("%s: %v, want %s\n%s", name, last, want, out.String())
		}
	}
	answers("shop.example.org.", "127.0.4.1")
	answers("api.cloud.example.", "1\tIN\tA\t127.0.4.1")
	if err := kit.Every(200*time.Millisecond, 20*time.Second, func() bool { // until it proved itself
		empty.Store(true)
		defer empty.Store(false)
		m, _ := dns.Exchange(new(dns.Msg).SetQuestion("api.cloud.example.", dns.TypeA), "127.0.0.1:"+port)
		return m != nil && len(m.Answer) == 1 && m.Answer[0].Header().Ttl > 1
	}); err != nil {
		t.Fatalf("nothing stands in: %v\n%s", err, out.String())
	}
}

// emptiable is an upstream that knows an address for every name, until it is
// emptied.
func emptiable(t *testing.T, empty *atomic.Bool) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		if rr, _ := dns.NewRR(r.Question[0].Name + " 1 IN A 127.0.4.1"); !empty.Load() && r.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{rr}
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
	return c.LocalAddr().String()
}
