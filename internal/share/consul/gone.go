package consul

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// What an observer uses and keeps outlives it, so that those who start after all have
// stopped find it. Pods have another name after each restart: what they leave behind
// would grow for ever, and those who read it would have no room for the living.
const (
	clearEvery = 10 * time.Minute
	goneLong   = 24 * time.Hour // by the clock of the one who clears up
	goneShort  = time.Hour      // where a zone has more than half of what is read
	manyGone   = maxObservers / 2
)

// gone is who of this zone has been without a session, and since when it was seen so.
type gone map[string]time.Time

// look notes who is gone, and returns those whose time is over: the longest gone come
// first. names are those who left something, of whom some live.
func (g gone) look(names, living map[string]bool, now time.Time) (over []string) {
	maps.DeleteFunc(g, func(name string, _ time.Time) bool { return !names[name] || living[name] })
	patience := goneLong
	if len(names) > manyGone {
		patience = goneShort
	}
	for name := range names {
		if living[name] {
			continue
		}
		if _, known := g[name]; !known {
			g[name] = now
		}
		if now.Sub(g[name]) >= patience {
			over = append(over, name)
		}
	}
	slices.SortFunc(over, func(a, b string) int { return g[a].Compare(g[b]) })
	return over
}

// clearUp deletes what observers of this zone left behind that are gone for long,
// until Close. A token that may write for its own observer only cannot, and need not:
// such observers keep their names.
func (st *store) clearUp() {
	tick := time.NewTicker(clearEvery)
	defer tick.Stop()
	for g := (gone{}); ; {
		select {
		case <-tick.C:
		case <-st.s.ctx.Done():
			return
		}
		if !st.speaks() {
			clear(g) // what this one saw is not what was
			continue
		}
		if !st.clearOf(g) {
			return
		}
	}
}

// clearOf deletes what those left behind that are gone for long, and reports whether
// this one may.
func (st *store) clearOf(g gone) (may bool) {
	names, living, err := st.left()
	if err != nil {
		return true // the readers tell
	}
	for _, name := range g.look(names, living, time.Now()) {
		done, err := st.forget(name)
		switch {
		case errors.Is(err, ErrDenied):
			st.log.Debug("what an observer left behind cannot be deleted", "observer", name, "error", err)
			return false
		case err != nil:
			return true // the next look finds it again
		case done:
			st.log.Info("what an observer left behind is deleted: it has been gone for long", "observer", name)
		}
	}
	return true
}

// speaks reports whether this observer holds its session here and has said what it
// uses: the zone is not left without a word then.
func (st *store) speaks() bool {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	return st.written.err == nil && st.written.session != "" && st.usedAs.seq != 0
}

// left returns the observers of this zone who have left something, and those who
// live.
func (st *store) left() (names, living map[string]bool, err error) {
	if living, err = st.namesUnder("who/"); err == nil {
		names, err = st.namesUnder("use/")
	}
	if err != nil {
		return nil, nil, err
	}
	keepers, err := st.namesUnder("kept/")
	maps.Copy(names, keepers)
	return names, living, err
}

// namesUnder returns the observers of this zone who have something under a prefix.
func (st *store) namesUnder(prefix string) (names map[string]bool, err error) {
	names = map[string]bool{}
	under := st.s.keys.base + prefix
	err = st.use(st.s.ctx, freshLimit, func(ctx context.Context, c *api.Client) error {
		keys, meta, err := c.KV().Keys(under+zoneElement(st.s.o.Zone)+"/", "/", (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, key := range keys {
			if _, name, ok := parseMember(strings.TrimSuffix(strings.TrimPrefix(key, under), "/")); ok {
				names[name] = true
			}
		}
		return trusted(meta)
	})
	return names, err
}

// forget deletes what an observer of this zone left behind, unless it is back.
func (st *store) forget(observer string) (done bool, err error) {
	zone := st.s.o.Zone
	done, why, err := st.commit(st.s.ctx, api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVCheckNotExists, Key: st.s.keys.who(zone, observer)}},
		{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: st.s.keys.use(zone, observer)}},
		{KV: &api.KVTxnOp{Verb: api.KVDeleteTree, Key: st.s.keys.keptBy(zone, observer)}},
	})
	if strings.Contains(why, denied) {
		err = ErrDenied
	}
	return done, err
}
