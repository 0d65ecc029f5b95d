package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/test/kit"
)

// limit is how long a real server may take to say what it was told: the machine may
// be busy with other tests.
const limit = 20 * time.Second

// reader follows a real server.
type reader struct {
	t    *testing.T
	mu   sync.Mutex
	last map[string]Update
}

// follow runs a Source of a configuration until the test ends.
func follow(t *testing.T, yaml string, known source.Catalog) *reader {
	t.Helper()
	cfg, err := config.Parse("f.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, last: map[string]Update{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		New(cfg, 0).Run(ctx, known, func(u Update) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.last[u.Service] = u
		})
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return r
}

// until waits until what is known of the service web is as ok says.
func (r *reader) until(what string, ok func(Update) bool) (u Update) {
	r.t.Helper()
	if err := kit.Every(10*time.Millisecond, limit, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		u = r.last["web.service.consul."]
		return ok(u)
	}); err != nil {
		r.t.Fatalf("%s: %v, known is %+v", what, err, u)
	}
	return u
}

func list(u Update) string {
	var out []string
	for _, in := range u.Entry.Instances {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %s", in.Addr, in.Region, in.Weight, in.Status, in.Detail)))
	}
	return strings.Join(out, ", ")
}

func (r *reader) wantList(want string) Update {
	r.t.Helper()
	return r.until(want, func(u Update) bool { return list(u) == want })
}

// register puts an instance into the catalog of a real server, with a check.
func register(s *kit.ConsulServer, node, address, status string) {
	body, _ := json.Marshal(map[string]any{
		"Node": node, "Address": address, "SkipNodeUpdate": false,
		"NodeMeta": map[string]string{"provider": "aws", "region": "us-east-1"},
		"Service":  map[string]any{"ID": "web-" + node, "Service": "web", "Port": 443, "Weights": map[string]int{"Passing": 3, "Warning": 1}},
		"Check":    map[string]any{"Node": node, "CheckID": "alive-" + node, "Name": "alive", "Status": status, "ServiceID": "web-" + node},
	})
	s.Do(http.MethodPut, "/v1/catalog/register", body)
}

func deregister(s *kit.ConsulServer, node string) {
	s.Do(http.MethodPut, "/v1/catalog/deregister", []byte(`{"Node":"`+node+`","ServiceID":"web-`+node+`"}`))
}

func sourceOf(s *kit.ConsulServer, more string) string {
	return "sources: [{consul: {address: '" + s.URL + "', " + more + "services: {web: {}}}}]\n"
}

// TestRealServer: what a real server says is read as this package believes.
func TestRealServer(t *testing.T) {
	t.Parallel()
	s := kit.Consul(t, kit.ConsulOptions{})
	register(s, "n1", "192.0.2.1", "passing")
	register(s, "n2", "192.0.2.2", "warning")
	r := follow(t, sourceOf(s, "datacenters: {dc1: onprem/fra1}, "), nil)
	r.wantList("192.0.2.1 aws/us-east-1 3 passing, 192.0.2.2 aws/us-east-1 1 warning alive")
	register(s, "n2", "192.0.2.2", "critical")
	r.wantList("192.0.2.1 aws/us-east-1 3 passing, 192.0.2.2 aws/us-east-1 3 critical alive")
	s.Do(http.MethodPut, "/v1/catalog/register", []byte(`{"Node":"n1","Address":"192.0.2.1","SkipNodeUpdate":true,"Check":{"Node":"n1","CheckID":"_node_maintenance","Name":"Node Maintenance Mode","Status":"critical"}}`))
	r.wantList("192.0.2.1 aws/us-east-1 3 critical in maintenance, 192.0.2.2 aws/us-east-1 3 critical alive")
	snapshot := s.Snapshot()
	deregister(s, "n2")
	r.wantList("192.0.2.1 aws/us-east-1 3 critical in maintenance")
	deregister(s, "n1")
	r.wantList("192.0.2.1 aws/us-east-1 3 gone no longer in the catalog")
	s.Restore(snapshot)
	r.wantList("192.0.2.1 aws/us-east-1 3 critical in maintenance, 192.0.2.2 aws/us-east-1 3 critical alive")
	before := r.until("", func(Update) bool { return true }).Entry
	s.Stop()
	u := r.until("an error", func(u Update) bool { return u.Err != nil })
	if !u.Entry.SamePlaces(before) || !u.Entry.SameStatus(before) {
		t.Errorf("without a server %s is known", list(u))
	}
	s.Start()
	deregister(s, "n2")
	r.wantList("192.0.2.1 aws/us-east-1 3 critical in maintenance")
}

// TestRealACL: a token that may read nothing hides what is there, which is no empty
// record; its replacement in the file is used at once.
func TestRealACL(t *testing.T) {
	t.Parallel()
	s := kit.Consul(t, kit.ConsulOptions{ACL: true, TLS: true})
	register(s, "n1", "192.0.2.1", "passing")
	blind := s.Grant("blind", `service "other" { policy = "read" }`)
	reads := s.Grant("reads", `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`)
	file := writeFile(t, "token", blind)
	more := fmt.Sprintf("token_file: %s, ca_file: %s, cert_file: %s, key_file: %s, ", file, s.TLS.CA, s.TLS.Cert, s.TLS.Key)
	known := source.Catalog{"web.service.consul.": {Instances: found("", 9), Read: map[string]time.Time{"": t0}}}
	r := follow(t, sourceOf(s, more), known)
	if u := r.until("an error", func(u Update) bool { return u.Err != nil }); seen(u.Entry.Instances) != "9" || strings.Contains(u.Err.Error(), blind) {
		t.Errorf("%s, %v", list(u), u.Err)
	}
	replace(t, file, reads)
	r.wantList("192.0.2.1 aws/us-east-1 3 passing")
	replace(t, file, "not-a-token")
	register(s, "n2", "192.0.2.2", "passing") // a query that is under way has the old one
	if u := r.until("an error", func(u Update) bool { return u.Err != nil }); !strings.HasPrefix(list(u), "192.0.2.1 aws/us-east-1 3 passing") {
		t.Errorf("%s, %v", list(u), u.Err)
	}
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRealSize: a catalog of 5,000 instances is read within 3 s, and a change in it
// seen within one.
func TestRealSize(t *testing.T) {
	t.Parallel()
	const size = 5000
	s := kit.Consul(t, kit.ConsulOptions{})
	s.Do(http.MethodPut, "/v1/catalog/register", []byte(`{"Node":"base","Address":"192.0.2.1"}`))
	for at := 0; at < size; at += 50 {
		var ops []string
		for i := at; i < at+50; i++ {
			ops = append(ops, fmt.Sprintf(`{"Service":{"Verb":"set","Node":"base","Service":{"ID":"web-%d","Service":"web","Address":"10.0.%d.%d","Port":443,"Meta":{"provider":"aws","region":"us-east-%d"}}}}`, i, i>>8, i&255, i%2))
		}
		s.Do(http.MethodPut, "/v1/txn", []byte("["+strings.Join(ops, ",")+"]"))
	}
	began := time.Now()
	r := follow(t, sourceOf(s, ""), nil)
	r.until("all", func(u Update) bool { return len(u.Entry.Instances) == size })
	first := time.Since(began)
	began = time.Now()
	s.Do(http.MethodPut, "/v1/catalog/deregister", []byte(`{"Node":"base","ServiceID":"web-7"}`))
	r.until("one less", func(u Update) bool { return len(u.Entry.Instances) == size-1 })
	change := time.Since(began)
	t.Logf("%d instances: first snapshot %v, a change %v", size, first.Round(time.Millisecond), change.Round(time.Millisecond))
	if first > 2*3*time.Second || change > 2*time.Second {
		t.Errorf("first snapshot %v, a change %v; want 3 s and 1 s, twice that on a busy machine", first, change)
	}
}
