package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// member starts a resolver that shares over a Consul with certificates and a token
// of its own.
func member(t *testing.T, c *kit.ConsulServer, name, zone, web string) (p *process, token string) {
	t.Helper()
	return memberWith(t, c, name, zone, shop("DIR", web, ""), "observer.hcl", "operator.hcl")
}

// memberWith starts one with the policies that files hold.
func memberWith(t *testing.T, c *kit.ConsulServer, name, zone, yaml string, policies ...string) (p *process, token string) {
	t.Helper()
	rules := ""
	for _, file := range policies {
		rules += kit.Policy(t, file, "main", zone, name, "test") + "\n"
	}
	token = c.Grant("detour-"+name, rules)
	p = start(t, map[string]string{
		"token": token + "\n",
		"failover.yaml": yaml + fmt.Sprintf(`
self: {name: %s, zone: %s}
share:
  consul:
    - {address: %s, token_file: token, ca_file: %s, cert_file: %s, key_file: %s}
`, name, zone, c.URL, c.TLS.CA, c.TLS.Cert, c.TLS.Key),
		"Corefile": ".:PORT {\n bind 127.0.0.1\n log\n errors\n failover failover.yaml\n prometheus 127.0.0.1:" + kit.FreePort(t) + "\n}\n",
	})
	return p, token
}

// Three resolvers in three zones agree over a real Consul with certificates and
// ACLs that deny by default: they move together, an operator's word at one is
// obeyed by all, one that starts anew with an empty disk follows, and no token is
// ever said.
func TestResolversAgree(t *testing.T) {
	c := kit.Consul(t, kit.ConsulOptions{ACL: true, TLS: true})
	web := kit.FreePort(t)
	servers := map[string]interface{ Close() error }{aws: backend(t, aws, web), gcp: backend(t, gcp, web)}
	var all []*process
	var tokens []string
	for i, zone := range []string{"aws/us-east-1", "gcp/europe-west1", "onprem/fra1"} {
		p, token := member(t, c, fmt.Sprint("dns", i+1), zone, web)
		all, tokens = append(all, p), append(tokens, token)
	}
	each := func(what string, f func(p *process) bool) {
		t.Helper()
		for _, p := range all {
			p.eventually(what, func() bool { return f(p) })
		}
	}
	says := func(text string, args ...string) func(*process) bool {
		return func(p *process) bool { out, _ := p.resolver(args...); return strings.Contains(out, text) }
	}
	each("all are heard", says("3 observers fresh, agree", "status"))

	all[1].say(0, "drain", "drain", "aws/us-east-1", "--reason", "maintenance")
	each("the drain is obeyed", func(p *process) bool { return p.leads() == gcp })
	all[2].say(0, "maintenance", "overrides")
	all[2].say(0, "ended: drain of", "undrain", "aws/us-east-1")
	each("it is lifted", func(p *process) bool { out, _ := p.resolver("overrides"); return strings.Contains(out, "no overrides") })

	for _, p := range all {
		p.say(0, "1 pool takes its traffic back", "failback", "shop.example.org", "--now", "--reason", "test")
		break
	}
	each("all are back", func(p *process) bool { return p.leads() == aws })

	_ = servers[aws].Close()
	each("the region is left", func(p *process) bool { return p.leads() == gcp })
	for _, p := range all {
		p.eventually("they decide alike", func() bool { return says("3 observers fresh, agree", "status")(p) })
	}
	all[0].say(2, "dns3      onprem/fra1", "status", "--all")
	all[0].say(0, "down (refused)", "explain", "shop.example.org", "--all")
	all[0].say(0, "answers the same: its decisions are equal", "explain", "shop.example.org", "--all")

	all[0].end(syscall.SIGTERM)
	each2 := all[1:]
	for _, p := range each2 {
		p.eventually("who stops is gone at once", func() bool { return says("2 observers fresh, agree", "status")(p) })
	}
	if err := os.RemoveAll(filepath.Join(all[0].dir, "state")); err != nil {
		t.Fatal(err)
	}
	backend(t, aws, web)
	all[0].serve(all[0].cmd.Path)
	if at := all[0].leads(); at != gcp {
		t.Errorf("a resolver that starts with an empty disk answers %s, the others %s", at, all[1].leads())
	}

	for i, p := range all {
		said := p.out.String()
		for _, args := range [][]string{{"status", "--all"}, {"status", "--json"}, {"events"}, {"explain", "shop.example.org", "--all"}} {
			out, _ := p.resolver(args...)
			said += out
		}
		for _, token := range tokens {
			if strings.Contains(said, token) {
				t.Errorf("dns%d says a token:\n%s", i+1, said)
			}
		}
	}
}

// Consul dies, and a region with it: the resolvers leave the region as if there
// never had been a Consul, and say that they do not hear each other.
func TestConsulDiesWithTheRegion(t *testing.T) {
	c := kit.Consul(t, kit.ConsulOptions{ACL: true, TLS: true})
	web := kit.FreePort(t)
	server := backend(t, aws, web)
	backend(t, gcp, web)
	one, _ := member(t, c, "dns1", "gcp/europe-west1", web)
	two, _ := member(t, c, "dns2", "onprem/fra1", web)
	for _, p := range []*process{one, two} {
		p.eventually("both are heard", func() bool { out, _ := p.resolver("status"); return strings.Contains(out, "2 observers fresh, agree") })
	}
	c.Pause()
	_ = server.Close()
	for _, p := range []*process{one, two} {
		p.eventually("the region is left", func() bool { return p.leads() == gcp })
	}
	status := func(text string) {
		t.Helper()
		err := kit.Every(200*time.Millisecond, time.Minute, func() bool { out, _ := one.resolver("status"); return strings.Contains(out, text) })
		if err != nil {
			t.Errorf("status never says %q", text)
		}
	}
	status("the others are NOT HEARD for")
	c.Resume()
	status("2 observers fresh, agree")
}
