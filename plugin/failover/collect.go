package failover

import (
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// everyService stands for a service's name where series are summed up.
const everyService = "all"

// collect adds the samples of one engine.
func (s *shared) collect(all *scrape) {
	e, pub := s.engine(), s.load()
	summed := len(pub.Plan.Steer.Services) > pub.Plan.Config.Metrics.Services
	count := e.Tally()
	s.collectAnswers(all, pub, summed)
	s.moves.collect(all, count.Moves, summed)
	collectServices(all, pub, summed)
	if !summed {
		collectEndpoints(all, pub)
	}
	collectRegions(all, pub)
	collectHands(all, e)
	collectResolver(all, e, pub)
	collectSharing(all, e)
	collectCatalogs(all, e)
	collectTally(all, &count)
	all.merge(sum, questionsWaiting, float64(s.door.waiting.Load()))
	all.merge(sum, questionsRefused, float64(s.door.refused.Load()))
	all.merge(sum, clientsRefused, float64(s.strange.n.Load()))
	all.merge(sum, rebindsBlocked, float64(s.rebinds.Load()))
}

func (s *shared) collectAnswers(all *scrape, pub *engine.Published, summed bool) {
	if summed {
		for region, n := range s.ledger.sums() {
			for r, v := range n {
				addAnswers(all, v, everyService, region, r)
			}
		}
		return
	}
	for _, o := range s.recount(pub).owned {
		for r := range o.n {
			addAnswers(all, o.n[r].Load(), o.service, o.region, r)
		}
	}
}

func addAnswers(all *scrape, n uint64, service, region string, reason int) {
	if n > 0 {
		all.merge(sum, answersTotal, float64(n), service, region, steer.Reason(reason).String())
	}
}

// moves adds up the moves of all services, and keeps those of services that are
// no more: a sum must not go back.
type moves struct {
	mu   sync.Mutex // guards what follows
	last map[engine.Moved]uint64
	sums map[engine.Moved]uint64 // without the service
}

func (m *moves) collect(all *scrape, now map[engine.Moved]uint64, summed bool) {
	m.add(now)
	if summed {
		m.mu.Lock()
		now = maps.Clone(m.sums)
		m.mu.Unlock()
	}
	for k, n := range now {
		if summed {
			k.Service = everyService
		}
		all.merge(sum, movesTotal, float64(n), k.Service, k.From, k.To, k.Why)
	}
}

func (m *moves) add(now map[engine.Moved]uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums == nil {
		m.sums = map[engine.Moved]uint64{}
	}
	for k, n := range now {
		if was := m.last[k]; was <= n {
			n -= was
		}
		k.Service = ""
		m.sums[k] += n
	}
	m.last = now
}

// collectServices adds what is said of services. Summed up, a number of services
// stands where else there is a flag, and of ranks and numbers the worst.
func collectServices(all *scrape, pub *engine.Published, summed bool) {
	p := pub.Plan.Steer
	for i := range p.Services {
		s, st := &p.Services[i], pub.State(int32(i))
		name, flags := strings.TrimSuffix(s.Name, "."), math.Max
		if summed {
			name, flags = everyService, sum
		}
		all.merge(flags, servicePanic, flag(st.Panic), name)
		all.merge(flags, onlyDrained, flag(st.DrainHid), name)
		if severalRegions(s) {
			all.merge(math.Min, serviceBackups, float64(st.Backups), name)
		}
		for n := range s.Pools {
			r := s.Pools[n].Region
			all.merge(math.Min, serviceStanding, rank(bestIn(s, st, r)), name, p.Regions[r].Name)
		}
	}
}

// severalRegions reports whether a service could have a backup.
func severalRegions(s *steer.Service) bool {
	for n := range s.Pools {
		if s.Pools[n].Region != s.Pools[0].Region {
			return true
		}
	}
	return false
}

// bestIn is the best standing of a service's pools in a region.
func bestIn(s *steer.Service, st *steer.ServiceState, region int) steer.Standing {
	best := steer.None
	for n := range s.Pools {
		if s.Pools[n].Region == region {
			best = max(best, st.Pools[n].Standing)
		}
	}
	return best
}

// rank writes a standing as a number in which the named ones are whole, but for
// the reserve between dark and sick.
func rank(s steer.Standing) float64 { return float64(s) / float64(steer.Dark) }

// collectEndpoints adds the endpoints that are not ready. In a fault that takes
// everything they are many, so there is a bound: the first ones of the file.
func collectEndpoints(all *scrape, pub *engine.Published) {
	left := pub.Plan.Config.Metrics.Services
	for i := range pub.Plan.Steer.Services {
		for n := range pub.Plan.Steer.Services[i].Pools {
			left = collectPool(all, pub, int32(i), n, left)
		}
	}
}

// collectPool adds at most left endpoints of a pool and returns how many more may
// follow.
func collectPool(all *scrape, pub *engine.Published, i int32, n, left int) int {
	s, ends := &pub.Plan.Steer.Services[i], pub.State(i).Pools[n].Ends
	name, region := strings.TrimSuffix(s.Name, "."), pub.Plan.Steer.Regions[s.Pools[n].Region].Name
	for e := range ends {
		if left > 0 && ends[e].Standing != steer.Ready && ends[e].Why != steer.WhyDisabled {
			all.merge(math.Min, endpointStood, rank(ends[e].Standing), name, region, s.Pools[n].Endpoints[e].Label)
			left--
		}
	}
	return left
}

func collectRegions(all *scrape, pub *engine.Published) {
	p := pub.Plan.Steer
	share := make([]int, len(p.Regions))
	for r := range share {
		share[r] = 100
	}
	for i := range p.Services {
		st := pub.State(int32(i))
		for n := range st.Pools {
			r := p.Services[i].Pools[n].Region
			share[r] = min(share[r], st.Pools[n].Share)
		}
	}
	for r := range p.Regions {
		name, st := p.Regions[r].Name, &pub.Regions[r]
		all.merge(math.Max, regionVerdict, flag(st.Down), name)
		all.merge(math.Max, regionRatio, float64(st.Evidence)/float64(max(1, st.Could)), name)
		all.merge(math.Min, rampShare, float64(share[r]), name)
	}
}

func collectHands(all *scrape, e *engine.Engine) {
	overrides, freezes := e.Hands()
	all.merge(math.Max, frozen, flag(len(freezes) > 0))
	now := time.Now()
	left := map[[2]string]float64{}
	for _, o := range overrides {
		seconds := math.Inf(1)
		if !o.Until.IsZero() {
			seconds = o.Until.Sub(now).Seconds()
		}
		k := [2]string{people(o.Target), o.Kind.String()}
		left[k] = max(left[k], seconds) // of two with one target the longer one counts
	}
	for k, v := range left {
		all.merge(math.Min, overrideLeft, v, k[0], k[1])
	}
}

// people writes a target without the last dot of its service.
func people(target string) string {
	return strings.Replace(strings.TrimSuffix(target, "."), "./", "/", 1)
}

func collectResolver(all *scrape, e *engine.Engine, pub *engine.Published) {
	now := e.Summary()
	for v, n := range now.Verdicts {
		all.merge(sum, checksVerdict, float64(n), v)
	}
	all.merge(math.Max, brakeOn, flag(now.Brake.On))
	all.merge(sum, brakeFired, float64(now.Brake.Fired))
	all.merge(math.Min, reloadOK, flag(now.Reload.OK))
	all.merge(math.Min, stateKept, flag(now.StateLost == ""))
	all.merge(sum, stateErrors, float64(now.StateErrors))
	all.merge(sum, probesOverdue, float64(e.Stats().Overdue))
	all.merge(sum, selfFailing, float64(now.SelfFailing))
	all.merge(mingle, decisionHash, float64(pub.Hash()>>16))
	if h, err := strconv.ParseUint(pub.Plan.Config.Hash[:12], 16, 64); err == nil {
		all.merge(mingle, configHash, float64(h))
	}
}

// collectSharing counts the observers. A resolver that shares with nobody has none.
func collectSharing(all *scrape, e *engine.Engine) {
	now, ok := e.Sharing()
	if !ok || len(now.Observers) == 0 {
		return
	}
	states := map[string]int{"heard": 0, "braked": 0, "other_checks": 0}
	for _, o := range now.Observers {
		switch {
		case o.Braked:
			states["braked"]++
		case !o.Alike:
			states["other_checks"]++
		default:
			states["heard"]++
		}
	}
	for state, n := range states {
		all.merge(sum, observers, float64(n), state)
	}
	age := math.Inf(1)
	if !now.Heard.IsZero() {
		age = time.Since(now.Heard).Seconds()
	}
	all.merge(math.Max, shareAge, age)
	all.merge(sum, disagree, float64(now.Apart))
	collectDivision(all, &now.Observers[0])
}

// collectDivision counts the checks that this resolver probes itself.
func collectDivision(all *scrape, self *engine.Seen) {
	mine := self.Assigned
	if mine < 0 {
		mine = self.Common
	}
	all.merge(sum, checksBy, float64(mine), "self")
	all.merge(sum, checksBy, float64(self.Common-mine), "others")
}

func collectCatalogs(all *scrape, e *engine.Engine) {
	for _, l := range e.Listings() {
		age := math.Inf(1)
		if !l.At.IsZero() {
			age = time.Since(l.At).Seconds()
		}
		all.merge(math.Max, catalogAge, age)
		all.merge(sum, catalogIgnored, float64(l.Ignored))
	}
}

func collectTally(all *scrape, t *engine.Tally) {
	for why, n := range t.Refused {
		all.merge(sum, refusedTotal, float64(n), why)
	}
	for kind, h := range t.Probes {
		all.addHistogram(probeDuration, h, kind)
	}
	if t.Builds.Count > 0 {
		all.addHistogram(buildDuration, t.Builds)
	}
}
