package lab

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// twoDatacenters is two of them, each with a server of its own, that know of each
// other but copy no keys; and two resolvers beside each, which share through both.
var twoDatacenters = layout{
	datacenters: []string{"dc1", "dc2"},
	seats: []seat{
		{"aws/us-east-1", []int{0, 1}},
		{"aws/us-east-1", []int{0, 1}},
		{"gcp/europe-west1", []int{1, 0}},
		{"gcp/europe-west1", []int{1, 0}},
	},
}

// The two sides of a WAN that may break.
var (
	sideOne = []string{"c1", "r1", "r2"}
	sideTwo = []string{"c2", "r3", "r4"}
)

// TestTwoDatacenters: resolvers share through two datacenters, and read a catalog
// from both. That one of them dies while a region fails, or that both are cut off
// from each other, makes nothing later and loses nothing.
func TestTwoDatacenters(t *testing.T) {
	t.Parallel()
	var base row
	var rows []row
	t.Run("of", func(t *testing.T) { // until both ended
		t.Run("alone", func(t *testing.T) {
			f := newFleet(t, twoDatacenters.alone())
			t.Parallel()
			f.serve()
			base = f.fails(fault{name: "no sharing"}, f.resolvers...)
		})
		t.Run("sharing", func(t *testing.T) {
			f := newFleet(t, twoDatacenters)
			t.Parallel()
			f.more = f.catalog
			f.instance("c1", "aws")
			f.instance("c2", "gcp")
			f.serve()
			f.agreed()
			f.all(time.Minute, "aws", f.resolvers...)
			f.readsBothCatalogs(t)
			rows = f.losesOne()
			f.agreed()
			f.keepsDrainsApart(t)
		})
	})
	compare(t, base, rows)
}

// losesOne has a region fail while both datacenters are well, while one of them is
// killed, and together with one of them.
func (f *fleet) losesOne() (rows []row) {
	f.t.Helper()
	for _, x := range []fault{
		{name: "both alive"},
		{
			name: "one is killed amid the failure",
			amid: func(f *fleet) { <-time.After(1500 * time.Millisecond); f.kill(f.servers[0]) },
			end: func(f *fleet) {
				f.says("consul dc1 FAILS", f.resolvers...)
				f.agreed() // through the other one
				f.again(f.servers[0])
			},
		},
		{
			name:  "one dies with the region",
			begin: func(f *fleet) { f.cut(sideOne, append([]string{"gcp", "azure"}, sideTwo...)) },
			end:   func(f *fleet) { f.mend() },
		},
	} {
		f.agreed()
		who := f.resolvers
		if x.begin != nil {
			who = who[2:] // outside the region
		}
		rows = append(rows, f.fails(x, who...))
	}
	return rows
}

// says waits until resolvers say something of themselves.
func (f *fleet) says(text string, who ...*member) {
	f.t.Helper()
	for _, m := range who {
		f.eventually(30*time.Second, m.place+" says "+text, func() bool { return strings.Contains(f.status(m), text) })
	}
}

// catalog is the source of a second service: each resolver asks its own datacenter
// for the instances of both.
func (f *fleet) catalog(m *member) string {
	f.file(m.dir(f), "token-catalog", f.token)
	return fmt.Sprintf(`sources:
  - consul:
      {address: "https://%s", server_name: %s, token_file: token-catalog, ca_file: %s, cert_file: %s, key_file: %s,
       datacenters: {dc1: aws/us-east-1, dc2: gcp/europe-west1},
       services: {web: {name: web.example.org, monitors: [consul], order: [gcp/europe-west1, aws/us-east-1]}}}
`, f.via(m.consul[0]), kit.ConsulServerName, f.certs.CA, f.certs.Cert, f.certs.Key)
}

// instance makes the machine of a place the instance in a server's datacenter.
func (f *fleet) instance(server, place string) {
	f.t.Helper()
	body := fmt.Sprintf(`{"Node": "host", "Address": "192.0.2.1", "Service": {"ID": "web", "Service": "web", "Address": %q, "Port": 80},
  "Checks": [{"CheckID": "web", "ServiceID": "web", "Name": "web", "Status": "passing"}]}`, f.of(place))
	if f.api(server, http.MethodPut, "/v1/catalog/register", []byte(body)) == nil {
		f.t.Fatal("Consul does not take an instance")
	}
}

// web waits until resolvers answer for the service of the catalog with a place, and
// returns how long it took.
func (f *fleet) web(limit time.Duration, place string, who ...*member) time.Duration {
	f.t.Helper()
	began := time.Now()
	for _, m := range who {
		f.eventually(limit, m.place+" answers for the catalog's service with "+place, func() bool { return f.askFor(m.place, "web.example.org.") == place })
	}
	return time.Since(began).Round(time.Millisecond)
}

// readsBothCatalogs moves the instance in the second datacenter, while both are
// joined and while they are not. Who cannot ask there keeps what was said last.
func (f *fleet) readsBothCatalogs(t *testing.T) {
	t.Helper()
	f.web(10*time.Second, "gcp", f.resolvers...)
	f.instance("c2", "azure")
	t.Logf("what the second datacenter's catalog says is answered everywhere after %v", f.web(5*time.Second, "azure", f.resolvers...))

	f.cut(sideOne, sideTwo)
	f.instance("c2", "gcp")
	f.web(5*time.Second, "gcp", f.resolvers[2:]...)
	<-time.After(time.Second)
	for _, m := range f.resolvers[:2] {
		if at := f.askFor(m.place, "web.example.org."); at != "azure" {
			t.Errorf("%s answers %q: it cannot ask the other datacenter", m.place, at)
		}
	}
	f.mend()
	t.Logf("it is read again %v after the WAN is mended", f.web(time.Minute, "gcp", f.resolvers...))
}

// keepsDrainsApart breaks the WAN, so that each side sees only its own datacenter,
// and decides on one side. When it is mended all obey, nothing moves twice, and
// either datacenter alone is enough for a resolver that remembers nothing.
func (f *fleet) keepsDrainsApart(t *testing.T) {
	t.Helper()
	one, two := f.resolvers[:2], f.resolvers[2:]
	lost := f.lost.Load()
	f.do(one[0], "drain", "azure/westeurope", "--reason", "before")
	f.stored("override/azure~2Fwesteurope", false, f.servers...)
	f.cut(sideOne, sideTwo)
	f.do(one[0], "drain", "aws/us-east-1", "--reason", "amid")
	f.do(one[0], "undrain", "azure/westeurope")
	f.all(5*time.Second, "gcp", one...)
	f.says("consul dc1 FAILS", two...)
	f.says("consul dc2 FAILS", one...)
	f.says("2 observers fresh, agree", f.resolvers...)
	f.all(time.Second, "aws", two...)

	before := moves(f.resolvers)
	f.mend()
	took := f.all(10*time.Second, "gcp", f.resolvers...)
	f.agreed()
	t.Logf("all obey %v after the WAN is mended", took.Round(time.Millisecond))
	began := time.Now()
	f.stored("override/aws~2Fus-east-1", false, f.servers...)
	f.stored("override/azure~2Fwesteurope", true, f.servers...)
	t.Logf("both datacenters hold what was decided in one %v later", time.Since(began).Round(time.Millisecond))
	if n := moves(f.resolvers) - before; n != len(two) {
		t.Errorf("%d moves when the WAN was mended, want one of each resolver that had not heard of the drain", n)
	}

	f.kill(f.servers[0])
	f.forgets(two[1])
	if at := two[1].at.Load(); at != "gcp" {
		t.Errorf("a resolver that remembers nothing answers %v: the drain is lost", at)
	}
	if out, _ := f.hand(two[1], "overrides"); strings.Contains(out, "azure") || !strings.Contains(out, "us-east-1") {
		t.Errorf("a resolver that remembers nothing obeys\n%s", out)
	}
	f.do(two[0], "undrain", "aws/us-east-1")
	f.all(20*time.Second, "aws", f.resolvers...)
	f.again(f.servers[0])
	f.stored("override/aws~2Fus-east-1", true, f.servers...)
	if n := f.moved(5*time.Second, f.resolvers...); n > 0 {
		t.Errorf("%d moves when a datacenter came back that knew of an older drain", n)
	}
	if n := f.lost.Load() - lost; n > 0 {
		t.Errorf("%d queries unanswered", n)
	}
}

// stored waits until servers hold a record, or that it was deleted.
func (f *fleet) stored(key string, deleted bool, servers ...*server) {
	f.t.Helper()
	for _, s := range servers {
		last := ""
		err := kit.Every(100*time.Millisecond, 45*time.Second, func() bool {
			var pairs []struct{ Value string }
			var r struct{ Deleted bool }
			reply := f.api(s.name, http.MethodGet, "/v1/kv/detour/main/v1/ctl/"+key, nil)
			if json.Unmarshal(reply, &pairs) != nil || len(pairs) != 1 {
				return false
			}
			text, err := base64.StdEncoding.DecodeString(pairs[0].Value)
			last = string(text)
			return err == nil && json.Unmarshal(text, &r) == nil && r.Deleted == deleted
		})
		if err != nil {
			f.t.Errorf("%s holds of %s, which is to be deleted: %v\n%s", s.dc, key, deleted, last)
		}
	}
}

// forgets has a resolver start anew with an empty disk.
func (f *fleet) forgets(m *member) {
	f.t.Helper()
	m.away.Store(true)
	_ = m.p.cmd.Process.Signal(syscall.SIGTERM)
	_ = m.p.cmd.Wait()
	if err := os.RemoveAll(filepath.Join(m.dir(f), "state")); err != nil {
		f.t.Fatal(err)
	}
	f.run(m)
	first := ""
	f.eventually(20*time.Second, m.place+" answers", func() bool { first = f.askAt(m.place); return first != "" })
	m.at.Store(first)
	m.away.Store(false)
}
