package steer

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gaissmai/bart"

	"github.com/detour-dns/detour/internal/health"
)

// end is an endpoint with these addresses, each with the check of its own number.
func end(label string, first int32, ips ...string) Endpoint {
	e := Endpoint{Label: label, Weight: 1, Enabled: true}
	for i, ip := range ips {
		e.Addrs = append(e.Addrs, Addr{IP: netip.MustParseAddr(ip), Checks: []int32{first + int32(i)}})
	}
	return e
}

// gets is what a query gets, in order.
func gets(s *Snapshot, q Query) (out []string) {
	d := s.Decide(q)
	var ips [MaxAnswers]netip.Addr
	for _, ip := range sorted(ips[:d.Addrs(ips[:d.Len(MaxAnswers)])]) {
		out = append(out, ip.String())
	}
	return out
}

// TestReasons holds why a service answers what it answers, through a failure and a return.
func TestReasons(t *testing.T) {
	y := begin(small("aws/a", "gcp/b"))
	for _, c := range []struct {
		after time.Duration
		views []health.View
		edit  func(*Input)
		want  Reason
	}{
		{0, up(2), by(), ReasonPolicy},
		{time.Minute, dead(2, 0), by(), ReasonMoved},
		{2 * time.Minute, dead(2, 0), frozen, ReasonFrozen},
		{3 * time.Minute, dead(2, 0, 1), by(), ReasonPanic},
		{4 * time.Minute, dead(2, 0), by(), ReasonMoved},
		{5 * time.Minute, up(2), by(), ReasonMoved},
		{10 * time.Minute, up(2), by(), ReasonRamp},
		{20 * time.Minute, up(2), by(), ReasonPolicy},
	} {
		if st := y.then(c.after, c.views, c.edit); st.Reason != c.want || y.s.Decide(Query{Client: client(1)}).Reason != c.want {
			t.Errorf("after %v: %v, want %v", c.after, st.Reason, c.want)
		}
	}
}

// TestRampsOfAll holds that where all pools answer those whom a ramp lets in get one more.
func TestRampsOfAll(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	p.Services[0].Policy = All
	y := begin(p)
	y.then(time.Minute, dead(3, 0))
	y.then(2*time.Minute, up(3))
	y.then(7*time.Minute, up(3))
	count := map[int]int{}
	for n := range 1000 {
		count[len(gets(y.s, Query{Client: client(n)}))]++
	}
	if count[2]+count[3] != 1000 || count[3] < 60 || count[3] > 140 {
		t.Errorf("clients by number of addresses: %v", count)
	}
}

// TestRampsOfWeighted holds that of the clients that fall to a returning pool only those
// whom the ramp lets in get it, and the others are spread by weight.
func TestRampsOfWeighted(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	p.Services[0].Policy, p.Services[0].Pools[2].Weight = Weighted, 2
	y := begin(p)
	y.then(time.Minute, dead(3, 0))
	y.then(2*time.Minute, up(3))
	y.then(7*time.Minute, up(3))
	about(t, pools(y.s, nil), 25, 325, 650)
}

// TestFamiliesApart holds that a service whose families choose apart has each from the
// first pool that has it, at its best there; another one has both from one pool.
func TestFamiliesApart(t *testing.T) {
	for _, separate := range []bool{true, false} {
		p := small("aws/a", "gcp/b")
		s := &p.Services[0]
		s.Separate, s.Pools[1].Endpoints = separate, []Endpoint{end("four", 1, "10.0.0.1"), end("six", 2, "2001:db8::1")}
		p.Checks = 3
		y := begin(p)
		want := []string(nil)
		if separate {
			want = []string{"2001:db8::1"}
		}
		for _, views := range [][]health.View{up(3), down(up(3), health.CauseStatus, 2)} {
			y.then(time.Minute, views)
			if got := gets(y.s, Query{}); !slices.Equal(got, []string{"10.0.0.0"}) {
				t.Errorf("separate %v: A %v", separate, got)
			}
			if got := gets(y.s, Query{V6: true}); !slices.Equal(got, want) {
				t.Errorf("separate %v: AAAA %v, want %v", separate, got, want)
			}
		}
	}
	p := small("aws/a")
	p.Services[0].Pools[0].Endpoints = []Endpoint{end("both", 0, "10.0.0.0", "2001:db8::")}
	p.Checks = 2
	y := begin(p)
	if four, six := gets(y.s, Query{}), gets(y.s, Query{V6: true}); !slices.Equal(four, []string{"10.0.0.0"}) || !slices.Equal(six, []string{"2001:db8::"}) {
		t.Errorf("A %v, AAAA %v", four, six)
	}
}

// TestFamiliesApartByPlace holds that a client's place and family are told apart both.
func TestFamiliesApartByPlace(t *testing.T) {
	p := small("aws/a", "gcp/b")
	s := &p.Services[0]
	s.Separate, s.Policy = true, Nearest
	s.Pools[0].Endpoints = []Endpoint{end("a4", 0, "10.0.0.0"), end("a6", 0, "2001:db8::")}
	s.Pools[1].Endpoints = []Endpoint{end("b4", 1, "10.0.0.1"), end("b6", 1, "2001:db8::1")}
	p.Services = append(p.Services, small("aws/a").Services[0]) // that nobody's place matters for
	p.Services[1].Name = "t.test."
	p.Clients = new(bart.Table[uint16])
	p.Clients.Insert(netip.MustParsePrefix("100.64.0.0/10"), 1)
	y := begin(p)
	for _, c := range []struct {
		client string
		v6     bool
		want   string
	}{{"100.64.0.1", false, "10.0.0.1"}, {"100.64.0.1", true, "2001:db8::1"}, {"192.0.2.1", false, "10.0.0.0"}, {"192.0.2.1", true, "2001:db8::"}} {
		if got := gets(y.s, Query{Client: netip.MustParseAddr(c.client), V6: c.v6}); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s, IPv6 %v: %v, want %s", c.client, c.v6, got, c.want)
		}
	}
}

// TestFamiliesOfReturningPools holds that where only returning pools have a family, all
// clients get it, by weight.
func TestFamiliesOfReturningPools(t *testing.T) {
	p := small("aws/a", "gcp/b", "azure/c")
	s := &p.Services[0]
	s.Separate, s.Policy = true, Weighted
	s.Pools[0].Endpoints = append(s.Pools[0].Endpoints, end("a6", 0, "2001:db8::"))
	s.Pools[1].Endpoints = append(s.Pools[1].Endpoints, end("b6", 1, "2001:db8::1"))
	y := begin(p)
	y.then(time.Minute, dead(3, 0, 1))
	y.then(2*time.Minute, up(3))
	y.then(7*time.Minute, up(3))
	about(t, pools(y.s, func(q *Query) { q.V6 = true }), 500, 500)
}

// TestObserveNeverAnswersTheDrained holds that all but what people took out is as good as
// any to a service that only observes.
func TestObserveNeverAnswersTheDrained(t *testing.T) {
	p := small("aws/a", "gcp/b")
	p.Services[0].Observe = true
	y := begin(p)
	drain := by(Override{Target: "aws/a", Kind: Drain})
	for _, views := range [][]health.View{up(2), dead(2, 1)} {
		if y.then(time.Minute, views, drain); answer(y.s) != "10.0.0.1" {
			t.Errorf("answers %s", answer(y.s))
		}
	}
	p = small("aws/a")
	p.Services[0].Observe = true
	p.Services[0].Pools[0].Endpoints = []Endpoint{end("x", 0, "10.0.0.0"), end("y", 0, "10.0.0.1")}
	y = begin(p)
	if y.then(time.Minute, dead(1, 0), by(Override{Target: "s.test./x", Kind: Drain})); answer(y.s) != "10.0.0.1" {
		t.Errorf("of a pool %s is answered", answer(y.s))
	}
}

// TestAddressesOfAName holds which of them are answered: those that passed their checks
// before those that were never heard of, and of equals those that the name still has.
func TestAddressesOfAName(t *testing.T) {
	const all = "10.0.0.0 10.0.0.1 10.0.0.2"
	gone, sick := dead(1, 0)[0], down(up(1), health.CauseStatus, 0)[0]
	for _, c := range []struct {
		views []health.View // of the first two; and of the third, which the name has no longer
		want  string
	}{
		{[]health.View{up(1)[0], up(1)[0], up(1)[0]}, "10.0.0.0 10.0.0.1"},
		{[]health.View{up(1)[0], gone, up(1)[0]}, "10.0.0.0"},
		{[]health.View{gone, up(1)[0], up(1)[0]}, "10.0.0.1"},
		{[]health.View{gone, gone, up(1)[0]}, "10.0.0.2"},
		{[]health.View{{}, {}, up(1)[0]}, "10.0.0.2"},
		{[]health.View{{}, up(1)[0], {}}, "10.0.0.1"},
		{[]health.View{{}, {}, {}}, "10.0.0.0 10.0.0.1"},
		{[]health.View{gone, sick, gone}, "10.0.0.1"},
		{[]health.View{gone, gone, gone}, "10.0.0.0 10.0.0.1"},
	} {
		for _, mode := range []ResortMode{ResortOrder, ResortAll} {
			p := small("aws/a")
			e := end("lb.test", 0, "10.0.0.0", "10.0.0.1", "10.0.0.2")
			e.Addrs[2].Old = true
			p.Services[0].Pools[0].Endpoints = []Endpoint{e}
			p.Services[0].LastResort.Mode = mode
			p.Checks = 3
			want := c.want
			if y := begin(p); mode == ResortAll && y.then(time.Minute, c.views).Panic {
				want = all
			}
			if got := answer(Build(Input{Plan: p, Now: t0, Checks: c.views})); got != want {
				t.Errorf("%+v, last resort %d: %s, want %s", c.views, mode, got, want)
			}
		}
	}
}

// TestChecksOfAnAddress holds that the worst of them counts, whichever it is.
func TestChecksOfAnAddress(t *testing.T) {
	for bad := range 2 {
		p := small("aws/a", "gcp/b")
		p.Services[0].Pools[0].Endpoints[0].Addrs[0].Checks = []int32{0, 2}
		p.Checks = 3
		y := begin(p)
		if y.then(time.Minute, dead(3, 2*bad)); answer(y.s) != "10.0.0.1" {
			t.Errorf("check %d is down: %s", bad, answer(y.s))
		}
		if y = begin(p); answer(y.s) != "10.0.0.0" {
			t.Errorf("both are up: %s", answer(y.s))
		}
	}
}

// TestANameBesideAnAddress holds that a name which was not looked up yet says nothing of
// the others in its pool.
func TestANameBesideAnAddress(t *testing.T) {
	p := small("aws/a", "gcp/b")
	pool := &p.Services[0].Pools[0]
	pool.Endpoints = append(pool.Endpoints, Endpoint{Label: "lb.test", Target: "lb.test.", Weight: 1, Enabled: true, Unresolved: true})
	p.Index()
	views := up(2)
	views[0] = health.View{}
	s := Build(Input{Plan: p, Now: t0, Checks: views})
	if e := s.State(0).Pools[0].Ends; answer(s) != "10.0.0.0" || e[0].Why != WhyUnproven || e[1].Why != WhyUnresolved {
		t.Errorf("answers %s, %v and %v", answer(s), e[0].Why, e[1].Why)
	}
}

// TestDownOnlyFromHere holds that an endpoint of which others say that it is up is left,
// but by a service with a single writer: where others see it, there it writes.
func TestDownOnlyFromHere(t *testing.T) {
	for _, single := range []bool{false, true} {
		p := small("aws/a", "gcp/b")
		p.Services[0].SingleWriter = single
		y := begin(p)
		views := dead(2, 0)
		views[0].Elsewhere = true
		want := "10.0.0.1"
		if single {
			want = "10.0.0.0"
		}
		if y.then(time.Minute, views); answer(y.s) != want {
			t.Errorf("single writer %v: %s, want %s", single, answer(y.s), want)
		}
	}
}

// TestTheHeaviestComesFirst holds that weights count wherever they stand in a list.
func TestTheHeaviestComesFirst(t *testing.T) {
	for heavy := range 3 {
		p := small("aws/a")
		ends := []Endpoint{end("0", 0, "10.0.0.0"), end("1", 0, "10.0.0.1"), end("2", 0, "10.0.0.2")}
		ends[heavy].Weight = 8
		p.Services[0].Pools[0].Endpoints = ends
		y, r, first := begin(p), rand.New(rand.NewPCG(9, 9)), 0
		for range 1000 {
			var one [1]netip.Addr
			d := y.s.Decide(Query{Seed: r.Uint64()})
			if d.Addrs(one[:]); one[0] == ends[heavy].Addrs[0].IP {
				first++
			}
		}
		if first < 740 || first > 860 {
			t.Errorf("the one of weight 8 of 10, listed %d., came first in %d of 1000 answers", heavy+1, first)
		}
	}
}

// TestTheHashTellsWeights holds that resolvers which disagree on a weight are told apart.
func TestTheHashTellsWeights(t *testing.T) {
	seen := map[uint64]int{}
	for weight := 1; weight <= 3; weight++ {
		p := small("aws/a")
		p.Services[0].Pools[0].Endpoints = []Endpoint{end("0", 0, "10.0.0.0"), end("1", 0, "10.0.0.1")}
		p.Services[0].Pools[0].Endpoints[1].Weight = weight
		h := begin(p).s.Hash()
		if other, twice := seen[h]; twice || h != begin(p).s.Hash() {
			t.Errorf("weights %d and %d have one hash, or one has two", other, weight)
		}
		seen[h] = weight
	}
}
