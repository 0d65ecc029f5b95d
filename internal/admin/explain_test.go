package admin

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// TestExplainIsWhatIsAnswered compares explanations with decisions of the same
// snapshot, for many clients, in good times and bad.
func TestExplainIsWhatIsAnswered(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	c := client(t, srv)
	eventually(t, c, "healthy", func(s *Status) bool { return s.State == Healthy })
	s.compare(t, srv)
	s.world.refuse("192.0.2.10", "192.0.2.11", "192.0.2.20", "192.0.2.40")
	eventually(t, c, "moved", func(s *Status) bool { return s.Moved.Services == 3 })
	s.compare(t, srv)
	s.world.refuse("192.0.2.20", "198.51.100.20", "203.0.113.30")
	eventually(t, c, "in panic", func(s *Status) bool { return s.State == Panic })
	s.compare(t, srv)
}

func (s *system) compare(t *testing.T, srv *Server) {
	t.Helper()
	pub := s.eng.Load()
	now := time.Now()
	for i, name := range []string{"shop.example.org", "db.example.org", "solo.example.org", "a.wild.example.org"} {
		for n := range 50 {
			ip := netip.AddrFrom4([4]byte{10, 0, byte(n), 7})
			for _, v6 := range []bool{false, true} {
				x, err := srv.explain(pub, name, v6, ip, now)
				if err != nil {
					t.Fatal(err)
				}
				d := pub.Decide(steer.Query{Service: int32(i), V6: v6, Client: ip, Minute: uint32(now.Unix() / 60), Seed: 1})
				if diff := differs(pub, x, &d); diff != "" {
					t.Fatalf("%s v6=%v for %v: %s\n%+v", name, v6, ip, diff, x)
				}
			}
		}
	}
}

// differs compares all but what is random: which addresses of the pool, and up
// to a fifth of the TTL.
func differs(pub *engine.Published, x *Explanation, d *steer.Decision) string {
	all := make([]netip.Addr, steer.MaxAnswers)
	all = all[:d.Addrs(all)]
	region := ""
	if d.Pool >= 0 {
		region = pub.Plan.Steer.Regions[d.Region].Name
	}
	switch {
	case x.Region != region:
		return "region, want " + region
	case x.Reason != d.Reason.String():
		return "reason, want " + d.Reason.String()
	case x.Panic != d.Panic, (x.Answer == "servfail") != d.Refuse, (x.Answer == "addresses") != d.Has():
		return "answer"
	case x.TTL*5 < d.TTL*4-5, d.TTL*5 < x.TTL*4-5:
		return "TTL"
	}
	for _, a := range x.Addresses {
		if !slices.Contains(all, netip.MustParseAddr(a)) {
			return "address " + a
		}
	}
	return ""
}

func TestExplainOverHTTP(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{}, WithFew(func() bool { return true }))
	c := client(t, srv)
	x, err := c.Explain(t.Context(), "A.Wild.example.org.", "aaaa", "2001:db8::7", false)
	if err != nil {
		t.Fatal(err)
	}
	if x.Name != "a.wild.example.org" || x.Service != "*.wild.example.org" || x.Type != "AAAA" || x.Client != "2001:db8::7" || !x.Spread || len(x.Steps) < 5 {
		t.Errorf("got %+v", x)
	}
	if x, err := c.Explain(t.Context(), "*.wild.example.org", "", "::ffff:10.1.1.1", false); err != nil || x.Client != "10.1.1.1" {
		t.Errorf("got %+v, %v", x, err)
	}
	for query, says := range map[string]string{
		"": "say which name", "?name=shop.example.org&type=MX": "MX",
		"?name=shop.example.org&client=me": "me", "?name=" + strings.Repeat("x", 4000): "no service",
		"?name=shop.example.org&client=fe80::1%25eth0": "not an address",
	} {
		r := send(t, srv, "GET", "/v1/explain"+query, "")
		if p := r.problemOf(t); !strings.Contains(p.Detail, says) {
			t.Errorf("%.50s: got %q", query, p.Detail)
		}
	}
	v, err := c.Service(t.Context(), "SHOP.example.org.")
	if err != nil {
		t.Fatal(err)
	}
	e := v.Pools[0].Endpoints[0]
	if len(v.Pools) != 3 || e.Label != "192.0.2.10" || len(e.Checks) != 1 || e.Checks[0].Type != "tcp" || e.Checks[0].Last != "ok" {
		t.Errorf("got %+v", v)
	}
}

// Of a name that is no service it is said who answers, and what was probably meant.
func TestExplainOfOthers(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{}, WithAnswerers(func(name string) []string { return []string{"asked for " + name} }))
	c := client(t, srv)
	for name, want := range map[string][]string{
		"www.example.com":  {"it is no service of failover.yaml", "asked for www.example.com."},
		"Shpo.Example.org": {"it is no service of failover.yaml: did you mean shop.example.org or solo.example.org?", "asked for shpo.example.org."},
	} {
		x, err := c.Explain(t.Context(), name, "AAAA", "", true)
		if err != nil || x.Service != "" || x.Type != "AAAA" || x.Answer != "elsewhere" || len(x.Steps) < 2 || !slices.Equal(x.Steps[:2], want) {
			t.Errorf("%s: %v, %+v", name, err, x)
			continue
		}
		if text := said(func(b *strings.Builder) error { return WriteExplanation(b, x) }); !strings.HasSuffix(text, "\nnot answered from failover.yaml\n") || strings.Contains(text, "(service") {
			t.Error(text)
		}
	}
	for name, status := range map[string]int{"": 400, "a\u202eb": 404, strings.Repeat("x", maxNameText+1): 404} {
		if r := send(t, srv, "GET", "/v1/explain?name="+url.QueryEscape(name), ""); r.status != status {
			t.Errorf("%.20q: %d %s", name, r.status, r.body)
		}
	}
}
