package lab

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// hijacks is a name that is led elsewhere, and later moves there in earnest.
func (s *stage) hijacks(a acts, ours *guarded) {
	sc := &scene{id: "S15", what: "hijacked, then a real move", name: "api.s15.example"}
	s.backend(aws(30), gcp(30), evil)
	s.up.name(sc.name, addresses(freshTTL, aws(30)))
	moves := a.repair
	sc.steps = []step{
		s.says(a.fault, sc.name, addresses(freshTTL, evil)),
		s.says(moves-20, sc.name, addresses(freshTTL, aws(30))),
		s.says(moves, sc.name, addresses(freshTTL, gcp(30))),
	}
	sc.judge = func(v *verdict) {
		v.only(0, a.end, sawGood)
		// What stands in while the new address proves itself has the guard's TTL.
		v.fresh(gcp(30), moves, freshTTL+standTTL+recheck)
		// A handshake is finished before its certificate is judged; an address that
		// shows another name's is asked twice within ten seconds, and then once a minute.
		if n := s.backends[evil].good.Load(); n > 5 {
			v.t.Errorf("%s: %d handshakes with the hijacker, want 5 at most", v.id, n)
		}
		if !strings.Contains(ours.out.String(), evil) {
			v.t.Errorf("%s: the log does not say what was refused", v.id)
		}
	}
	s.add(sc, aws(30), gcp(30))
}

// deletion is a name that is deleted in earnest: its backends are gone as well.
func (s *stage) deletion(a acts) {
	sc := &scene{id: "real", what: "deleted, backends gone", name: "old." + region}
	ips := s.backend(aws(31), aws(32))
	s.up.name(sc.name, addresses(freshTTL, ips...))
	sc.steps = []step{{a.fault, func() {
		s.up.name(sc.name, nxdomain(region))
		for _, ip := range ips {
			s.backends[ip].refuse()
		}
		sc.good()
	}}}
	sc.judge = func(v *verdict) {
		v.only(0, a.fault, sawGood)
		// The proof starts within 10 s; what was answered until then has the guard's TTL.
		v.only(a.fault+freshTTL+10+standTTL+slack, a.end, sawNegative)
	}
	s.add(sc, ips...)
}

// kept is for how long a name of the block "kept.example" stands in.
const kept = 20

// expiry is a name that is empty for longer than it is kept, though it still proves
// itself: the operator said how long. The truth that went through by then does not
// outlive the repair.
func (s *stage) expiry(a acts) {
	sc := &scene{id: "real", what: "empty for longer than kept", name: "api.kept.example"}
	ips := s.backend(aws(44))
	s.up.name(sc.name, addresses(freshTTL, ips...))
	sc.steps = []step{s.says(a.fault, sc.name, nodata("kept.example")), s.says(a.repair, sc.name, addresses(freshTTL, ips...))}
	sc.judge = func(v *verdict) {
		v.only(0, a.fault+kept, sawGood)
		v.only(a.fault+freshTTL+kept+standTTL+slack, a.repair, sawNegative)
		v.only(a.repair+standTTL+recheck+slack, a.end, sawGood)
	}
	s.add(sc, ips...)
}

// renumbering is a name that moves to other addresses in the second moves, while
// the old ones are switched off; later it is emptied like others.
func (s *stage) renumbering(name string, moves int, a acts, was, is []string) {
	sc := &scene{id: "real", what: fmt.Sprintf("renumbered, empty %d s later", a.fault-moves), name: name}
	s.backend(was...)
	s.backend(is...)
	s.up.name(sc.name, addresses(freshTTL, was...))
	sc.steps = []step{
		{moves, func() {
			s.up.name(sc.name, addresses(freshTTL, is...))
			for _, ip := range was {
				s.backends[ip].refuse()
			}
			sc.good(is...)
		}},
		s.says(a.fault, sc.name, nodata(region)),
		s.says(a.repair, sc.name, addresses(freshTTL, is...)),
	}
	sc.judge = func(v *verdict) {
		v.only(0, moves, sawGood)
		v.only(moves+freshTTL+slack, a.end, sawGood)
	}
	s.add(sc, was...)
}

// withdrawal is a name that gives up IPv6.
func (s *stage) withdrawal(a acts) {
	name := "six." + region
	s.backend(aws(37), aws6(37))
	s.up.name(name, addresses(freshTTL, aws(37), aws6(37)))
	sc := &scene{id: "real", what: "AAAA withdrawn", name: name, qtype: dns.TypeAAAA, steps: []step{s.says(a.fault, name, addresses(freshTTL, aws(37)))}}
	sc.judge = func(v *verdict) {
		v.only(0, a.fault, sawGood)
		v.only(a.fault+2*freshTTL, a.end, sawNegative)
	}
	s.add(sc, aws6(37))
	s.add(&scene{id: "real", what: "AAAA withdrawn", name: name, judge: func(v *verdict) { v.only(0, a.end, sawGood) }}, aws(37))
}

// draining is a name whose answers shrink by plan.
func (s *stage) draining(a acts) {
	sc := &scene{id: "real", what: "drained from 4 to 1", name: "drain." + region}
	ips := s.backend(aws(38), aws(39), aws(40), aws(41))
	s.up.name(sc.name, addresses(freshTTL, ips...))
	sc.steps = []step{{a.fault, func() {
		s.up.name(sc.name, addresses(freshTTL, ips[0]))
		sc.good(ips[0])
	}}}
	sc.judge = func(v *verdict) {
		v.only(0, a.fault, sawGood)
		v.only(a.fault+freshTTL+slack, a.end, sawGood)
	}
	s.add(sc, ips...)
}

// peace is a name to which nothing happens: nobody connects to it again once it
// has proven itself.
func (s *stage) peace(a acts) {
	sc := &scene{id: "", what: "healthy throughout", name: "fine." + region}
	ips := s.backend(aws(42), aws(43))
	s.up.name(sc.name, addresses(freshTTL, ips...))
	sc.judge = func(v *verdict) {
		v.only(0, a.end, sawGood)
		for _, ip := range ips {
			if n := s.backends[ip].tried.Load(); n > 1 {
				v.t.Errorf("%s: %d connections to %s, want one at most", v.id, n, ip)
			}
		}
	}
	s.add(sc, ips...)
}

// manners holds what is true of every scene: who is shown which name, how often one
// backend was called, and that a log tells a story once and not at every question.
func (s *stage) manners(a acts, logs ...string) {
	names := map[string]bool{}
	for _, sc := range s.scenes {
		names[sc.name] = true
	}
	most := int64(4 + (a.repair-a.fault)/60) // once when new, in an outage at once, after 1, 2, 5, 5 ... min; as much again for another family or a restart
	for ip, b := range s.backends {
		if n := b.tried.Load(); n > most {
			s.t.Errorf("%d connections to %s in all, want %d at most", n, ip, most)
		}
		b.names.Range(func(name, _ any) bool {
			if !names[name.(string)] {
				s.t.Errorf("%s was asked for the name %q", ip, name)
			}
			return true
		})
	}
	for name := range names {
		if n := strings.Count(strings.Join(logs, ""), name); n > 8 {
			s.t.Errorf("the log says %s %d times", name, n)
		}
	}
}
