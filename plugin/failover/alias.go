package failover

import (
	"slices"
	"strings"

	"github.com/coredns/coredns/plugin/pkg/nonwriter"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/engine"
)

// led answers for the services that a reply leads to: whoever follows an alias must
// come to the addresses that we say, not to those that the upstream knows of. The
// first service on the chain of aliases ends it with our answer; what else the reply
// says of services is taken out.
func (e *editor) led(m *dns.Msg) *dns.Msg {
	if leadsNowhere(m, e.r.Question[0].Name) {
		return m
	}
	l := lead{e.f, e.f.shared.load()}
	if t := e.r.Question[0].Qtype; t != dns.TypeCNAME && !l.ours(e.r.Question[0].Name) { // neither asks for more than its own records
		way, target := l.follow(m.Answer, e.r.Question[0].Name)
		if target != "" {
			return e.answered(m, way, target)
		}
		if len(way) > 1 && m.Rcode == dns.RcodeNameError && l.above(way[len(way)-1]) {
			m = denied(m)
		}
	}
	return l.strip(m, e.r.Question[0].Name)
}

// leadsNowhere reports whether a reply speaks of one name only, as most do.
func leadsNowhere(m *dns.Msg, name string) bool {
	for _, rr := range m.Answer {
		switch h := rr.Header(); {
		case h.Name != name, h.Rrtype == dns.TypeCNAME, h.Rrtype == dns.TypeHTTPS, h.Rrtype == dns.TypeSVCB:
			return false
		}
	}
	for _, rr := range m.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			return false
		}
	}
	return true
}

// lead says where a reply leads under one plan.
type lead struct {
	f   *Failover
	pub *engine.Published
}

// ours reports whether we answer for a name, as a service, as the owner of a service's SRV
// record, or as one of its instances. A service in mode observe changes nothing that others say.
func (l lead) ours(name string) bool {
	if !l.pub.Plan.Steer.Near(name) {
		return false
	}
	i, service, exists := l.f.lookup(l.pub, name)
	if !service && exists {
		i, service = l.f.shared.namesOf(l.pub).beside(strings.ToLower(name))
	}
	return service && !l.pub.Plan.Steer.Services[i].Observe
}

// remembered is ours for the records of one reply, most of which have few owners: each
// is looked up once.
func (l lead) remembered() func(string) bool {
	last, was := "", false
	var all map[string]bool
	return func(name string) bool {
		if name == last {
			return was
		}
		if last = name; all == nil {
			all = map[string]bool{}
		}
		var known bool
		if was, known = all[name]; !known {
			was = l.ours(name)
			all[name] = was
		}
		return was
	}
}

// above reports whether a name is an ancestor of one that we answer for.
func (l lead) above(name string) bool {
	var buf [maxName]byte
	return l.pub.Plan.Steer.Exists(lower(&buf, name))
}

// maxWay is how many aliases are followed; resolvers follow no more (BIND 16, Unbound
// 11). What a longer chain leads to is taken out all the same.
const maxWay = 16

// follow goes along the aliases of an answer to the first name that we answer for.
// way holds the names before it in lower case, the first one being name; target is ""
// if no alias leads to us.
func (l lead) follow(answer []dns.RR, name string) (way []string, target string) {
	way = []string{strings.ToLower(name)}
	for range maxWay {
		c := cnameAt(answer, way[len(way)-1])
		if c == nil {
			break
		}
		next := strings.ToLower(c.Target)
		if l.ours(next) {
			return way, c.Target
		}
		if slices.Contains(way, next) {
			break
		}
		way = append(way, next)
	}
	return way, ""
}

// strip takes out what a reply says of names that we answer for: records beside the
// name that was asked for, and hints of HTTPS and SVCB.
func (l lead) strip(m *dns.Msg, name string) *dns.Msg {
	ours := l.remembered()
	led := func(rr dns.RR) bool { return leadsTo(rr) != "" && ours(leadsTo(rr)) }
	beside := func(rr dns.RR) bool { return !strings.EqualFold(rr.Header().Name, name) && ours(rr.Header().Name) }
	own := func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeOPT && ours(rr.Header().Name) }
	if !slices.ContainsFunc(m.Answer, led) && !slices.ContainsFunc(m.Answer, beside) &&
		!slices.ContainsFunc(m.Extra, led) && !slices.ContainsFunc(m.Extra, own) {
		return m
	}
	out := *m
	out.AuthenticatedData = false
	out.Answer = unhinted(slices.DeleteFunc(slices.Clone(m.Answer), beside), led)
	out.Extra = unhinted(slices.DeleteFunc(slices.Clone(m.Extra), own), led)
	return &out
}

// leadsTo is the name that the hints of a record are of, "" without hints. Those of
// "." are of the record's owner, which need not be looked at: it was asked for.
func leadsTo(rr dns.RR) string {
	var svcb *dns.SVCB
	switch rr := rr.(type) {
	case *dns.HTTPS:
		svcb = &rr.SVCB
	case *dns.SVCB:
		svcb = rr
	}
	if svcb == nil || svcb.Target == "." || !slices.ContainsFunc(svcb.Value, isHint) {
		return ""
	}
	return svcb.Target
}

func isHint(kv dns.SVCBKeyValue) bool {
	return kv.Key() == dns.SVCB_IPV4HINT || kv.Key() == dns.SVCB_IPV6HINT
}

// unhinted returns the records without the hints of those that lead to us, and without
// the signatures of their sets.
func unhinted(rrs []dns.RR, led func(dns.RR) bool) []dns.RR {
	out, sets := rrs[:0:0], setsOf(rrs, led)
	for _, rr := range rrs {
		switch {
		case signsOneOf(rr, sets):
		case led(rr):
			rr = dns.Copy(rr)
			switch rr := rr.(type) {
			case *dns.HTTPS:
				rr.Value = slices.DeleteFunc(rr.Value, isHint)
			case *dns.SVCB:
				rr.Value = slices.DeleteFunc(rr.Value, isHint)
			}
			out = append(out, rr)
		default:
			out = append(out, rr)
		}
	}
	return out
}

// denied is a reply that a name does not exist, made one that it has no such record:
// it is an ancestor of a service, and by RFC 8020 a cache would deny all below it.
func denied(m *dns.Msg) *dns.Msg {
	out := *m
	out.Rcode, out.AuthenticatedData = dns.RcodeSuccess, false
	out.Ns = soaOnly(m.Ns)
	return &out
}

// answered is the reply with our answer in the place of what it said of target.
func (e *editor) answered(m *dns.Msg, way []string, target string) *dns.Msg {
	out := *m
	out.Rcode, out.Truncated, out.AuthenticatedData = dns.RcodeSuccess, false, false
	out.Answer = along(m.Answer, append(way, strings.ToLower(target)))
	out.Ns, out.Extra = proofs(m.Ns, out.Answer), nil
	opts := [2]*dns.OPT{m.IsEdns0()}
	if !e.leftToAsker(target) {
		said := e.direct(target)
		opts[1] = said.IsEdns0()
		if len(said.Answer) > 0 || !e.signs(target) {
			out.Rcode = said.Rcode
			out.Answer = append(out.Answer, said.Answer...)
			out.Ns = append(out.Ns, said.Ns...)
			out.Extra = slices.DeleteFunc(slices.Clone(said.Extra), isOPT)
		}
	}
	if opt := joined(e.r.IsEdns0(), opts); opt != nil {
		out.Extra = append(out.Extra, opt)
	}
	return &out
}

// direct is what we say of target to the same client, asked for what it asks.
func (e *editor) direct(target string) *dns.Msg {
	r := *e.r
	r.Question = []dns.Question{{Name: target, Qtype: e.r.Question[0].Qtype, Qclass: dns.ClassINET}}
	w := nonwriter.New(e.ResponseWriter)
	if _, err := e.f.ServeDNS(e.ctx, w, &r); err != nil || w.Msg == nil {
		return new(dns.Msg).SetRcode(&r, dns.RcodeServerFailure)
	}
	return w.Msg
}

// signs reports whether our answers at a name are signed for this client.
func (e *editor) signs(name string) bool {
	opt := e.r.IsEdns0()
	return opt != nil && opt.Do() && e.f.signed.Matches(strings.ToLower(name)) != ""
}

// leftToAsker reports whether the alias alone is the answer: our records at target
// would lack signatures that a validator expects, for `dnssec` signs by the name that
// is asked for. The validator asks for target next, and gets them.
func (e *editor) leftToAsker(target string) bool {
	return e.signs(target) && !e.signs(e.r.Question[0].Name)
}

// along returns the aliases from each name of way to the next, the DNAMEs that they
// come from, and the signatures of both. way is in lower case.
func along(answer []dns.RR, way []string) (out []dns.RR) {
	s := stepsOf(way)
	for _, rr := range answer {
		if s.lead(rr) {
			out = append(out, rr)
		}
	}
	return out
}

// steps are what a way of aliases is made of.
type steps struct {
	next  map[string]string // the name that each leads to
	above map[string]bool   // the names that a DNAME of them may have
}

func stepsOf(way []string) steps {
	s := steps{map[string]string{}, map[string]bool{".": true}}
	for i, name := range way[:len(way)-1] {
		if _, ok := s.next[name]; !ok {
			s.next[name] = way[i+1]
		}
		for _, at := range dns.Split(name) {
			s.above[name[at:]] = true
		}
	}
	return s
}

// lead reports whether a record is a step, what it comes from, or the signature of one
// of these.
func (s steps) lead(rr dns.RR) bool {
	t := rr.Header().Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok {
		t = sig.TypeCovered
	}
	switch t {
	case dns.TypeDNAME:
		return s.above[strings.ToLower(rr.Header().Name)]
	case dns.TypeCNAME:
		to, on := s.next[strings.ToLower(rr.Header().Name)]
		c, isAlias := rr.(*dns.CNAME)
		return on && (!isAlias || strings.EqualFold(c.Target, to))
	}
	return false
}

// proofs returns what proves of aliases that a wildcard made that no name stands
// before it (RFC 4035 section 3.1.3.3). All else in the authority section is of what
// was replaced.
func proofs(ns, aliases []dns.RR) (out []dns.RR) {
	if !slices.ContainsFunc(aliases, isExpanded) {
		return nil
	}
	for _, rr := range ns {
		t := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			t = sig.TypeCovered
		}
		if t == dns.TypeNSEC || t == dns.TypeNSEC3 {
			out = append(out, rr)
		}
	}
	return out
}

// isExpanded reports whether a record is the signature of what a wildcard made: it
// signs fewer labels than its owner has (RFC 4034 section 3.1.3).
func isExpanded(rr dns.RR) bool {
	sig, ok := rr.(*dns.RRSIG)
	return ok && int(sig.Labels) < dns.CountLabel(sig.Hdr.Name)
}
