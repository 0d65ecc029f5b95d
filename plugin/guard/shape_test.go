package guard

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// shape returns what is wrong with a reply of ours that says addresses: what RFC
// 1034, 2181, 4035 and 6891 ask of one that is made of kept data.
func shape(r, m *dns.Msg) error {
	switch {
	case !m.Response || m.Id != r.Id || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("the header: %v", m.MsgHdr)
	case m.Authoritative || m.AuthenticatedData || m.Truncated || !m.RecursionDesired || !m.RecursionAvailable || m.CheckingDisabled:
		return fmt.Errorf("the bits: %v", m.MsgHdr)
	case len(m.Question) != 1 || m.Question[0] != r.Question[0]:
		return fmt.Errorf("the question %v", m.Question)
	case len(m.Ns) != 0:
		return fmt.Errorf("authority %v", m.Ns)
	}
	if err := shapeOPT(r.IsEdns0(), m.Extra); err != nil {
		return err
	}
	return shapeAnswer(r, m.Answer)
}

func shapeOPT(asked *dns.OPT, extra []dns.RR) error {
	if asked == nil {
		if len(extra) > 0 {
			return fmt.Errorf("not asked for: %v", extra)
		}
		return nil
	}
	if len(extra) != 1 {
		return fmt.Errorf("extra %v", extra)
	}
	opt, ok := extra[0].(*dns.OPT)
	if !ok || opt.Do() != asked.Do() || opt.Version() != 0 || len(opt.Option) != 1 {
		return fmt.Errorf("extra %v", extra)
	}
	if e, ok := opt.Option[0].(*dns.EDNS0_EDE); !ok || e.InfoCode != dns.ExtendedErrorCodeStaleAnswer {
		return fmt.Errorf("options %v", opt.Option)
	}
	return nil
}

// shapeAnswer walks the answer section once: each set belongs to the next owner of
// the chain, with its signatures behind it.
func shapeAnswer(r *dns.Msg, rrs []dns.RR) error {
	owner, addrs, before := r.Question[0].Name, map[netip.Addr]bool{}, dns.RR(nil)
	do := r.IsEdns0() != nil && r.IsEdns0().Do()
	for _, rr := range rrs {
		h := rr.Header()
		if h.Class != dns.ClassINET || h.Ttl != rrs[0].Header().Ttl || h.Ttl > 15 {
			return fmt.Errorf("%v", rr)
		}
		switch x := rr.(type) {
		case *dns.CNAME:
			if len(addrs) > 0 || !strings.EqualFold(h.Name, owner) {
				return fmt.Errorf("out of order: %v", rr)
			}
			owner = x.Target
		case *dns.RRSIG:
			if !do || before == nil || x.TypeCovered != before.Header().Rrtype || !strings.EqualFold(h.Name, before.Header().Name) {
				return fmt.Errorf("an orphan: %v", rr)
			}
			continue
		default:
			ip, ok := address(rr)
			if !ok || h.Rrtype != r.Question[0].Qtype || !strings.EqualFold(h.Name, owner) || addrs[ip] {
				return fmt.Errorf("not of the question: %v", rr)
			}
			addrs[ip] = true
		}
		before = rr
	}
	if len(addrs) < 1 || len(addrs) > guard.MaxAnswer {
		return fmt.Errorf("%d addresses", len(addrs))
	}
	return nil
}

// truths are the addresses that a reply's own chain ends at, and the names on its
// way. It is written to be seen right, not to be fast.
func truths(m *dns.Msg, name string, qtype uint16) (ips map[netip.Addr]bool, way map[string]bool) {
	ips, way = map[netip.Addr]bool{}, map[string]bool{name: true}
	if !m.Response || m.Truncated || m.Rcode != 0 || len(m.Question) != 1 || strings.ToLower(m.Question[0].Name) != name ||
		m.Question[0].Qtype != qtype || m.Question[0].Qclass != dns.ClassINET || !first(m) {
		return ips, way
	}
	at := name
	for range guard.MaxChain {
		next := ""
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && next == "" && c.Hdr.Class == dns.ClassINET && strings.ToLower(c.Hdr.Name) == at {
				next = strings.ToLower(c.Target)
			}
		}
		if next == "" {
			break
		}
		at = next
		way[at] = true
	}
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == qtype && rr.Header().Class == dns.ClassINET && strings.ToLower(rr.Header().Name) == at {
			if ip, ok := address(rr); ok {
				ips[ip] = true
			}
		}
	}
	return ips, way
}

// recorder is a client that keeps what it is sent.
type recorder struct {
	test.ResponseWriter
	msgs []*dns.Msg
	raw  [][]byte
}

func (c *recorder) WriteMsg(m *dns.Msg) error { c.msgs = append(c.msgs, m); return nil }

func (c *recorder) Write(b []byte) (int, error) { c.raw = append(c.raw, b); return len(b), nil }
