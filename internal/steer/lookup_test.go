package steer

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// named is a plan of a service, of one below a wildcard, and of that wildcard.
func named() *Plan {
	p := small("aws/a")
	p.Services = append(p.Services, p.Services[0], p.Services[0])
	p.Services[0].Name, p.Services[1].Name, p.Services[2].Name = "a.test.", "*.apps.test.", "deep.ent.apps.test."
	p.Services[1].Except = []string{"no.apps.test."}
	p.Others = []string{"_https._tcp.a.test."}
	p.Index()
	return p
}

// TestWhoAnswersForAName holds which names are a service's, and of which others no
// NXDOMAIN may be said.
func TestWhoAnswersForAName(t *testing.T) {
	const nobody = -1
	p := named()
	for name, want := range map[string]struct {
		service int32
		exists  bool
	}{
		"a.test.":             {0, true},
		"test.":               {nobody, true},
		".":                   {nobody, true},
		"x.":                  {nobody, false},
		"b.test.":             {nobody, false},
		"x.a.test.":           {nobody, false},
		"_https._tcp.a.test.": {nobody, true},
		"_tcp.a.test.":        {nobody, true},
		"apps.test.":          {nobody, true},
		"x.apps.test.":        {1, true},
		"x.y.apps.test.":      {1, true},
		"no.apps.test.":       {nobody, false},
		"x.no.apps.test.":     {nobody, false},
		"xno.apps.test.":      {1, true},
		"_tcp.apps.test.":     {nobody, false},
		"x._tcp.apps.test.":   {nobody, false},
		"deep.ent.apps.test.": {2, true},
		"ent.apps.test.":      {nobody, true},
		"x.ent.apps.test.":    {nobody, false},
	} {
		service, ours, exists := p.Lookup([]byte(name))
		if ours != (want.service != nobody) || ours && service != want.service || exists != want.exists {
			t.Errorf("%s: service %d, ours %v, exists %v; want %+v", name, service, ours, exists, want)
		}
	}
	plain := small("aws/a")
	plain.Index()
	if _, ours, exists := plain.Lookup([]byte("x.s.test.")); ours || exists {
		t.Error("without wildcards a name that is not there is somebody's")
	}
	if i, ours, _ := plain.Lookup([]byte("s.test.")); !ours || i != 0 {
		t.Error("without wildcards a service is nobody's")
	}
}

// TestServicesByName holds how a service is found by the name that it has in the file.
func TestServicesByName(t *testing.T) {
	p := named()
	for name, want := range map[string]int32{"a.test.": 0, "*.apps.test.": 1, "apps.test.": -1, "test.": -1, "*.none.": -1, "b.": -1} {
		if i, ok := p.Find(name); ok != (want >= 0) || ok && i != want {
			t.Errorf("%s: %d, %v; want %d", name, i, ok, want)
		}
	}
}

// TestWhoseAddress holds that an address is a name's only where that name has it.
func TestWhoseAddress(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].Pools[0].Endpoints[0].Target = "one.test."
	p.Services[0].Pools[1].Endpoints[0].Target = "two.test."
	for _, c := range []struct {
		target, ip string
		want       bool
	}{
		{"one.test.", "10.0.0.0", true},
		{"two.test.", "10.0.0.1", true},
		{"one.test.", "10.0.0.1", false},
		{"one.test.", "10.9.9.9", false},
		{"three.test.", "10.0.0.0", false},
	} {
		if got := p.Owns(0, c.target, netip.MustParseAddr(c.ip)); got != c.want {
			t.Errorf("%s of %s: %v", c.ip, c.target, got)
		}
	}
}

// slowWild is lookupWild as RFC 4592 has it, from the name upwards.
func slowWild(p *Plan, name []byte) (int32, bool) {
	for rest := name; ; {
		if rest[0] == '_' {
			return 0, false
		}
		if rest = parentOf(rest); len(rest) == 0 {
			return 0, false
		}
		if i, ok := p.wild[string(rest)]; p.Exists(rest) {
			return i, ok && !excepted(p.Services[i].Except, name)
		}
	}
}

// Names of any depth, with escapes, are found as RFC 4592 has it, and Near says no only of
// names that are nobody's.
func FuzzWildcards(f *testing.F) {
	for _, name := range []string{
		"x.apps.test.", `a\.b.apps.test.`, `x\.apps.test.`, `\\.apps.test.`, "a.b.c.d.e.f.g.no.apps.test.", "a.b.c.d.e._f.g.apps.test.",
		"a.b.c.d.e.f.g.deep.ent.apps.test.", "a.b.c.d.e.f.g.h.elsewhere.", `a.b.c.d.e.f\\\.apps.test.`, "A.B.Apps.Test.", ".", "test.",
	} {
		f.Add(name)
	}
	p := named()
	f.Fuzz(func(t *testing.T, name string) {
		if _, valid := dns.IsDomainName(name); !valid || !dns.IsFqdn(name) || strings.Contains(name, "..") {
			return
		}
		low := []byte(strings.ToLower(name))
		service, ours, exists := p.Lookup(low)
		if _, found := p.names[string(low)]; !found && name != "." {
			if want, ok := slowWild(p, low); ok != ours || ok && want != service {
				t.Errorf("%q: service %d, %v; want %d, %v", name, service, ours, want, ok)
			}
		}
		if exists && !p.Near(name) {
			t.Errorf("%q is somebody's, and far", name)
		}
	})
}

// That a name is nobody's is found without a look at all of its labels.
func TestNear(t *testing.T) {
	p := named()
	for name, want := range map[string]bool{
		"a.test.": true, "A.TEST.": true, "x.apps.test.": true, "x.Apps.test.": true, "test.": true, ".": true, "b.test.": false, "x.a.test.": false,
		"test.elsewhere.": false, `x\.apps.test.`: false, `y.x\.apps.test.`: false, strings.Repeat(`\001.`, 110) + "apps.test.": true,
		strings.Repeat(`\001.`, 110) + "test.": false, strings.Repeat("x", maxText) + ".": true,
	} {
		if p.Near(name) != want {
			t.Errorf("%.60q: %v", name, !want)
		}
	}
}
