package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/source"
)

const follows = `
monitors: {own: {type: tcp, port: instance}, fixed: {type: tcp, port: 22}}
sources: [{consul: {services: {web: {monitors: [own, fixed, consul], srv: [_http._tcp]%s}}}}]
`

// portsAt is a catalog with instances at ports.
func portsAt(all map[string][]source.Port) source.Catalog {
	e := entry(t0)
	for ip, ports := range all {
		e.Instances = append(e.Instances, source.Instance{Addr: netip.MustParseAddr(ip), Region: "aws/us-east-1", Weight: 5, Status: source.Passing, Ports: ports})
	}
	e.Instances, _ = source.Merge(e.Instances)
	return source.Catalog{"web.service.consul.": e}
}

// TestAMonitorFollowsTheInstance holds that a monitor with port: instance checks where the
// catalog says, the lowest port of several, else the service's port, else nothing.
func TestAMonitorFollowsTheInstance(t *testing.T) {
	cat := portsAt(map[string][]source.Port{"192.0.2.1": {{Number: 20001, Weight: 5}}, "192.0.2.2": {{Number: 20002, Weight: 1}, {Number: 20003, Weight: 1}}, "192.0.2.3": nil})
	for port, want := range map[string][]string{
		"":             {"192.0.2.1:0", "192.0.2.1:20001", "192.0.2.1:22", "192.0.2.2:0", "192.0.2.2:20002", "192.0.2.2:22", "192.0.2.3:0", "192.0.2.3:22"},
		", port: 9999": {"192.0.2.1:0", "192.0.2.1:20001", "192.0.2.1:22", "192.0.2.2:0", "192.0.2.2:20002", "192.0.2.2:22", "192.0.2.3:0", "192.0.2.3:22", "192.0.2.3:9999"},
	} {
		cfg := load(t, fmt.Sprintf(follows, port))
		p := Make(Fill(cfg, cat), nil)
		var got []string
		for i := range p.Checks {
			got = append(got, netip.AddrPortFrom(p.Checks[i].Addr, p.Checks[i].Port).String())
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("port %q: %q, want %q", port, got, want)
		}
	}
}

// TestInstances holds which endpoints SRV says each by itself: all, once a catalog says a port
// of one.
func TestInstances(t *testing.T) {
	cfg := load(t, fmt.Sprintf(follows, ", port: 9999"))
	svc := func(cat source.Catalog) []Instance {
		s, _ := Fill(cfg, cat).Service("web.service.consul.")
		return Instances(s)
	}
	if got := svc(portsAt(map[string][]source.Port{"192.0.2.1": nil})); got != nil {
		t.Errorf("without ports: %v", got)
	}
	got := svc(portsAt(map[string][]source.Port{"192.0.2.1": nil, "2001:db8::1": {{Number: 443, Weight: 1 << 20}}}))
	want := "[{c0000201.addr.web.service.consul. 192.0.2.1 [{9999 5}]} {20010db8000000000000000000000001.addr.web.service.consul. 2001:db8::1 [{443 65535}]}]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	long := strings.Repeat(strings.Repeat("a", 50)+".", 4) + "x.example.org"
	cfg = load(t, strings.Replace(fmt.Sprintf(follows, ""), "web: {", "web: {name: "+long+", ", 1))
	cat := portsAt(map[string][]source.Port{"192.0.2.1": {{Number: 1, Weight: 1}}, "2001:db8::1": {{Number: 443, Weight: 1}}})
	cat[long+"."] = cat["web.service.consul."]
	s, _ := Fill(cfg, cat).Service(long)
	if got := Instances(s); len(got) != 2 || got[0].Owner != "c0000201.addr."+long+"." || got[1].Owner != long+"." {
		t.Errorf("names that are too long: %v", got)
	}
}
