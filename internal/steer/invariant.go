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
		best = max(best, full(st.Pools[p].Standing))
	}
	for i := range st.choices {
		if err := st.choices[i].invariant(st, best); err != nil {
			return fmt.Errorf("choice %d: %w", i, err)
		}
	}
	return nil
}

func (ch *choice) invariant(st *ServiceState, best Standing) error {
	if len(ch.sets) == 0 && !ch.refuse && best != None {
		return fmt.Errorf("no addresses although a pool stands at %v", best)
	}
	for j := range ch.sets {
		p := ch.sets[j].pool
		if p >= 0 && ch.sets[j].share == 100 && full(st.Pools[p].Standing) < best {
			return fmt.Errorf("pool %d at %v is answered while another stands at %v", p, st.Pools[p].Standing, best)
		}
	}
	return nil
}

// full drops the half step.
func full(s Standing) Standing { return (s + half) / 4 * 4 }
