package lab

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// layout says which Consul servers and which resolvers a fleet has.
type layout struct {
	datacenters []string // of the servers c1, c2 ...
	behind      bool     // they stand behind proxies, which may be slow
	seats       []seat   // of the resolvers r1, r2 ...
}

// seat is the zone of a resolver and the servers that it talks to, one of each
// datacenter.
type seat struct {
	zone   string
	consul []int
}

// threeServers is one datacenter of three servers and five resolvers in three zones.
var threeServers = layout{
	datacenters: []string{"dc1", "dc1", "dc1"}, behind: true,
	seats: []seat{
		{"aws/us-east-1", []int{0}},
		{"gcp/europe-west1", []int{1}},
		{"gcp/europe-west1", []int{1}},
		{"azure/westeurope", []int{2}},
		{"azure/westeurope", []int{2}},
	},
}

// alone is the same resolvers with nothing to share.
func (y layout) alone() layout {
	out := layout{}
	for _, s := range y.seats {
		out.seats = append(out.seats, seat{zone: s.zone})
	}
	return out
}

// fleet is resolvers in several zones that agree over Consul servers, if there are
// any.
type fleet struct {
	*lab
	layout
	servers   []*server
	proxies   []*proxy // before each of them
	resolvers []*member
	token     string // may do everything in Consul
	certs     *kit.ConsulCerts
	asked     atomic.Int64
	lost      atomic.Int64
	interval  string                 // of the probes
	services  string                 // beside the shop
	more      func(m *member) string // configuration of a resolver, beside what all have
	stop      chan struct{}
	wg        sync.WaitGroup
}

// member is one resolver.
type member struct {
	place string
	seat
	at    atomic.Value // the place that its last answer led to
	moves atomic.Int64 // how often that was another one than before
	away  atomic.Bool  // it is not to answer now
	p     *process
}

func (m *member) dir(f *fleet) string { return filepath.Join(f.dir, m.place) }

// newFleet makes the namespaces and starts the servers. Resolvers come with serve.
func newFleet(t *testing.T, y layout) *fleet {
	t.Helper()
	if _, err := kit.ConsulBinary(); err != nil && len(y.datacenters) > 0 {
		t.Skip(err)
	}
	var places []string
	for i := range y.datacenters {
		places = append(places, fmt.Sprint("c", i+1))
	}
	for i := range y.seats {
		places = append(places, fmt.Sprint("r", i+1))
	}
	f := &fleet{lab: newLab(t, places...), layout: y, token: "11111111-2222-3333-4444-555555555555", stop: make(chan struct{})}
	f.certs = kit.MakeConsulCerts(t, f.dir)
	for _, p := range []string{"aws", "gcp", "azure"} {
		f.backend(p)
	}
	f.startServers()
	for i, s := range y.seats {
		f.resolvers = append(f.resolvers, &member{place: fmt.Sprint("r", i+1), seat: s})
	}
	t.Cleanup(func() {
		close(f.stop)
		f.wg.Wait()
		if t.Failed() {
			for _, m := range f.resolvers {
				if m.p != nil {
					t.Logf("%s said:\n%s", m.place, tail(m.p.out.String()))
				}
			}
		}
	})
	return f
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// serve starts the resolvers, and asks each of them ten times a second until the
// test ends.
func (f *fleet) serve() {
	f.t.Helper()
	for _, m := range f.resolvers {
		dir := m.dir(f)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			f.t.Fatal(err)
		}
		yaml := strings.ReplaceAll(f.config(cmp.Or(f.interval, "interval: 1s, timeout: 1s"), "{after: 1s, max: 2s, ramp: [100], step: 1s}"), f.dir, dir)
		yaml = strings.Replace(yaml, "hold_down: {step: 2s}", "hold_down: {step: 1s, max: 2s}", 1) + fmt.Sprintf("self: {name: %s, zone: %s}\n", m.place, m.zone)
		yaml = strings.Replace(yaml, "defaults:\n", f.services+"defaults:\n", 1) + f.meets(m)
		if f.more != nil {
			yaml += f.more(m)
		}
		f.file(dir, "failover.yaml", yaml)
		f.file(dir, "Corefile", ".:"+port+" {\n  errors\n  failover "+filepath.Join(dir, "failover.yaml")+"\n}\n")
		m.at.Store("")
		f.run(m)
	}
	for _, m := range f.resolvers {
		f.eventually(20*time.Second, m.place+" answers", func() bool { return f.askAt(m.place) != "" })
		f.wg.Go(func() { f.watch(m) })
	}
}

// meets is where a resolver meets the others, nothing if it meets none.
func (f *fleet) meets(m *member) string {
	if len(m.consul) == 0 {
		return ""
	}
	yaml := "share:\n  consul:\n"
	for _, i := range m.consul {
		s := f.servers[i]
		yaml += fmt.Sprintf("    - {datacenter: %s, address: \"https://%s\", server_name: %s, token_file: token-%[1]s, ca_file: %[4]s, cert_file: %s, key_file: %s}\n",
			s.dc, f.via(i), kit.ConsulServerName, f.certs.CA, f.certs.Cert, f.certs.Key)
		f.file(m.dir(f), "token-"+s.dc, f.grant(m, s))
	}
	return yaml
}

// run starts a resolver on what is in its directory.
func (f *fleet) run(m *member) {
	f.t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		f.t.Fatal(err)
	}
	m.p = f.start(m.place, bin, "serve", "--config", filepath.Join(m.dir(f), "Corefile"))
}

func (f *fleet) file(dir, name, text string) {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// watch asks a resolver again and again, except while it is away.
func (f *fleet) watch(m *member) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
		if m.away.Load() {
			continue
		}
		at, err := f.answers(m)
		if m.away.Load() {
			continue
		}
		f.asked.Add(1)
		if err != nil {
			if f.lost.Add(1) <= 10 {
				f.t.Logf("%s does not answer: %v", m.place, err)
			}
			continue
		}
		if m.at.Load() != at {
			m.moves.Add(1) // before all can see that it moved
		}
		m.at.Store(at)
	}
}

// answers asks as a stub resolver does: what no reply came for within a second is
// asked once more, because a datagram may get lost on a busy machine. An answer of
// another kind stands.
func (f *fleet) answers(m *member) (string, error) {
	const name = "shop.example.org."
	at, err := f.answerFor(m.place, name)
	if errors.Is(err, os.ErrDeadlineExceeded) && !m.away.Load() {
		f.t.Logf("%s is asked again: %v", m.place, err)
		at, err = f.answerFor(m.place, name)
	}
	return at, err
}

// all waits until the given resolvers answer with a place, and returns how long it
// took.
func (f *fleet) all(limit time.Duration, place string, who ...*member) time.Duration {
	f.t.Helper()
	began := time.Now()
	for _, m := range who {
		if err := kit.Every(20*time.Millisecond, limit, func() bool { return m.at.Load() == place }); err != nil {
			f.t.Errorf("%s in %s answers %v and not %s after %v", m.place, m.zone, m.at.Load(), place, limit)
		}
	}
	return time.Since(began)
}

// status is what a resolver says of itself.
func (f *fleet) status(m *member) string {
	out, _ := f.hand(m, "status", "--all")
	return out
}

// hand runs the command against a resolver.
func (f *fleet) hand(m *member, args ...string) (out string, err error) {
	bin, err := kit.Binary()
	if err != nil {
		f.t.Fatal(err)
	}
	text, err := exec.Command(bin, append(args, "--admin", "unix://"+filepath.Join(m.dir(f), "admin.sock"))...).CombinedOutput()
	return string(text), err
}

// do is hand for what must succeed.
func (f *fleet) do(m *member, args ...string) {
	f.t.Helper()
	if out, err := f.hand(m, args...); err != nil {
		f.t.Fatalf("resolver %v at %s: %v\n%s", args, m.place, err, out)
	}
}

// agreed waits until the given resolvers, all if none is given, hear one another and
// decide alike.
func (f *fleet) agreed(who ...*member) {
	f.t.Helper()
	if len(who) == 0 {
		who = f.resolvers
	}
	want := fmt.Sprintf("%d observers fresh, agree", len(who))
	for _, m := range who {
		f.eventually(time.Minute, m.place+" says "+want, func() bool { return strings.Contains(f.status(m), want) })
	}
}
