package steer

import "testing"

// TestInvariant holds that the promise which other tests hold snapshots against is one that
// can be broken, and that who is excused from it is.
func TestInvariant(t *testing.T) {
	worse := []choice{{sets: []set{{pool: 0, share: 100}}}}
	pools := []PoolState{{Standing: Held}, {Standing: Ready}}
	nothing := []PoolState{{Standing: None}}
	for name, c := range map[string]struct {
		st     ServiceState
		broken bool
	}{
		"a worse pool is answered": {ServiceState{Pools: pools, choices: worse}, true},
		"frozen at it":             {ServiceState{Pools: pools, choices: worse, Frozen: true}, false},
		"observing":                {ServiceState{Pools: pools, choices: worse, Reason: ReasonObserve}, false},
		"of one family":            {ServiceState{Pools: pools, choices: worse, separate: true}, false},
		"only to some":             {ServiceState{Pools: pools, choices: []choice{{sets: []set{{pool: 0, share: 10}, {pool: 1, share: 100}}}}}, false},
		"the better one":           {ServiceState{Pools: pools, choices: []choice{{sets: []set{{pool: 1, share: 100}}}}}, false},
		"half a step better":       {ServiceState{Pools: []PoolState{{Standing: Ready - half}, {Standing: Ready}}, choices: worse}, false},
		"several":                  {ServiceState{Pools: pools, choices: []choice{{sets: []set{{pool: -1, share: 100}}}}}, false},
		"no addresses":             {ServiceState{Pools: pools, choices: []choice{{}}}, true},
		"refused":                  {ServiceState{Pools: pools, choices: []choice{{refuse: true}}}, false},
		"there are none":           {ServiceState{Pools: nothing, choices: []choice{{}}}, false},
	} {
		if err := c.st.Invariant(); (err != nil) != c.broken {
			t.Errorf("%s: %v", name, err)
		}
	}
}
