// Package steer decides which addresses a service answers with.
//
// Build turns a plan, the present verdicts and the previous snapshot into a new
// snapshot; Snapshot.Decide reads it for one query. Both are pure: the time, the
// seed and the client come in as values, so that two resolvers with the same
// inputs publish the same decisions, and a scenario of an hour runs in a test in
// milliseconds.
package steer

import (
	"net/netip"
	"time"

	"github.com/gaissmai/bart"
)

// Plan is what is steered: regions, services, pools, endpoints and the indexes
// of the checks that judge them. It is immutable once Index has been called.
type Plan struct {
	Regions  []Region
	Services []Service
	Limits   Limits
	Clients  *bart.Table[uint16] // client network -> index of its home region; nil if no service is nearest
	Checks   int                 // number of checks; indexes are below it
	Others   []string            // names that exist without being a service's: SRV owners, zones' apexes

	names    map[string]int32 // owner name -> service; ancestor if it only exists
	wild     map[string]int32 // "example.org." -> service "*.example.org."
	byRegion [][]int32        // region -> services with a pool there
	byCheck  [][]int32        // check -> services that it judges
	classes  []uint16         // location classes that some service tells apart
	usual    []uint64         // service -> bit per pool in use if nothing is wrong
}

// Region is a failure domain.
type Region struct {
	Name     string
	Canaries []int32 // checks
	Near     []int   // other regions, nearest first
}

// Limits bounds what automation may do at once.
type Limits struct {
	RegionsOut int // percent of the enabled regions that a region verdict may hold at once; at least one
	MaxAnswers int // addresses in one answer
}

// Service is one owner name, or a wildcard.
type Service struct {
	Name         string // lower case, with last dot
	Except       []string
	Policy       Policy
	Pools        []Pool
	Monitors     string // names of its monitors: evidence must come from different ones
	Observe      bool   // compute everything, answer as if all were healthy
	Separate     bool   // A and AAAA may come from different pools
	Sticky       bool
	SingleWriter bool
	Settled      time.Duration // TTL at rest
	Changing     time.Duration // TTL while the answer may soon change
	HoldDown     HoldDown
	Failback     Failback
	LastResort   LastResort
}

// Policy says how a service chooses among its pools of the best standing.
type Policy uint8

// The policies.
const (
	Failover Policy = iota // the first in order
	Weighted               // by weight, one address per answer
	Nearest                // by place, then the order
	All                    // every one
)

// String returns the policy's name in failover.yaml.
func (p Policy) String() string {
	return [...]string{"failover", "weighted", "nearest", "all"}[p]
}

// Pool is a set of endpoints in one region.
type Pool struct {
	Region     int
	Weight     int  // policy weighted; 0: the sum of its endpoints' weights
	MinHealthy int  // percent
	Late       bool // a catalog listed its region only after it had answered without
	Endpoints  []Endpoint
}

// Endpoint is one address, or one name with the addresses kept for it.
type Endpoint struct {
	Label   string // as written: the address, or the name without its last dot
	Target  string // the name, with last dot; "" for an address
	Weight  int
	Enabled bool

	Unresolved bool // a name that was not looked up yet: having no address says nothing of it

	judge int32 // one more than the check that alone judges it, 0 if that is not so simple
	Addrs []Addr
}

// Addr is one address and the checks that judge it.
type Addr struct {
	IP     netip.Addr
	Checks []int32 // those that vote
	Shown  []int32 // those that are only shown
	Old    bool    // of a name: no longer in its answers, a reserve behind those that are
}

// HoldDown is how long an endpoint must be Up before it is used again.
type HoldDown struct{ Step, Max, Window time.Duration }

// Failback is how traffic returns to a better pool.
type Failback struct {
	Manual     bool
	After, Max time.Duration
	Ramp       []int // percent, rising; the last is 100
	Step       time.Duration
}

// LastResort is what is answered when everything is sick or dark.
type LastResort struct {
	Mode  ResortMode
	Addrs []netip.Addr
}

// ResortMode is a kind of last resort.
type ResortMode uint8

// The last resorts.
const (
	ResortOrder  ResortMode = iota // the policy as if all were healthy, sick before dark
	ResortAll                      // every enabled address
	ResortNone                     // SERVFAIL
	ResortAddrs                    // fixed addresses
	ResortNoData                   // NODATA
)

// Index makes the lookups of p. It must be called once, before Build.
func (p *Plan) Index() {
	p.names = make(map[string]int32, len(p.Services))
	p.wild = map[string]int32{}
	p.byRegion = make([][]int32, len(p.Regions))
	p.byCheck = make([][]int32, p.Checks)
	nearest := false
	for i := range p.Services {
		s := &p.Services[i]
		p.indexName(s.Name, int32(i))
		p.indexParts(s, int32(i))
		nearest = nearest || s.Policy == Nearest
	}
	for _, name := range p.Others {
		p.indexExists(name)
	}
	p.classes = nil
	if nearest && p.Clients != nil {
		for r := range p.Regions {
			p.classes = append(p.classes, uint16(r))
		}
	}
	p.usual = make([]uint64, len(p.Services))
	for i := range p.Services {
		s := &p.Services[i]
		p.usual[i] = usedBy(s, configured(s), p)
	}
}

func (p *Plan) indexName(name string, i int32) {
	if len(name) > 2 && name[:2] == "*." {
		p.wild[name[2:]] = i
		name = name[2:]
	} else {
		p.names[name] = i
	}
	p.indexExists(name)
}

func (p *Plan) indexExists(name string) {
	for n := name; n != ""; n = parent(n) {
		if _, ok := p.names[n]; !ok {
			p.names[n] = ancestor
		}
	}
}

func (p *Plan) indexParts(s *Service, i int32) {
	for _, pool := range s.Pools {
		p.byRegion[pool.Region] = appendNew(p.byRegion[pool.Region], i)
		for k := range pool.Endpoints {
			e := &pool.Endpoints[k]
			e.simplify()
			for _, a := range e.Addrs {
				for _, c := range a.Checks {
					p.byCheck[c] = appendNew(p.byCheck[c], i)
				}
			}
		}
	}
}

// simplify spares Build the way over the addresses to their checks: most endpoints
// are one address with one check, and that way was a quarter of a Build's time.
func (e *Endpoint) simplify() {
	e.judge = 0
	if len(e.Addrs) == 1 && len(e.Addrs[0].Checks) == 1 {
		e.judge = 1 + e.Addrs[0].Checks[0]
	}
}

// ServicesOf returns the services that a check judges.
func (p *Plan) ServicesOf(check int32) []int32 { return p.byCheck[check] }

// appendNew appends v unless it is the last element already.
func appendNew(s []int32, v int32) []int32 {
	if n := len(s); n > 0 && s[n-1] == v {
		return s
	}
	return append(s, v)
}

// parent returns the name above n, which is not "": "" above the root.
func parent(n string) string {
	for i := range len(n) - 1 {
		if n[i] == '.' {
			return n[i+1:]
		}
	}
	if n == "." {
		return ""
	}
	return "."
}
