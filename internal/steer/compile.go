package steer

import "net/netip"

// compiler turns the ranks of one service's pools into answers.
type compiler struct {
	b     *build
	i     int32
	s     *Service
	st    *ServiceState
	ranks []rank
	room  []set // in the block of the service's state, see takeRoom
	ttl   uint32
	ideal bool // mode observe: every endpoint that is not drained is as good as any
}

// reason says why the service answers what it answers.
func (c *compiler) reason(ranks []rank) {
	switch {
	case c.st.Frozen:
		c.st.Reason = ReasonFrozen
	case bestOutside(ranks).Panic():
		c.st.Reason = ReasonPanic
	case c.anyShare():
		c.st.Reason = ReasonRamp
	case c.st.Memory.Used != c.b.plan.usual[c.i]:
		c.st.Reason = ReasonMoved
	default:
		c.st.Reason = ReasonPolicy
	}
}

// configured ranks the pools as the file orders them, with nothing wrong.
func configured(s *Service) []rank {
	out := make([]rank, len(s.Pools))
	for p := range s.Pools {
		out[p] = rank{share: 100}
		for e := range s.Pools[p].Endpoints {
			if s.Pools[p].Endpoints[e].Enabled {
				out[p].outside, out[p].inside = Ready, Ready
			}
		}
	}
	return out
}

func (c *compiler) anyShare() bool {
	for _, r := range c.ranks {
		if r.share > 0 && r.share < 100 {
			return true
		}
	}
	return false
}

// choice compiles what one location class gets, for one family or both (0).
func (c *compiler) choice(order []int, fam uint8) choice {
	if !c.addressed() {
		return choice{refuse: true, bare: true} // saying "no such data" would be cached, and be a lie
	}
	ranks := c.familyRanks(fam)
	best := bestOutside(ranks)
	if best == None && !bestOutside(c.ranks).Panic() { // nobody has this family, and all is well
		return choice{sets: append(c.takeRoom(), set{pool: -1, share: 100, reason: c.st.Reason, ttl: c.ttl})}
	}
	if best.Panic() && !c.ideal && !c.st.Frozen {
		if ch, ok := c.lastResort(fam); ok {
			return ch
		}
	}
	out := outsiders(c.s, ranks, order)
	in := insiders(c.s, ranks, order, out)
	switch c.s.Policy {
	case All:
		return c.together(in, out, fam)
	case Weighted:
		return c.weighted(in, out, fam)
	case Failover, Nearest:
	}
	ch := choice{sets: c.takeRoom()}
	for _, p := range append(in, out...) {
		ch.sets = append(ch.sets, c.set([]int{p}, fam, c.shareOf(p, in)))
	}
	return ch
}

// takeRoom returns where the first choice's sets go, and nil for later choices.
func (c *compiler) takeRoom() []set {
	room := c.room
	c.room = nil
	return room
}

// addressed reports whether any address may be answered: names that were never
// resolved have none, and drained endpoints do not count.
func (c *compiler) addressed() bool {
	if c.s.LastResort.Mode == ResortAddrs {
		return true
	}
	for p := range c.s.Pools {
		for e := range c.s.Pools[p].Endpoints {
			if len(c.s.Pools[p].Endpoints[e].Addrs) > 0 && c.standing(p, e) != None {
				return true
			}
		}
	}
	return false
}

func (c *compiler) shareOf(p int, in []int) int {
	for _, q := range in {
		if p == q {
			return c.ranks[p].share
		}
	}
	return 100
}

// familyRanks ranks the pools for one family where A and AAAA may differ.
func (c *compiler) familyRanks(fam uint8) []rank {
	if fam == 0 {
		return c.ranks
	}
	out := make([]rank, len(c.ranks))
	for p := range c.ranks {
		best := None
		for e := range c.s.Pools[p].Endpoints {
			if hasFamily(&c.s.Pools[p].Endpoints[e], fam) {
				best = max(best, c.standing(p, e))
			}
		}
		r := c.ranks[p]
		out[p] = rank{outside: min(best, r.outside), inside: min(best, r.inside), share: r.share}
	}
	return out
}

func hasFamily(e *Endpoint, fam uint8) bool {
	for i := range e.Addrs {
		if e.Addrs[i].IP.Is4() == (fam == 4) {
			return true
		}
	}
	return false
}

// together merges the pools of policy all: those inside a ramp see one more.
func (c *compiler) together(in, out []int, fam uint8) choice {
	ch := choice{sets: c.takeRoom()}
	if len(in) > 0 {
		share := 100
		for _, p := range in {
			share = min(share, c.ranks[p].share)
		}
		ch.sets = append(ch.sets, c.set(append(append([]int(nil), out...), in...), fam, share))
	}
	if len(out) > 0 {
		ch.sets = append(ch.sets, c.set(out, fam, 100))
	}
	return ch
}

func (c *compiler) weighted(in, out []int, fam uint8) choice {
	ch := choice{sets: c.takeRoom(), drawn: true}
	var all, rest uint32
	for _, p := range append(in, out...) {
		s := c.set([]int{p}, fam, c.shareOf(p, in))
		w := c.poolWeight(p)
		all += w
		if s.share == 100 {
			rest += w
		}
		s.sums = [2]uint32{all, rest}
		ch.sets = append(ch.sets, s)
	}
	return ch
}

func (c *compiler) poolWeight(p int) uint32 {
	pool := &c.s.Pools[p]
	if pool.Weight > 0 {
		return uint32(pool.Weight)
	}
	w, best := 0, c.bestIn(p)
	for e := range pool.Endpoints {
		if c.standing(p, e) == best {
			w += pool.Endpoints[e].Weight
		}
	}
	return uint32(max(1, w))
}

// lastResort compiles what a service answers if everything is sick or dark and
// it does not keep to the order.
func (c *compiler) lastResort(fam uint8) (choice, bool) {
	s := set{pool: -1, share: 100, reason: ReasonPanic, panic: true, ttl: c.ttl}
	c.b.scratch.listed()
	switch c.s.LastResort.Mode {
	case ResortNone:
		return choice{refuse: true}, true
	case ResortNoData:
		return choice{refuse: true, nodata: true}, true
	case ResortAddrs:
		c.st.Fixed = true
		for _, ip := range c.s.LastResort.Addrs {
			c.add(ip, weightUnit, endRef{-1, -1}, fam)
		}
	case ResortAll:
		c.addAll(fam)
	case ResortOrder:
		return choice{}, false
	}
	s.close(&c.b.scratch)
	return choice{sets: append(c.takeRoom(), s)}, true
}

func (c *compiler) addAll(fam uint8) {
	for p := range c.s.Pools {
		for e := range c.s.Pools[p].Endpoints {
			if c.standing(p, e) > None {
				c.st.From |= 1 << p
				c.addEndpoint(p, e, fam, false)
			}
		}
	}
}

// standing is the endpoint's, as this compiler sees it.
func (c *compiler) standing(p, e int) Standing {
	s := c.st.Pools[p].Ends[e].Standing
	if c.ideal && s != None {
		return Ready
	}
	return s
}

func (c *compiler) bestIn(p int) Standing {
	best := None
	for e := range c.st.Pools[p].Ends {
		best = max(best, c.standing(p, e))
	}
	return best
}

// set gathers the endpoints of the best standing in each of the pools.
func (c *compiler) set(pools []int, fam uint8, share int) set {
	s := set{pool: -1, share: uint8(share), reason: c.st.Reason, ttl: c.ttl}
	if len(pools) == 1 {
		s.pool = int16(pools[0])
	}
	s.region = uint16(c.s.Pools[pools[len(pools)-1]].Region)
	c.b.scratch.listed()
	for _, p := range pools {
		best := c.bestOfFamily(p, fam)
		s.panic = s.panic || best.Panic() && !c.ideal
		if best != None {
			c.from(p, share)
			c.addBest(p, best, fam)
		}
	}
	if s.panic {
		s.ttl = seconds(c.s.Changing) // under a freeze too
	}
	s.close(&c.b.scratch)
	return s
}

// from notes that clients are answered from pool p.
func (c *compiler) from(p, share int) {
	if share < 100 {
		c.st.Ramps |= 1 << p
	} else {
		c.st.From |= 1 << p
	}
}

// addBest adds the endpoints of pool p that stand best.
func (c *compiler) addBest(p int, best Standing, fam uint8) {
	for e := range c.s.Pools[p].Endpoints {
		if c.standing(p, e) == best {
			c.addEndpoint(p, e, fam, !c.ideal)
		}
	}
}

func (c *compiler) bestOfFamily(p int, fam uint8) Standing {
	if fam == 0 {
		return c.bestIn(p)
	}
	best := None
	for e := range c.s.Pools[p].Endpoints {
		if hasFamily(&c.s.Pools[p].Endpoints[e], fam) {
			best = max(best, c.standing(p, e))
		}
	}
	return best
}

// addEndpoint adds the endpoint's addresses; of a name's only the best ones, or
// in mode observe those that it has now.
func (c *compiler) addEndpoint(p, e int, fam uint8, bestOnly bool) {
	end := &c.s.Pools[p].Endpoints[e]
	use := c.b.scratch.use[:0]
	for i := range end.Addrs {
		a := &end.Addrs[i]
		switch {
		case len(end.Addrs) == 1:
		case c.ideal && a.Old:
			continue
		case bestOnly && a.rank(c.b.addrView(a)) != c.st.Pools[p].Ends[e].best:
			continue
		}
		use = append(use, a.IP)
	}
	c.b.scratch.use = use
	for _, ip := range use {
		c.add(ip, uint32(max(1, end.Weight*weightUnit/len(use))), endRef{int16(p), int16(e)}, fam)
	}
}

// add gathers an address for the set that is being made.
func (c *compiler) add(ip netip.Addr, weight uint32, ref endRef, fam uint8) {
	r := &c.b.scratch
	switch four := ip.Is4(); {
	case four && fam != 6:
		r.v4 = append(r.v4, listed{ip, weight, ref})
	case !four && fam != 4:
		r.v6 = append(r.v6, listed{ip, weight, ref})
	}
}

// close takes over what was gathered, both families in one block.
func (s *set) close(r *scratch) {
	n := len(r.v4)
	of := append(append(make([]listed, 0, n+len(r.v6)), r.v4...), r.v6...)
	s.v4, s.v6 = newList(of[:n:n]), newList(of[n:])
}

func newList(of []listed) list {
	l := list{of: of, even: true}
	for i := range of {
		l.total += of[i].weight
		l.even = l.even && of[i].weight == of[0].weight
	}
	return l
}
