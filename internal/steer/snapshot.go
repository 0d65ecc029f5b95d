package steer

import (
	"math"
	"net/netip"
	"time"
)

// Snapshot is the immutable compiled answers of one generation.
type Snapshot struct {
	Plan    *Plan
	At      time.Time // when it was built
	Gen     uint64
	Regions []RegionState
	Changes []Change // against the previous snapshot
	Would   []Change // mode observe: services that would have moved since then
	Built   []int32  // services that were built anew

	quick []quick // by service
	nexts []int64 // when each service must be built again, unix ns, 0 = never
	salts []uint64
	hash  uint64
}

// State returns what was decided for a service.
func (s *Snapshot) State(service int32) *ServiceState { return s.quick[service].st }

// Hash identifies the decisions: resolvers that agree show the same one.
func (s *Snapshot) Hash() uint64 { return s.hash }

// Next returns when a Build without news could decide otherwise, zero if never.
func (s *Snapshot) Next() time.Time {
	next := int64(math.MaxInt64)
	for _, t := range s.nexts {
		if t != 0 && t < next {
			next = t
		}
	}
	if next == math.MaxInt64 {
		return time.Time{}
	}
	return time.Unix(0, next)
}

// Query is what a decision depends on besides the snapshot.
type Query struct {
	Service int32
	V6      bool
	Client  netip.Addr // unmapped; or the address of an ECS prefix
	Minute  uint32     // of the epoch
	Seed    uint64     // random; chooses only inside a pool, and the TTL's random part
	Spread  bool       // the client stands for many: shares are drawn per answer
}

// Decision is what one query gets. The zero Decision has no addresses.
type Decision struct {
	State  *ServiceState
	Pool   int16 // -1: several, or fixed addresses
	Region uint16
	TTL    uint32 // seconds, its random part already taken off
	Reason Reason
	Panic  bool
	Refuse bool // there is no answer: SERVFAIL
	NoData bool // of Refuse: NODATA in its place
	Scoped bool // another client may be answered otherwise
	v6     bool
	set    *set
	seed   uint64
}

// Decide chooses for one query. It takes no lock, reads no clock and allocates
// nothing.
func (s *Snapshot) Decide(q Query) Decision {
	if k := &s.quick[q.Service]; k.simple {
		return Decision{
			State: k.st, Pool: k.pool, Region: k.region, TTL: lessRandom(k.ttl, q.Seed),
			Reason: k.reason, Panic: k.panic, v6: q.V6, set: k.set, seed: q.Seed,
		}
	}
	return s.decide(q)
}

// nothing is the addresses of a decision that has none.
var nothing set

// quick is the state of a service and, if it gives every client the same set, its
// decision. That is most of them most of the time, and so it lies where one read
// of memory finds it.
type quick struct {
	st     *ServiceState
	set    *set
	ttl    uint32
	pool   int16
	region uint16
	reason Reason
	panic  bool
	simple bool
}

func (st *ServiceState) quick() quick {
	if len(st.choices) != 1 || len(st.choices[0].sets) != 1 { // who has one set gives it to all
		return quick{st: st}
	}
	set := &st.choices[0].sets[0]
	return quick{st, set, set.ttl, set.pool, set.region, set.reason, set.panic, true}
}

// decide is Decide for services that look at the client.
func (s *Snapshot) decide(q Query) Decision {
	st := s.quick[q.Service].st
	ch := &st.choices[0]
	scoped := false
	if len(st.choices) > 1 {
		ch = s.chooseClass(st, q)
		scoped = st.nearest
	}
	if len(ch.sets) == 0 {
		return Decision{State: st, Pool: -1, Refuse: ch.refuse, NoData: ch.nodata, Reason: st.Reason, Panic: true, TTL: 1, set: &nothing}
	}
	set := &ch.sets[0]
	if len(ch.sets) > 1 {
		set, scoped = s.chooseSet(ch, q), true
	}
	return Decision{
		State: st, Pool: set.pool, Region: set.region, Reason: set.reason, Panic: set.panic,
		TTL: lessRandom(set.ttl, q.Seed), Scoped: scoped, v6: q.V6, set: set, seed: q.Seed,
	}
}

// chooseClass finds the choice of the client's location class and family.
func (s *Snapshot) chooseClass(st *ServiceState, q Query) *choice {
	per, class := 1, 0
	if s.Plan.Services[q.Service].Separate {
		per = 2
	}
	if st.nearest && s.Plan.Clients != nil {
		if home, ok := s.Plan.Clients.Lookup(q.Client); ok {
			class = 1 + int(home)
		}
	}
	i := class * per
	if per == 2 && q.V6 {
		i++
	}
	return &st.choices[i]
}

func (s *Snapshot) chooseSet(ch *choice, q Query) *set {
	if ch.drawn && len(ch.sets) > 0 {
		return s.chooseWeighted(ch, q)
	}
	for i := range ch.sets {
		if s.inside(&ch.sets[i], q) {
			return &ch.sets[i]
		}
	}
	return &ch.sets[len(ch.sets)-1]
}

func (s *Snapshot) chooseWeighted(ch *choice, q Query) *set {
	minute := q.Minute
	if s.Plan.Services[q.Service].Sticky {
		minute = 0
	}
	h := mix(ClientHash(q.Client) ^ mix(uint64(q.Service)+1) ^ uint64(minute)<<32)
	if chosen := pick(ch.sets, 0, h); s.inside(chosen, q) || ch.sets[len(ch.sets)-1].sums[1] == 0 {
		return chosen
	}
	return pick(ch.sets, 1, mix(h))
}

// pick draws one of the sets by weight.
func pick(sets []set, sum int, h uint64) *set {
	last := &sets[len(sets)-1]
	at := uint32(reduce(h, uint64(last.sums[sum])))
	for i := range sets {
		if at < sets[i].sums[sum] {
			return &sets[i]
		}
	}
	return last
}

// inside reports whether the client belongs to the share of the clients that a
// ramp lets in. The same clients are let in by all services of a region, and
// those of a smaller share are among those of a larger one.
func (s *Snapshot) inside(set *set, q Query) bool {
	if set.share >= 100 {
		return true
	}
	h := ClientHash(q.Client) ^ s.salts[set.region]
	if q.Spread {
		h = q.Seed ^ 0x517c
	}
	return reduce(mix(h), 100) < uint64(set.share)
}

// salts make each failback of a region let in other clients.
func salts(p *Plan, regions []RegionState) []uint64 {
	out := make([]uint64, len(regions))
	for r := range regions {
		h := uint64(fnvOffset)
		for i := range len(p.Regions[r].Name) {
			h = (h ^ uint64(p.Regions[r].Name[i])) * fnvPrime
		}
		out[r] = mix(h + uint64(regions[r].Number))
	}
	return out
}

// ClientHash hashes a client: IPv4 whole, IPv6 by its /56, the prefix that one
// customer has at most.
func ClientHash(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return mix(uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]))
	}
	b := a.As16()
	var h uint64
	for _, c := range b[:7] {
		h = h<<8 | uint64(c)
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// lessRandom takes 0 to 20 % off a TTL, so that caches do not expire together.
func lessRandom(ttl uint32, seed uint64) uint32 {
	return ttl - uint32(reduce(mix(seed), uint64(ttl/5)+1))
}
