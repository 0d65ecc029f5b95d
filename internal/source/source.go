// Package source names where services and endpoints come from. The file itself
// needs none; a name as an endpoint is looked up below us. Consul and the
// clouds' DNS each get a package below this one.
package source

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/guard"
)

// Found is what is known of the names that stand as endpoints, by name in lower
// case with its last dot.
type Found map[string]Addresses

// Addresses is what a name resolved to, now and lately. It is kept as addresses of
// names of others are, by the guard's rules: the probes say which of them are well.
// Values are not changed in place.
type Addresses struct {
	Known guard.Name
}

// Kept is an address of a name.
type Kept struct {
	IP    netip.Addr
	Fresh bool // in the last good answer of its family
}

// MaxKept bounds the addresses that are kept of one name.
const MaxKept = 64

// Learn returns a with a good answer of this lifetime taken in. Addresses that the
// answer lacks stay for an hour of good answers or 20 lifetimes, as a reserve
// behind the fresh ones: load balancers rotate. An answer without addresses is no
// good answer: it changes nothing. Nor does one without addresses of a family change
// those: its lookup failed, or its record was emptied by mistake.
func (a Addresses) Learn(ips []netip.Addr, ttl time.Duration, now time.Time) Addresses {
	out := Addresses{a.Known.Clone()}
	for _, v6 := range []bool{false, true} {
		of := slices.DeleteFunc(slices.Clone(ips), func(ip netip.Addr) bool { return ip.Is4() == v6 })
		if len(of) > 0 {
			ttl := min(max(ttl, 0), math.MaxInt32*time.Second)
			out.Known.Of(v6).Take(&guard.Answer{Addrs: of, TTL: uint32(ttl / time.Second)}, guard.At(now)) // #nosec G115 -- bounded
		}
	}
	return out
}

// Fail returns a as it is while the name cannot be resolved: that time makes no
// address old.
func (a Addresses) Fail(now time.Time) Addresses {
	out := Addresses{a.Known.Clone()}
	for _, v6 := range []bool{false, true} {
		if len(out.Known.Of(v6).Members) > 0 {
			out.Known.Fail(v6, guard.Servfail, guard.At(now))
		}
	}
	return out
}

// List returns the addresses, fresh ones first, in order, at most MaxKept.
func (a Addresses) List() (out []Kept) {
	for _, v6 := range []bool{false, true} {
		k := a.Known.Of(v6)
		for i := range k.Members {
			out = append(out, Kept{k.Members[i].IP, k.Members[i].Last >= k.Good})
		}
	}
	slices.SortFunc(out, func(a, b Kept) int {
		switch {
		case a.Fresh == b.Fresh:
			return a.IP.Compare(b.IP)
		case a.Fresh:
			return -1
		}
		return 1
	})
	return out[:min(len(out), MaxKept)]
}

// Same reports whether a and b hold the same addresses in the same parts.
func (a Addresses) Same(b Addresses) bool { return slices.Equal(a.List(), b.List()) }

// Lookup asks for the addresses of a name, both families. A failure of any kind,
// an empty answer included, is an error.
type Lookup func(ctx context.Context, name string) (ips []netip.Addr, ttl time.Duration, err error)
