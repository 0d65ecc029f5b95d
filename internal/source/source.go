// Package source names where services and endpoints come from. The file itself
// needs none; a name as an endpoint is looked up below us. Consul and the
// clouds' DNS each get a package below this one.
package source

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Found is what is known of the names that stand as endpoints, by name in lower
// case with its last dot.
type Found map[string]Addresses

// Addresses is what a name resolved to, now and lately. Values are not changed
// in place.
type Addresses struct {
	Kept []Kept    // those of the last good answer first, each part sorted
	At   time.Time // of the last answer that held any
}

// Kept is an address of a name.
type Kept struct {
	IP    netip.Addr
	Seen  time.Time // in which good answer last
	Fresh bool      // in the last good answer
}

// MaxKept bounds the addresses that are kept of one name.
const MaxKept = 64

// forget is how long an address is kept that good answers no longer hold.
const forget = time.Hour

// Learn returns a with a good answer taken in. Addresses that the answer lacks
// stay for an hour, as a reserve behind the fresh ones: load balancers rotate.
// An answer without addresses is no good answer: it changes nothing. Nor does one
// without addresses of a family change those: its lookup failed, or its record
// was emptied by mistake.
func (a Addresses) Learn(ips []netip.Addr, now time.Time) Addresses {
	if len(ips) == 0 {
		return a
	}
	out := Addresses{At: now}
	ips = slices.Clone(ips)
	slices.SortFunc(ips, netip.Addr.Compare)
	for _, ip := range slices.Compact(ips) {
		out.Kept = append(out.Kept, Kept{ip, now, true})
	}
	var reserve []Kept
	for _, k := range a.Kept {
		switch k.Fresh = k.Fresh && !hasFamily(ips, k.IP.Is4()); {
		case k.Fresh:
			out.Kept = append(out.Kept, k)
		case now.Sub(k.Seen) < forget && !slices.Contains(ips, k.IP):
			reserve = append(reserve, k)
		}
	}
	slices.SortFunc(out.Kept, func(a, b Kept) int { return a.IP.Compare(b.IP) })
	out.Kept = append(out.Kept, reserve...)
	out.Kept = out.Kept[:min(len(out.Kept), MaxKept)]
	return out
}

func hasFamily(ips []netip.Addr, v4 bool) bool {
	return slices.ContainsFunc(ips, func(ip netip.Addr) bool { return ip.Is4() == v4 })
}

// Same reports whether a and b hold the same addresses in the same parts.
func (a Addresses) Same(b Addresses) bool {
	return slices.EqualFunc(a.Kept, b.Kept, func(x, y Kept) bool { return x.IP == y.IP && x.Fresh == y.Fresh })
}

// Lookup asks for the addresses of a name, both families. A failure of any kind,
// an empty answer included, is an error.
type Lookup func(ctx context.Context, name string) (ips []netip.Addr, ttl time.Duration, err error)
