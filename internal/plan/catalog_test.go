package plan

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

var t0 = time.Unix(1e9, 0)

const sources = `
monitors: {web: {type: tcp, port: 443}, shown: {type: tcp, port: 80, votes: false}}
services: {shop.example.org: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.200]}]}}
sources:
  - consul:
      services:
        web: {monitors: [web], order: [gcp/europe-west1]}
        db: {monitors: [consul, shown]}
        later: {}
`

func load(t *testing.T, yaml string) *config.Config {
	t.Helper()
	c, err := config.Parse("f.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// in reads an instance: address, region, weight, status, datacenter.
func in(text string) source.Instance {
	f := strings.Fields(text)
	out := source.Instance{Addr: netip.MustParseAddr(f[0]), Region: f[1], Weight: len(f[2]), Status: source.Status(f[3])}
	if out.Status != source.Passing {
		out.Detail = "alive"
	}
	if len(f) > 4 {
		out.Datacenter = f[4]
	}
	return out
}

func entry(at time.Time, list ...string) source.Entry {
	e := source.Entry{Read: map[string]time.Time{"": at}}
	for _, l := range list {
		e.Instances = append(e.Instances, in(l))
	}
	return e
}

func catalog() source.Catalog {
	return source.Catalog{
		"web.service.consul.": entry(t0, "192.0.2.1 aws/us-east-1 | passing", "192.0.2.2 aws/us-east-1 ||| critical", "192.0.2.3 gcp/europe-west1 | warning"),
		"db.service.consul.":  entry(t0, "192.0.2.1 aws/us-east-1 | passing", "192.0.2.9 new/region | critical"),
		"nobody.":             entry(t0, "192.0.2.1 aws/us-east-1 | passing"),
	}
}

func pools(s *config.Service) string {
	var out []string
	for _, p := range s.Pools {
		var ends []string
		for _, e := range p.Endpoints {
			ends = append(ends, fmt.Sprintf("%s*%d", e.Label(), e.Weight))
		}
		out = append(out, p.Region+": "+strings.Join(ends, " "))
	}
	return strings.Join(out, "; ")
}

func TestFill(t *testing.T) {
	cfg := load(t, sources)
	got := Fill(cfg, catalog())
	for name, want := range map[string]string{
		"web.service.consul":   "gcp/europe-west1: 192.0.2.3*1; aws/us-east-1: 192.0.2.1*1 192.0.2.2*3",
		"db.service.consul":    "aws/us-east-1: 192.0.2.1*1; new/region: 192.0.2.9*1",
		"later.service.consul": "",
		"shop.example.org":     "aws/us-east-1: 192.0.2.200*1",
	} {
		s, ok := got.Service(name)
		if !ok || pools(s) != want {
			t.Errorf("%s: %q, want %q", name, pools(s), want)
		}
	}
	if got.Hash != cfg.Hash {
		t.Error("the hash is another")
	}
	if s, _ := cfg.Service("web.service.consul"); len(s.Pools) != 0 {
		t.Error("the configuration was changed in place")
	}
	plain := load(t, "services: {}\n")
	if Fill(plain, catalog()) != plain {
		t.Error("without sources it is another configuration")
	}
}

// TestFillTrustsNothingKept: what a state file holds is held against the file.
func TestFillTrustsNothingKept(t *testing.T) {
	cat := source.Catalog{"web.service.consul.": {Instances: []source.Instance{
		{}, in("127.0.0.1 aws/us-east-1 | passing"), in("192.0.2.1 nowhere | passing"), in("192.0.2.2 aws/us-east-1 | resting"),
	}}}
	s, _ := Fill(load(t, sources), cat).Service("web.service.consul")
	if want := "aws/us-east-1: 192.0.2.2*1"; pools(s) != want {
		t.Errorf("%q, want %q", pools(s), want)
	}
}

func TestWeightsStayInBounds(t *testing.T) {
	var e source.Entry
	for i := range source.MaxInstances {
		e.Instances = append(e.Instances, source.Instance{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Region: "a/b", Weight: 65535})
	}
	e.Instances[0].Weight = 1
	s, _ := Fill(load(t, sources), source.Catalog{"web.service.consul.": e}).Service("web.service.consul")
	sum := 0
	for _, end := range s.Pools[0].Endpoints {
		sum += end.Weight
	}
	if sum > maxWeights || sum < maxWeights/2 || s.Pools[0].Endpoints[0].Weight != 1 {
		t.Errorf("weights sum up to %d, want at most %d", sum, maxWeights)
	}
}

func TestChecksThatAreTold(t *testing.T) {
	p := Make(Fill(load(t, sources), catalog()), nil)
	var told []string
	seats := map[string]bool{}
	for i := range p.Checks {
		c := &p.Checks[i]
		if c.Told() {
			told = append(told, c.Host+" "+c.Addr.String())
		} else {
			seats[c.Seat] = true
		}
		if c.Told() && seats[c.Seat] {
			t.Errorf("%s takes over the verdict of a probe", c.Key)
		}
	}
	want := []string{"web.service.consul. 192.0.2.3", "web.service.consul. 192.0.2.1", "web.service.consul. 192.0.2.2", "db.service.consul. 192.0.2.1", "db.service.consul. 192.0.2.9"}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("told are %q, want %q", told, want)
	}
}

func TestOpinions(t *testing.T) {
	cat := catalog()
	p := Make(Fill(load(t, sources), cat), nil)
	for _, c := range []struct {
		service string
		want    int
	}{{"", 5}, {"web.service.consul.", 3}, {"db.service.consul.", 2}, {"shop.example.org.", 0}} {
		if got := p.Opinions(cat, c.service, t0); len(got) != c.want {
			t.Errorf("%q has %d opinions, want %d", c.service, len(got), c.want)
		}
	}
	if got := p.Opinions(nil, "", t0); len(got) != 0 {
		t.Errorf("without a catalog there are %v", got)
	}
}

// TestOpinion is the table above Opinions.
func TestOpinion(t *testing.T) {
	const ok, bad, none = "ok", "status", ""
	for _, c := range []struct {
		status           source.Status
		away             bool
		withOthers, solo string
	}{
		{source.Passing, false, ok, ok},
		{source.Warning, false, ok, ok},
		{source.Critical, false, bad, bad},
		{source.Gone, false, ok, bad},
		{source.Passing, true, ok, none},
		{source.Warning, true, ok, none},
		{source.Critical, true, none, none},
		{source.Gone, true, ok, none},
	} {
		now := t0
		if c.away {
			now = t0.Add(source.Fresh + 1)
		}
		one := "192.0.2.1 aws/us-east-1 | " + string(c.status)
		cat := source.Catalog{"web.service.consul.": entry(t0, one), "db.service.consul.": entry(t0, one)}
		p := Make(Fill(load(t, sources), cat), nil)
		for service, want := range map[string]string{"web.service.consul.": c.withOthers, "db.service.consul.": c.solo} {
			got := none
			for _, o := range p.Opinions(cat, service, now) {
				got = o.Result.Cause.String()
				if !o.Result.At.Equal(now) {
					t.Errorf("the result is of %v", o.Result.At)
				}
			}
			if got != want {
				t.Errorf("%s, away %v, %s: %q, want %q", c.status, c.away, service, got, want)
			}
		}
	}
}

func TestOpinionDetail(t *testing.T) {
	i := in("192.0.2.1 aws/us-east-1 | critical")
	i.Detail = strings.Repeat("é", 60)
	r, _ := opinion(&i, true, true)
	if want := "critical: " + strings.Repeat("é", 53) + " ..."; r.Detail != want || len(r.Detail) > maxDetail {
		t.Errorf("%q, want %q", r.Detail, want)
	}
	i = in("192.0.2.1 aws/us-east-1 | warning")
	if r, _ := opinion(&i, true, true); r.Detail != "warning: alive" {
		t.Errorf("%q", r.Detail)
	}
}

// answer builds a snapshot from a catalog, what our own probes say of the rest, and
// returns whom a client is sent to.
func answer(t *testing.T, cat source.Catalog, service string, probes map[string]health.Cause) string {
	t.Helper()
	p := Make(Fill(load(t, sources), cat), nil)
	states := make([]health.State, len(p.Checks))
	for range 3 {
		for i := range p.Checks {
			if c := &p.Checks[i]; !c.Told() {
				states[i].Observe(c.Params, health.Context{}, health.Result{At: t0, Cause: probes[c.Addr.String()]})
			}
		}
	}
	for _, o := range p.Opinions(cat, service, t0) {
		states[o.Check].Observe(p.Checks[o.Check].Params, health.Context{}, o.Result)
	}
	views := make([]health.View, len(states))
	for i := range states {
		views[i] = states[i].View()
	}
	snap := steer.Build(steer.Input{Plan: p.Steer, Now: t0, Checks: views, All: true})
	i, ours, _ := p.Steer.Lookup([]byte(service))
	if !ours {
		t.Fatalf("%s is not ours", service)
	}
	d := snap.Decide(steer.Query{Service: i, Client: netip.MustParseAddr("198.51.100.1")})
	if d.Refuse {
		return "SERVFAIL"
	}
	out := make([]netip.Addr, d.Len(16))
	n := d.Addrs(out)
	var list []string
	for _, a := range out[:n] {
		list = append(list, a.String())
	}
	return strings.Join(list, " ")
}

// TestWhoIsAnswered: Consul's checks are one opinion, the worst of all counts, and
// what is critical is the last resort, never gone.
func TestWhoIsAnswered(t *testing.T) {
	const web, db = "web.service.consul.", "db.service.consul."
	a, b := "192.0.2.1 aws/us-east-1 | ", "192.0.2.2 zz/last | "
	for name, c := range map[string]struct {
		service string
		list    []string
		probes  map[string]health.Cause
		want    string
	}{
		"all passes":                             {db, []string{a + "passing", b + "passing"}, nil, "192.0.2.1"},
		"a warning passes":                       {db, []string{a + "warning", b + "passing"}, nil, "192.0.2.1"},
		"critical, and another is not":           {db, []string{a + "critical", b + "passing"}, nil, "192.0.2.2"},
		"all critical is the last resort":        {db, []string{a + "critical", b + "critical"}, nil, "192.0.2.1"},
		"emptied, and another is not":            {db, []string{a + "gone", b + "passing"}, nil, "192.0.2.2"},
		"all emptied":                            {db, []string{a + "gone", b + "gone"}, nil, "192.0.2.1"},
		"critical, though our probes pass":       {web, []string{a + "critical", b + "passing"}, nil, "192.0.2.2"},
		"passing, though our probes fail":        {web, []string{a + "passing", b + "passing"}, map[string]health.Cause{"192.0.2.1": health.CauseTimeout}, "192.0.2.2"},
		"emptied, and our probes pass":           {web, []string{a + "gone", b + "passing"}, nil, "192.0.2.1"},
		"critical but alive before dark":         {web, []string{a + "passing", b + "critical"}, map[string]health.Cause{"192.0.2.1": health.CauseTimeout}, "192.0.2.2"},
		"critical and dark after critical alive": {web, []string{a + "critical", b + "critical"}, map[string]health.Cause{"192.0.2.1": health.CauseTimeout}, "192.0.2.2"},
		"a service of which nothing is known":    {db, nil, nil, "SERVFAIL"},
	} {
		if got := answer(t, source.Catalog{c.service: entry(t0, c.list...)}, c.service, c.probes); got != c.want {
			t.Errorf("%s: %s is answered, want %s", name, got, c.want)
		}
	}
}

func TestBounds(t *testing.T) {
	cfg := load(t, sources)
	web, _ := cfg.Service("web.service.consul")
	db, _ := cfg.Service("db.service.consul")
	if b := BoundOf(cfg, db); b.Silent != toldWithin || b.Refused != toldWithin {
		t.Errorf("db: %+v", b)
	}
	if b := BoundOf(cfg, web); b.Silent != 11300*time.Millisecond {
		t.Errorf("web: %+v", b)
	}
}
