package steer

import "fmt"

// Invariant reports a broken promise of the service's compiled answers: that an
// endpoint of lower standing is never answered while a higher one exists, and
// that a service with any enabled endpoint has an answer. Tests hold every
// snapshot against it.
func (st *ServiceState) Invariant() error {
	if st.Frozen || st.Reason == ReasonObserve || st.separate {
		return nil
	}
	best := None
	for p := range st.Pools {
		best = max(best, full(st.Pools[p].Inside))
	}
	for i := range st.choices {
		ch := &st.choices[i]
		if len(ch.sets) == 0 && !ch.refuse && best != None {
			return fmt.Errorf("choice %d has no addresses although a pool stands at %v", i, best)
		}
		for j := range ch.sets {
			if p := ch.sets[j].pool; p >= 0 && ch.sets[j].share == 100 && full(st.Pools[p].Standing) < st.bestOutside() {
				return fmt.Errorf("pool %d at %v is answered while another stands at %v", p, st.Pools[p].Standing, st.bestOutside())
			}
		}
	}
	return nil
}

func (st *ServiceState) bestOutside() Standing {
	best := None
	for p := range st.Pools {
		best = max(best, full(st.Pools[p].Standing))
	}
	return best
}

// full drops the half step.
func full(s Standing) Standing { return (s + half) / 4 * 4 }
