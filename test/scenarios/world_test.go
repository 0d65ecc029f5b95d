// Package scenarios runs outages on the pure core in simulated time. Each .txt
// file tells one: its story on top, then a failover.yaml, then what happens and
// what must be seen, in order of time. See README.md for the words.
package scenarios

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/source"
	"github.com/detour-dns/detour/internal/steer"
)

// epoch is the simulated beginning of time.
var epoch = time.Date(2025, 10, 20, 6, 48, 0, 0, time.UTC)

// fault is what probes of an address meet.
type fault struct {
	cause     health.Cause
	share     int           // percent of the probes that meet it
	alternate bool          // every second probe
	good, bad time.Duration // flapping: good first, from since
	since     time.Duration
	silent    bool // the prober is dead: no result at all
}

// world is what is true, and the one resolver that looks at it.
type world struct {
	t       *testing.T
	core    *engine.Core
	cfg     *config.Config
	now     time.Duration
	queue   events
	seq     int
	life    int              // probes planned in an earlier life are void
	faults  map[string]fault // by region, address, or self
	nth     map[string]int
	rand    *rand.Rand
	found   source.Found
	pubAt   time.Duration
	hands   []steer.Override
	freezes []steer.Freeze
	moves   map[string]int
	stopped bool
	spread  bool // the clients are two forwarders
	watches []watch
	refused error // the last edit, if it was
}

func (w *world) replan(cfg *config.Config) *plan.Plan { return plan.Make(cfg, w.found) }

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func newWorld(t *testing.T, yaml string) *world {
	w := &world{
		t: t, faults: map[string]fault{}, nth: map[string]int{}, found: source.Found{},
		rand: rand.New(rand.NewPCG(1, 2)), moves: map[string]int{},
	}
	w.cfg = w.parse(yaml)
	return w
}

func (w *world) parse(yaml string) *config.Config {
	w.t.Helper()
	cfg, err := config.Parse("failover.yaml", []byte(yaml))
	if err != nil {
		w.t.Fatalf("the scenario's configuration:\n%v", err)
	}
	return cfg
}

// start brings up a resolver with what an earlier one kept.
func (w *world) start(kept engine.Kept) {
	w.core = engine.NewCore(plan.Make(w.cfg, w.found), kept.Checks, kept.Services, w.clock())
	w.core.SetHands(w.hands, w.freezes)
	w.stopped = false
	w.schedule(0)
	w.after(0, w.publish)
	w.sweep(w.life)
}

// schedule plans the first probe of every check, spread over a second.
func (w *world) schedule(delay time.Duration) {
	w.life++
	n := len(w.core.Plan.Checks)
	for i := range n {
		spread := min(w.core.Plan.Checks[i].Params.Interval, time.Second)
		w.probeAfter(int32(i), w.life, delay+spread*time.Duration(i)/time.Duration(max(1, n)))
	}
}

func (w *world) clock() time.Time { return epoch.Add(w.now) }

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, do})
}

func (w *world) probeAfter(i int32, life int, d time.Duration) {
	w.after(d, func() {
		if life == w.life && !w.stopped {
			w.probe(i, life)
		}
	})
}

// probe starts a probe of check i and plans what follows from its result.
func (w *world) probe(i int32, life int) {
	k := &w.core.Plan.Checks[i]
	started, cause := w.clock(), w.meet(k)
	if w.faults["prober"].silent {
		w.probeAfter(i, life, k.Params.Interval)
		return
	}
	took := 20 * time.Millisecond
	if cause == health.CauseTimeout {
		took = k.Params.Timeout
	}
	w.after(took, func() {
		if life != w.life || w.stopped {
			return
		}
		next := w.core.Observe(i, started, health.Result{At: w.clock(), Cause: cause, Latency: took})
		w.probeAfter(i, life, max(0, next-took))
		w.changed()
	})
}

// meet returns what a probe that starts now will meet.
func (w *world) meet(k *plan.Check) health.Cause {
	region := "self"
	if k.Region >= 0 {
		region = w.cfg.Regions[k.Region].Name
	}
	for _, key := range []string{k.Addr.String(), region, "all"} {
		f, ok := w.faults[key]
		if !ok || f.silent {
			continue
		}
		w.nth[k.Key]++
		switch {
		case f.alternate && w.nth[k.Key]%2 == 0:
		case f.good > 0 && (w.now-f.since)%(f.good+f.bad) < f.good:
		case f.share > 0 && w.rand.IntN(100) >= f.share:
		default:
			return f.cause
		}
		return health.CauseNone
	}
	return health.CauseNone
}

func (w *world) sweep(life int) {
	w.after(time.Second, func() {
		if life == w.life && !w.stopped {
			w.core.Sweep(w.clock())
			w.changed()
			w.sweep(life)
		}
	})
}

// changed publishes a first change at once, and gathers later ones for 100 ms.
func (w *world) changed() {
	if !w.core.Due(w.clock()) {
		return
	}
	if gap := w.now - w.pubAt; gap < 100*time.Millisecond {
		w.after(100*time.Millisecond-gap, w.publish)
		return
	}
	w.publish()
}

func (w *world) publish() {
	if w.stopped {
		return
	}
	if !w.core.Due(w.clock()) {
		return
	}
	w.pubAt = w.now
	s := w.core.Publish(w.clock())
	for _, c := range s.Changes {
		w.moves[w.cfg.Services[c.Service].Name]++
	}
	w.check(s)
	if wake := w.core.Wake(); !wake.IsZero() {
		w.after(max(time.Millisecond, wake.Sub(w.clock())), w.publish)
	}
}

// watch is something that must be seen throughout a span of time.
type watch struct {
	line  int
	until time.Duration
	words []string
}

// glance is how often what must be seen throughout is looked at.
const glance = 500 * time.Millisecond

// run lets time pass until t, looking at every watch on the way.
func (w *world) run(t time.Duration) {
	if t < w.now {
		w.t.Fatalf("time goes back from %v to %v", w.now, t)
	}
	for len(w.watches) > 0 && w.now+glance < t {
		w.step(w.now + glance)
		w.look()
	}
	w.step(t)
	w.look()
}

func (w *world) look() {
	w.watches = slices.DeleteFunc(w.watches, func(x watch) bool {
		if x.until < w.now {
			return true
		}
		msg := w.see(x.line, x.words)
		if msg != "" {
			w.errorf(x.line, "%s: %s", strings.Join(x.words, " "), msg)
		}
		return msg != ""
	})
}

func (w *world) step(t time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= t {
		e := heap.Pop(&w.queue).(event)
		w.now = max(w.now, e.at)
		e.do()
	}
	w.now = t
}

// restart stops the resolver, and starts it again after a while from what it kept.
func (w *world) restart(off time.Duration) {
	kept := w.core.Keep(w.clock())
	w.stopped = true
	w.life++
	w.run(w.now + off)
	w.start(engine.Aged(kept, off, w.cfg))
}

// resolve is a lookup of an endpoint's name, as the engine takes it in.
func (w *world) resolve(name string, addrs []string) {
	var ips []netip.Addr
	for _, a := range addrs {
		ips = append(ips, netip.MustParseAddr(a))
	}
	w.found = maps.Clone(w.found)
	w.found[name] = w.found[name].Learn(ips, time.Minute, w.clock())
	if w.core == nil {
		return
	}
	if err := w.core.Replan(w.replan(w.cfg), w.clock(), true); err != nil {
		w.t.Fatal(err)
	}
	w.schedule(100 * time.Millisecond)
	w.sweep(w.life)
	w.publish()
}

// service returns the index of a service.
func (w *world) service(name string) int32 {
	w.t.Helper()
	i := slices.IndexFunc(w.cfg.Services, func(s config.Service) bool { return s.Name == name+"." })
	if i < 0 {
		w.t.Fatalf("no service %s", name)
	}
	return int32(i)
}

// clients is how many clients are asked what they see.
const clients = 400

// ask returns, for many clients, how many were sent to each region, and how many
// to each address.
func (w *world) ask(s *steer.Snapshot, i int32, v6 bool) (regions, addrs map[string]int, first steer.Decision) {
	regions, addrs = map[string]int{}, map[string]int{}
	for c := range clients {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 0x64400000+uint32(c)*2654435)
		if w.spread {
			ip = [4]byte{100, 64, 0, byte(c % 2)}
		}
		d := s.Decide(steer.Query{
			Service: i, V6: v6, Client: netip.AddrFrom4(ip), Minute: uint32(w.now / time.Minute), Seed: w.rand.Uint64(),
			Spread: w.spread,
		})
		if c == 0 {
			first = d
		}
		var out [steer.MaxAnswers]netip.Addr
		n := d.Addrs(out[:])
		for _, a := range out[:n] {
			addrs[a.String()]++
		}
		switch {
		case n == 0:
			regions["nothing"]++
		case d.Pool < 0:
			regions["several"]++
		default:
			regions[s.Plan.Regions[d.Region].Name]++
		}
	}
	return regions, addrs, first
}

// check holds every published snapshot against the properties that no scenario
// may break.
func (w *world) check(s *steer.Snapshot) {
	w.t.Helper()
	for i := range s.Plan.Services {
		if err := s.State(int32(i)).Invariant(); err != nil {
			w.t.Errorf("%v: %s: %v", w.now, s.Plan.Services[i].Name, err)
		}
	}
}

func (w *world) errorf(line int, format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("line %d, at %v: %s", line, w.now, fmt.Sprintf(format, args...))
}

func describe(m map[string]int) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %d %%  ", k, m[k]*100/clients)
	}
	return b.String()
}
