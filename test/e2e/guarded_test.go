package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// guardian is a resolver that guards a name, and shares over a Consul.
type guardian struct {
	*process
	at string // where it is asked for the guarded name
}

// askAPI returns the address that it answers for the guarded name, or its code.
func (g *guardian) askAPI() string {
	c := dns.Client{Timeout: time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion("api.cloud.example.", dns.TypeA), g.at)
	switch {
	case err != nil:
		return "silence"
	case len(m.Answer) != 1:
		return dns.RcodeToString[m.Rcode]
	}
	return m.Answer[0].(*dns.A).A.String()
}

// beginGuardian starts one.
func beginGuardian(t *testing.T, c *kit.ConsulServer, n int, port, web, up string) *guardian {
	t.Helper()
	name, ip := fmt.Sprint("dns", n), fmt.Sprint("127.0.9.", n)
	token := c.Grant("detour-"+name, kit.Policy(t, "observer.hcl", "main", "onprem/fra1", name, "test"))
	p := start(t, map[string]string{
		"token": token + "\n",
		"failover.yaml": shop("DIR", web, fmt.Sprintf("\nself: {name: %s, zone: onprem/fra1}\nshare:\n  consul:\n"+
			"    - {address: %s, token_file: token, ca_file: %s, cert_file: %s, key_file: %s}\n", name, c.URL, c.TLS.CA, c.TLS.Cert, c.TLS.Key)),
		"Corefile": fmt.Sprintf("example.org:PORT {\n bind 127.0.0.1\n errors\n failover failover.yaml\n}\n"+
			"cloud.example:%s {\n bind %s\n errors\n cache 30\n guard api.cloud.example {\n  proof tcp:%s\n  allow_targets 127.0.0.0/8\n  state DIR/state\n }\n forward . %s\n}\n", port, ip, web, up),
	})
	return &guardian{p, ip + ":" + port}
}

// A name's DNS is emptied, and then a resolver is killed whose disk is empty when it
// starts again: it answers what two neighbors kept from its first answer on, and says
// from whom it has it. Without a Consul that is alive, they go on.
func TestAStartWithNothingInTheOutage(t *testing.T) {
	t.Parallel()
	c := kit.Consul(t, kit.ConsulOptions{ACL: true, TLS: true})
	var empty atomic.Bool
	up, web, port := emptiable(t, &empty), kit.FreePort(t), kit.FreePort(t)
	backend(t, "127.0.4.1", web)
	backend(t, aws, web)
	backend(t, gcp, web)
	one, two, three := beginGuardian(t, c, 1, port, web, up), beginGuardian(t, c, 2, port, web, up), beginGuardian(t, c, 3, port, web, up)
	for _, p := range []*guardian{one, two, three} {
		p.eventually("all are heard", func() bool { out, _ := p.resolver("status"); return strings.Contains(out, "3 observers fresh, agree") })
	}
	for _, p := range []*guardian{one, three} {
		p.eventually("it is known", func() bool { return p.askAPI() == "127.0.4.1" })
	}
	// It is left within a moment, or ten seconds where a neighbor is elected to do so.
	if err := kit.Every(200*time.Millisecond, 30*time.Second, func() bool {
		keys := c.Do(http.MethodGet, "/v1/kv/detour/main/v1/?keys", nil)
		return bytes.Contains(keys, []byte("kept/onprem~2Ffra1/dns1/")) && bytes.Contains(keys, []byte("kept/onprem~2Ffra1/dns3/"))
	}); err != nil {
		t.Fatalf("nothing is left for the others: %v", err)
	}
	empty.Store(true)
	one.eventually("it stands in", func() bool {
		at := one.askAPI()
		out, _ := one.resolver("guard", "list")
		return at == "127.0.4.1" && strings.Contains(out, "stands in")
	})

	two.end(syscall.SIGKILL)
	if err := os.RemoveAll(filepath.Join(two.dir, "state")); err != nil {
		t.Fatal(err)
	}
	two.serve(two.cmd.Path)
	for range 20 {
		if got := two.askAPI(); got != "127.0.4.1" {
			t.Fatalf("a resolver that starts with nothing answers %s", got)
		}
	}
	two.eventually("it says from whom it knows", func() bool {
		return strings.Contains(two.out.String(), "api.cloud.example is known from other resolvers")
	})
	two.say(0, "api.cloud.example", "guard", "list")

	c.Stop()
	for range 20 {
		if got := one.askAPI() + " " + two.askAPI(); got != "127.0.4.1 127.0.4.1" {
			t.Fatalf("without Consul they answer %s", got)
		}
	}
	empty.Store(false)
	two.eventually("it is well again", func() bool { out, _ := two.resolver("guard", "list"); return strings.Contains(out, " well ") })
}
