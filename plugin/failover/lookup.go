package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/below"
	"github.com/detour-dns/detour/internal/source"
)

// errNoAddress is what a name without addresses gives, for whatever reason: it
// never empties what is known of the name.
var errNoAddress = errors.New("no address")

// lookupBelow returns a way to resolve names by the chain below next: the one of
// the server block that the plugin stands in, ourselves not included, so that a
// service can never resolve by itself.
func lookupBelow(next plugin.Handler) source.Lookup {
	return func(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
		if _, none := next.(last); none || next == nil {
			return nil, 0, errors.New("no plugin below failover resolves names: add forward, file or hosts")
		}
		var out []netip.Addr
		var why error
		ttl := uint32(maxTTL)
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m, err := askBelow(ctx, next, name, t)
			if err != nil {
				why = err
				continue
			}
			ips, least := addressesIn(m, name)
			out, ttl = append(out, ips...), min(ttl, least)
		}
		if len(out) == 0 {
			return nil, 0, errors.Join(errNoAddress, why)
		}
		return out, time.Duration(ttl) * time.Second, nil
	}
}

// maxTTL is the longest time in seconds after which a name is asked again; the
// engine's own bounds are tighter.
const maxTTL = 3600

func askBelow(ctx context.Context, next plugin.Handler, name string, t uint16) (*dns.Msg, error) {
	switch m, err := below.Ask(ctx, next, below.Question(name, t, false)); {
	case err != nil:
		return nil, err
	case m.Rcode != dns.RcodeSuccess:
		return nil, fmt.Errorf("reply %s", dns.RcodeToString[m.Rcode])
	case m.Truncated:
		return nil, errors.New("reply truncated")
	default:
		return m, nil
	}
}

// maxChain is how many CNAMEs are followed in one reply.
const maxChain = 8

// addressesIn follows the chain from name and returns the addresses at its end
// with the least TTL on the way. What does not belong to the chain is left out.
func addressesIn(m *dns.Msg, name string) (ips []netip.Addr, ttl uint32) {
	owner, ttl := strings.ToLower(name), uint32(maxTTL)
	for range maxChain {
		c := cnameAt(m.Answer, owner)
		if c == nil {
			break
		}
		owner, ttl = strings.ToLower(c.Target), min(ttl, c.Hdr.Ttl)
	}
	for _, rr := range m.Answer {
		ip, ok := addressOf(rr)
		if ok && strings.EqualFold(rr.Header().Name, owner) && len(ips) < source.MaxKept {
			ips, ttl = append(ips, ip), min(ttl, rr.Header().Ttl)
		}
	}
	return ips, ttl
}

func cnameAt(rrs []dns.RR, owner string) *dns.CNAME {
	for _, rr := range rrs {
		if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, owner) {
			return c
		}
	}
	return nil
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	var raw net.IP
	switch x := rr.(type) {
	case *dns.A:
		raw = x.A
	case *dns.AAAA:
		raw = x.AAAA
	default:
		return netip.Addr{}, false
	}
	ip, ok := netip.AddrFromSlice(raw)
	if _, is4 := rr.(*dns.A); is4 {
		ip = ip.Unmap()
	}
	return ip, ok
}
