package lab

import (
	"net"
	"time"

	"github.com/miekg/dns"
)

// odd are questions that are not stood in for, by names that only they are asked
// for.
var odd = map[string]func(*dns.Msg){
	"nord." + region: func(m *dns.Msg) { m.RecursionDesired = false },
	"ecs." + region: func(m *dns.Msg) {
		subnet := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(198, 51, 100, 0)}
		m.IsEdns0().Option = append(m.IsEdns0().Option, subnet)
	},
	"cd." + region: func(m *dns.Msg) { m.CheckingDisabled = true },
}

// others are outages in which other clients ask for the same name in odd ways, once
// a second. The cache above does not tell all of their questions from ours, so what
// they hear must not become what everybody hears.
func (s *stage) others(a acts) {
	n := 60
	for name, change := range odd {
		sc := s.emptied(&scene{id: "S2", what: "others ask oddly: " + name, name: name}, a, nxdomain(region), []string{aws(n)}, []string{aws(n + 1)})
		for at := a.fault; at < a.repair; at++ {
			sc.steps = append(sc.steps, step{at, func() { s.tell("res", name, change) }})
		}
		n += 2
	}
}

// tell sends a changed question for a name to a place, and does not wait long for
// what comes back.
func (s *stage) tell(place, name string, change func(*dns.Msg)) {
	c, err := s.dialIn("client", "udp", net.JoinHostPort(s.of(place), "53"))
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close() //nolint:errcheck // a query's socket
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).SetEdns0(1232, false)
	change(m)
	conn := &dns.Conn{Conn: c}
	_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if err := conn.WriteMsg(m); err != nil {
		s.t.Error(err)
	}
	_, _ = conn.ReadMsg()
}
