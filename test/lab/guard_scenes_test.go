package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// acts are the seconds at which things happen.
type acts struct{ fault, restart, repair, end int }

// brief is the outage that make test has the time for. An address is good when it
// was seen three times over a minute, so the fault is later than that.
var brief = acts{fault: 70, restart: 95, repair: 130, end: 160}

const (
	// standTTL is the guard's ttl, and recheck how often it asks again for a name
	// that fails: together the time until a repair is seen.
	standTTL = 15
	recheck  = 5
	// freshTTL is that of all healthy answers.
	freshTTL = 5
	// slack is what a busy machine and asking once a second add.
	slack = 2
)

const region = "cloud.example"

// add puts a scene on the stage, with what is true at its start.
func (s *stage) add(sc *scene, good ...string) *scene {
	sc.good(good...)
	s.scenes = append(s.scenes, sc)
	return sc
}

// says is a step that changes what is said of a name.
func (s *stage) says(at int, name string, f reply) step {
	return step{at, func() { s.up.name(name, f) }}
}

// emptied is a name whose answers become something bad and then good again, from
// another address: so one sees when the repair was seen.
func (s *stage) emptied(sc *scene, a acts, bad reply, before, after []string) *scene {
	s.backend(before...)
	s.backend(after...)
	s.up.name(sc.name, addresses(freshTTL, before...))
	sc.steps = append(sc.steps, s.says(a.fault, sc.name, bad), s.says(a.repair, sc.name, addresses(freshTTL, after...)))
	judge := sc.judge
	sc.judge = func(v *verdict) {
		if judge != nil {
			judge(v)
		} else {
			v.only(0, a.end, sawGood)
		}
		v.fresh(after[0], a.repair, standTTL+recheck)
	}
	return s.add(sc, slices.Concat(before, after)...)
}

// crashing are the scenes of a pair of processes that are killed in mid-outage.
func (s *stage) crashing(a acts, ours, them *guarded) {
	name := "api.s1." + region
	judge := func(v *verdict) {
		v.only(0, a.restart-1, sawGood)
		v.only(a.restart-1, a.restart+5, sawGood, sawTimeout)
		v.only(a.restart+5, a.end, sawGood)
	}
	sc := s.emptied(&scene{id: "S1", what: "empty, kill -9", name: name, port: crashPort, judge: judge}, a,
		nodata(region), []string{aws(1), aws6(1)}, []string{aws(2), aws6(2)})
	sc.steps = append(sc.steps, step{a.restart, func() {
		ours.kill()
		them.kill()
		ours.again()
		them.again()
	}})
	s.add(&scene{id: "S1", what: "empty, kill -9", name: name, qtype: dns.TypeAAAA, port: crashPort, judge: func(v *verdict) {
		judge(v)
		v.fresh(aws6(2), a.repair, standTTL+recheck)
	}}, aws6(1), aws6(2))

	dead := &scene{id: "S26", what: "dead upstream, kill -9", name: "api.s26.example", port: crashPort, judge: judge}
	s.dark(dead, a, s.upstream(5), aws(3), aws(4))
}

// dark is a scene whose upstream is out of reach from fault to repair.
func (s *stage) dark(sc *scene, a acts, upstream, before, after string) {
	s.emptied(sc, a, addresses(freshTTL, before), []string{before}, []string{after})
	sc.steps = append(sc.steps, step{a.fault, func() { s.blackhole(upstream) }}, step{a.repair, func() { s.reach(upstream) }})
}

// empties are names that have no addresses any more, though nothing else changed.
func (s *stage) empties(a acts) {
	early := a
	early.fault = 20 // one handshake makes an address good, long before the minute is over
	s.emptied(&scene{id: "S1", what: "empty, name is new", name: "young.s1." + region}, early, nodata(region), []string{aws(25)}, []string{aws(26)})

	db := &scene{id: "S1", what: "empty, no TLS ever", name: "db.s1." + region}
	s.up.name(db.name, addresses(freshTTL, aws(7)))
	db.steps = []step{s.says(a.fault, db.name, nodata(region)), s.says(a.repair, db.name, addresses(freshTTL, aws(7)))}
	db.judge = func(v *verdict) { v.only(0, a.end, sawGood) }
	s.add(db, aws(7))

	pool := make([]string, 40)
	for i := range pool {
		pool[i] = aws(100 + i)
	}
	s.backend(pool...)
	turning := &scene{id: "", what: "rotates, 4 of 40: empty", name: "pool." + region}
	s.up.name(turning.name, rotating(freshTTL, 4, pool...))
	turning.steps = []step{s.says(a.fault, turning.name, nodata(region)), s.says(a.repair, turning.name, rotating(freshTTL, 4, pool...))}
	turning.judge = func(v *verdict) {
		v.only(0, a.end, sawGood)
		v.each(0, a.end, "1 to 4 addresses", func(m *dns.Msg) bool { return len(given(m, dns.TypeA)) <= 4 })
	}
	s.add(turning, pool...)
}

// negatives are the outages in which an upstream denies what is there.
func (s *stage) negatives(a acts) {
	s.empties(a)
	sc := s.emptied(&scene{id: "S2", what: "denied by the parent", name: "api.s2." + region}, a, nxdomain(region), []string{aws(5)}, []string{aws(6)})
	s.load(sc, a)
	s.add(&scene{id: "S2", what: "its other type", name: "api.s2." + region, qtype: dns.TypeAAAA, judge: func(v *verdict) {
		v.each(0, a.end, "NODATA", func(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 })
	}})

	gone := &scene{id: "", what: "not guarded: denied", name: "other." + region}
	s.up.name(gone.name, addresses(freshTTL, aws(8)))
	gone.steps = []step{s.says(a.fault, gone.name, nxdomain(region))}
	gone.judge = func(v *verdict) {
		v.only(0, a.fault, sawGood)
		v.only(a.fault+freshTTL+slack, a.end, sawNegative)
	}
	s.add(gone, aws(8))
}

// load demands that Detour does not ask for a name that fails more often than each
// recheck, which it may shorten by a second so that resolvers do not march in step.
func (s *stage) load(sc *scene, a acts) {
	var before, after int
	sc.steps = append(sc.steps,
		step{a.fault, func() { before = s.up.times(s.of("res"), sc.name, dns.TypeA) }},
		step{a.repair, func() { after = s.up.times(s.of("res"), sc.name, dns.TypeA) }})
	judge := sc.judge
	sc.judge = func(v *verdict) {
		judge(v)
		if n, most := after-before, (a.repair-a.fault)/(recheck-1)+2; n > most {
			v.t.Errorf("%s: %d questions to upstream in the outage, want %d at most", v.id, n, most)
		}
	}
}

// liars are the outages in which some upstreams, or some answers, are wrong.
func (s *stage) liars(a acts) {
	one := &scene{id: "S3", what: "one of two upstreams lies", name: "api.s3.example"}
	s.backend(aws(9), aws(10))
	s.up.name(one.name, addresses(freshTTL, aws(9)))
	lie := question{server: s.upstream(1), name: one.name}
	one.steps = []step{
		{a.fault, func() { s.up.set(map[question]reply{lie: nxdomain("example")}) }},
		{a.repair, func() { s.up.set(map[question]reply{lie: nil}) }},
	}
	one.judge = func(v *verdict) { v.only(0, a.end, sawGood) }
	s.add(one, aws(9))

	half := &scene{id: "S3", what: "lies every second time", name: "half.s3." + region}
	s.emptied(half, a, alternating(nxdomain(region), addresses(freshTTL, aws(11))), []string{aws(11)}, []string{aws(12)})

	broken := &scene{id: "S14", what: "one of two black-holed", name: "api.s14.example"}
	s.backend(aws(13))
	s.up.name(broken.name, addresses(freshTTL, aws(13)))
	broken.steps = []step{{a.fault, func() { s.blackhole(s.upstream(4)) }}, {a.repair, func() { s.reach(s.upstream(4)) }}}
	broken.judge = func(v *verdict) { v.only(0, a.end, sawGood) }
	s.add(broken, aws(13))
}

// failures are the outages in which nothing, or an error, comes back.
func (s *stage) failures(a acts) {
	quiet := &scene{id: "S4", what: "upstream black-holed", name: "api.s4.example"}
	s.dark(quiet, a, s.upstream(3), aws(14), aws(15))
	judge := quiet.judge
	quiet.judge = func(v *verdict) {
		judge(v)
		v.waits(a.fault, a.end, 2)
	}
	s.emptied(&scene{id: "S4", what: "silent for one name", name: "quiet.s4." + region}, a, silence, []string{aws(16)}, []string{aws(17)})
	s.emptied(&scene{id: "S5", what: "SERVFAIL", name: "api.s5." + region}, a, servfail(), []string{aws(18)}, []string{aws(19)})

	bogus := func(v *verdict) {
		v.only(0, a.fault, sawGood)
		v.only(a.fault+freshTTL+slack, a.repair, sawFailure)
		v.only(a.repair+freshTTL+slack, a.end, sawGood)
	}
	s.emptied(&scene{id: "S5", what: "bogus (EDE 6)", name: "bogus.s5." + region, judge: bogus}, a,
		servfail(dns.ExtendedErrorCodeDNSBogus), []string{aws(20)}, []string{aws(21)})
	s.add(&scene{id: "S5", what: "bogus, no cache above", name: "bogus.s5." + region, port: barePort, alone: true, judge: func(v *verdict) {
		v.only(a.fault+1, a.repair, sawFailure)
		v.each(a.fault+1, a.repair, "EDE 6", func(m *dns.Msg) bool { return slices.Equal(ede(m), []uint16{dns.ExtendedErrorCodeDNSBogus}) })
	}}, aws(20), aws(21))
}

// chains are the outages of a name that is an alias in another zone.
func (s *stage) chains(a acts) {
	const edge = "edge.s13.example"
	sc := &scene{id: "S13", what: "chain, its second zone dies", name: "www.s13." + region}
	s.backend(aws(22), aws(23))
	whole := chained(freshTTL, edge, addresses(freshTTL, aws(22), aws(23)))
	s.up.name(sc.name, whole)
	sc.steps = []step{
		s.says(a.fault, sc.name, servfail()),
		{a.fault + 25, func() { s.getent(sc.name, edge, aws(22), aws(23)) }},
		s.says(a.fault+30, sc.name, chained(freshTTL, edge, nodata("s13.example"))),
		s.says(a.repair, sc.name, whole),
	}
	sc.judge = func(v *verdict) {
		v.only(0, a.end, sawGood)
		v.each(0, a.end, "the CNAME first, then both addresses", func(m *dns.Msg) bool {
			return len(m.Answer) == 3 && m.Answer[0].Header().Rrtype == dns.TypeCNAME && len(given(m, dns.TypeA)) == 2
		})
	}
	s.add(sc, aws(22), aws(23))
}

// getent asks as a program does that uses the C library: it reads the first alias
// and gives up on an answer whose alias comes after the address.
func (s *stage) getent(name, alias string, ips ...string) {
	out, err := exec.Command("ip", "netns", "exec", s.prefix+"client", "getent", "ahosts", name).CombinedOutput()
	for _, want := range append(ips, alias) {
		if !strings.Contains(string(out), want) {
			s.t.Errorf("S16: getent ahosts %s lacks %s: %v\n%s", name, want, err, out)
		}
	}
}

// resolvConf is what the C library reads in the client's place.
func (s *stage) resolvConf() {
	dir := filepath.Join("/etc/netns", s.prefix+"client")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.WriteFile(filepath.Join(dir, "resolv.conf"), fmt.Appendf(nil, "nameserver %s\n", s.of("res")), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
