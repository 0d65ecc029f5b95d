package consul

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/share"
)

// The pace of uses: only a resolver that starts, and services that wait for an
// operator, look at them.
const (
	usesApart   = 5 * time.Second // from one read's start to the next
	useWrites   = 2 * time.Second // from one write to the next
	useAgain    = 30 * time.Second
	maxUse      = 256 << 10
	maxPools    = 64
	maxUsedBy   = 20_000 // services
	maxReturns  = 32_768 // pools of those of which one returns
	maxEjection = 1000
)

// usage is the value under use/. Seq grows with each change of it.
type usage struct {
	Boot string     `json:"boot"`
	Seq  uint64     `json:"seq"`
	As   []useGroup `json:"as,omitempty"`
}

// useGroup is services whose pools stand alike. Pools are numbers of Regions.
type useGroup struct {
	Regions   []string `json:"regions"`
	Used      []int    `json:"used,omitempty"`
	Out       []int    `json:"out,omitempty"`
	Returning []int    `json:"returning,omitempty"`
	Ejections []int    `json:"ejections,omitempty"` // of those that return
	Services  packed   `json:"services"`
	Ages      []int64  `json:"ages,omitempty"` // seconds: of each service, of each pool that returns
}

// wantedUse is what the stores are to hold of what this observer uses.
type wantedUse struct {
	value usage
	at    time.Time // when it was said: its ages are of then
	mark  []byte    // it with coarse ages
}

// writtenUse is what became of writing that. Share.mu guards it.
type writtenUse struct {
	seq    uint64 // 0: it is to be written
	bytes  []byte
	at     time.Time
	failed bool
}

// Use implements share.Share.
func (s *Share) Use(u share.Use) error {
	value := groupUse(&u)
	text, err := json.Marshal(value.withAges(func(age int64) int64 { return age / int64(share.UseAgain/time.Second) }))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.using.mark != nil && bytes.Equal(s.using.mark, text) {
		return nil
	}
	value.Seq = s.using.value.Seq + 1
	s.using = wantedUse{value, time.Now(), text}
	for _, st := range s.stores {
		st.wakeUse()
	}
	return nil
}

// withAges returns a copy with other ages.
func (v *usage) withAges(f func(age int64) int64) usage {
	out := *v
	out.As = slices.Clone(v.As)
	for i := range out.As {
		ages := slices.Clone(out.As[i].Ages)
		for j := range ages {
			ages[j] = f(ages[j])
		}
		out.As[i].Ages = ages
	}
	return out
}

// groupUse orders what is used, so that equal uses are equal bytes. What is too much
// to be written is left out: of it this observer says nothing.
func groupUse(u *share.Use) usage {
	out := usage{Boot: u.Boot}
	groups := map[string]*useGroup{}
	size, returns := 0, 0
	for _, s := range u.Services {
		g, ages := groupOf(s.Pools)
		text, _ := json.Marshal(g) // of strings and numbers
		key := string(text)
		at, known := groups[key]
		if size += 12 + 8*len(ages); !known {
			size += len(key) + 64
			at = &g
		}
		returns += len(s.Pools) * min(len(ages), 1)
		if size > maxUse*3/4 || returns > maxReturns {
			break
		}
		groups[key] = at
		at.Services, at.Ages = append(at.Services, s.ID), append(at.Ages, ages...)
	}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		out.As = append(out.As, *groups[key])
	}
	return out
}

// groupOf returns the group of a service, without services, and its ages.
func groupOf(pools []share.PoolUse) (g useGroup, ages []int64) {
	for i := range pools {
		g.add(i, &pools[i])
		if pools[i].Returning {
			ages = append(ages, int64(max(0, pools[i].Age)/time.Second))
		}
	}
	return g, ages
}

func (g *useGroup) add(i int, p *share.PoolUse) {
	g.Regions = append(g.Regions, p.Name)
	if p.Used {
		g.Used = append(g.Used, i)
	}
	if p.Out {
		g.Out = append(g.Out, i)
	}
	if p.Returning {
		g.Returning, g.Ejections = append(g.Returning, i), append(g.Ejections, p.Ejections)
	}
}

// encode returns the value as it is now: its ages grow.
func (w *wantedUse) encode(now time.Time) []byte {
	since := int64(now.Sub(w.at) / time.Second)
	out, _ := json.Marshal(w.value.withAges(func(age int64) int64 { return age + since })) // of strings and numbers
	return out
}

// keepUse writes what this observer uses, until Close.
func (st *store) keepUse() {
	tick := time.NewTicker(useAgain)
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-st.useKick:
		case <-tick.C:
		case <-st.s.ctx.Done():
			return
		}
		if err := st.writeUse(); err == nil {
			failures = 0
		} else {
			failures++
		}
		if !st.pause(useWrites, failures) {
			return
		}
	}
}

var errNoSession = errors.New("no session yet")

// writeUse writes what differs from what the store holds. It writes only while the
// session holds this observer's other keys: of two with one name one speaks.
func (st *store) writeUse() error {
	st.s.mu.Lock()
	want, was, holds := st.s.using, st.usedAs, st.written.err == nil && st.written.session != ""
	st.s.mu.Unlock()
	if want.mark == nil || was.seq == want.value.Seq {
		return nil
	}
	if !holds {
		st.wakeUse()
		return errNoSession
	}
	value := want.encode(time.Now())
	err := st.use(st.s.ctx, writeTimeout, func(ctx context.Context, c *api.Client) error {
		_, err := c.KV().Put(&api.KVPair{Key: st.s.keys.use(st.s.o.Zone, st.s.o.Observer), Value: value}, (&api.WriteOptions{}).WithContext(ctx))
		return err
	})
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	st.usedAs.at = time.Now()
	switch {
	case err == nil:
		st.usedAs.seq, st.usedAs.bytes, st.usedAs.failed = want.value.Seq, value, false
		st.writes.Add(1)
	case !st.usedAs.failed && st.s.ctx.Err() == nil:
		st.usedAs.failed = true
		st.log.Warn("which pools are in use here is not written for the other resolvers: one that starts may choose others", "error", err)
	}
	if err != nil {
		st.wakeUse()
	}
	return err
}

func (st *store) wakeUse() {
	select {
	case st.useKick <- struct{}{}:
	default:
	}
}

// verifyUse has written again what is not in the store any more. The caller holds
// Share.mu.
func (st *store) verifyUse(began time.Time, pair *api.KVPair) {
	w := &st.usedAs
	if w.seq == 0 || began.Sub(w.at) < settled || pair != nil && bytes.Equal(pair.Value, w.bytes) {
		return
	}
	w.seq = 0
	st.wakeUse()
}

// Uses implements share.Share. Of an observer that several stores know, the word of
// the start that is alive counts, and of that the last.
func (s *Share) Uses(ctx context.Context) ([]share.Use, error) {
	s.usage.start()
	return await(ctx, s, s.uses)
}

// uses is one look at what was read. The caller holds the lock.
func (s *Share) uses(time.Time) (out []share.Use, done bool, err error) {
	if !s.healthy(inUse) {
		done, err = s.failed(&s.usedBy, inUse)
		return nil, done, err
	}
	if !s.anew(&s.usedBy, inUse) {
		return nil, false, nil
	}
	s.usedBy.good = s.reads()
	best := map[string]*usage{}
	for _, st := range s.stores {
		for m, e := range st.parts[inUse].entries {
			if old := best[m]; old == nil || s.council.prefers(m, e.use, old) {
				best[m] = e.use
			}
		}
	}
	for _, m := range slices.Sorted(maps.Keys(best)) {
		zone, observer, _ := parseMember(m)
		out = append(out, best[m].ungroup(zone, observer))
	}
	return out, true, nil
}

// prefers reports whether an observer's word a counts rather than b.
func (c *council) prefers(member string, a, b *usage) bool {
	if a.Boot == b.Boot {
		return a.Seq > b.Seq
	}
	p := c.known[member]
	if p == nil {
		return false
	}
	l := latest(p.lives)
	return l != nil && l == p.lives[a.Boot]
}

// ungroup undoes groupUse. Services that stand alike share their pools, which must not
// be changed: a small value may give many of them to many.
func (v *usage) ungroup(zone, observer string) share.Use {
	u := share.Use{Observer: observer, Zone: zone, Boot: v.Boot}
	for i := range v.As {
		g := &v.As[i]
		alike := g.pools()
		for n, id := range g.Services {
			u.Services = append(u.Services, share.ServiceUse{ID: id, Pools: g.aged(alike, n)})
		}
	}
	slices.SortFunc(u.Services, func(a, b share.ServiceUse) int { return cmp.Compare(a.ID, b.ID) })
	return u
}

// pools returns how the pools of a group stand, without ages.
func (g *useGroup) pools() []share.PoolUse {
	out := make([]share.PoolUse, len(g.Regions))
	for p := range out {
		out[p] = share.PoolUse{Name: g.Regions[p], Used: slices.Contains(g.Used, p), Out: slices.Contains(g.Out, p)}
		if at := slices.Index(g.Returning, p); at >= 0 {
			out[p].Returning, out[p].Ejections = true, g.Ejections[at]
		}
	}
	return out
}

// aged returns pools with the ages of service n of the group.
func (g *useGroup) aged(pools []share.PoolUse, n int) []share.PoolUse {
	if len(g.Returning) == 0 {
		return pools
	}
	pools = slices.Clone(pools)
	for at, p := range g.Returning {
		pools[p].Age = time.Duration(g.Ages[n*len(g.Returning)+at]) * time.Second
	}
	return pools
}

// decodeUsage trusts nothing.
func decodeUsage(value []byte) (v usage, err error) {
	if err = decode(value, maxUse, &v); err != nil {
		return v, err
	}
	bad, services, returns := v.Boot == "" || !plain(v.Boot), 0, 0
	for i := range v.As {
		services += len(v.As[i].Services)
		returns += v.As[i].apart()
		bad = bad || len(v.As[i].Services) == 0 || v.As[i].bad()
	}
	if bad || services > maxUsedBy || returns > maxReturns {
		err = errors.New("not what an observer uses")
	}
	return v, err
}

// apart is how many pools a reader must tell apart: those of services that differ in ages.
func (g *useGroup) apart() int {
	if len(g.Returning) == 0 {
		return 0
	}
	return len(g.Services) * len(g.Regions)
}

func (g *useGroup) bad() bool {
	return len(g.Regions) > maxPools || len(g.Ejections) != len(g.Returning) || len(g.Ages) != len(g.Services)*len(g.Returning) ||
		slices.ContainsFunc(g.Regions, func(r string) bool { return r == "" || !plain(r) }) ||
		slices.ContainsFunc([][]int{g.Used, g.Out, g.Returning}, g.strange) ||
		slices.ContainsFunc(g.Ages, func(a int64) bool { return a < 0 || a > maxAge }) ||
		slices.ContainsFunc(g.Ejections, func(n int) bool { return n < 0 || n > maxEjection })
}

// strange reports whether a list of pools names any that are not there.
func (g *useGroup) strange(pools []int) bool {
	return len(pools) > len(g.Regions) || slices.ContainsFunc(pools, func(p int) bool { return p < 0 || p >= len(g.Regions) })
}
