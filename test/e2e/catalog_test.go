package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// register puts an instance of the service web into the catalog, with the word of a
// check of Consul's.
func register(t *testing.T, c *kit.ConsulServer, id, ip, region, status string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"Node": "host-" + id, "Address": ip, "SkipNodeUpdate": false,
		"Service": map[string]any{
			"ID": id, "Service": "web", "Address": ip, "Port": 80,
			"Meta": map[string]string{"provider": strings.Split(region, "/")[0], "region": strings.Split(region, "/")[1]},
		},
		"Checks": []map[string]any{{"CheckID": "service:" + id, "ServiceID": id, "Name": "web", "Status": status}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Do(http.MethodPut, "/v1/catalog/register", body)
}

// A service comes from a real Consul catalog: its instances are the endpoints,
// Consul's own checks the only opinion. It fails over when they say so; a catalog
// that is emptied, or dies, takes nothing away, over a restart too.
func TestServiceFromACatalog(t *testing.T) {
	c := kit.Consul(t, kit.ConsulOptions{})
	register(t, c, "web-1", aws, "aws/us-east-1", "passing")
	register(t, c, "web-2", gcp, "gcp/europe-west1", "passing")
	p := start(t, map[string]string{
		"failover.yaml": `version: 1
sources:
  - consul:
      address: ` + c.URL + `
      services:
        web:
          name: shop.example.org
          monitors: [consul]
          order: [aws/us-east-1, gcp/europe-west1]
probes: {allow_targets: [127.0.0.0/8]}
state: {dir: DIR/state}
admin: {listen: "unix://DIR/admin.sock"}
`,
		"Corefile": ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n",
	})
	p.eventually("the first in order", func() bool { return p.leads() == aws })
	began := time.Now()
	register(t, c, "web-1", aws, "aws/us-east-1", "critical")
	p.eventually("Consul's check fails, the other region answers", func() bool { return p.leads() == gcp })
	t.Logf("visible after %v", time.Since(began).Round(time.Millisecond))
	p.say(0, "127.0.1.1 sick: down (status", "explain", "shop.example.org")

	c.Do(http.MethodPut, "/v1/catalog/deregister", []byte(`{"Node": "host-web-1"}`))
	c.Do(http.MethodPut, "/v1/catalog/deregister", []byte(`{"Node": "host-web-2"}`))
	for range 30 { // three seconds: an empty answer is believed after ten, and then takes no address away
		if at := p.leads(); at != gcp {
			t.Fatalf("the catalog was emptied, and the answer is %q", at)
		}
		<-time.After(100 * time.Millisecond)
	}
	register(t, c, "web-2", gcp, "gcp/europe-west1", "passing")
	c.Stop()
	p.again(syscall.SIGKILL)
	if m := p.ask("shop.example.org.", dns.TypeA); m == nil || len(m.Answer) == 0 {
		t.Errorf("Consul is dead, and after a restart there is no answer:\n%v", m)
	}
	p.eventually("status says it", func() bool {
		out, _ := p.resolver("status")
		return strings.Contains(out, "WARNING the catalog of shop.example.org does not answer well since")
	})
}
