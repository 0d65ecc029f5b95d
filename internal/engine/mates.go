package engine

import (
	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/share"
)

// Keeper returns where guards keep names in common, nil if this resolver shares
// with nobody, or where it does holds no such thing.
func (e *Engine) Keeper() share.Keeper {
	if e.sharing == nil {
		return nil
	}
	k, _ := e.sharing.share.(share.Keeper)
	return k
}

// Self returns this observer's name.
func (e *Engine) Self() string { return e.meets.name }

// Mates returns the observers of this one's zone that are heard now. It waits for
// the loop.
func (e *Engine) Mates() (names []string) {
	_ = e.Do(func(c *Core) { // a closed engine has none
		n := c.council
		if n == nil || n.contact != agree.Agreeing {
			return
		}
		for _, o := range n.others {
			if o.Zone == n.zone && !o.Braked && !o.muted {
				names = append(names, o.Observer)
			}
		}
	})
	return names
}
