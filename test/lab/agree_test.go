package lab

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// fault is something that befalls Consul before a region fails.
type fault struct {
	name  string
	begin func(f *fleet)
	end   func(f *fleet)
	amid  func(f *fleet) // once the region is silent; nil: nothing more befalls it
}

func (f *fleet) signal(sig syscall.Signal, servers ...*server) {
	for _, s := range servers {
		_ = s.cmd.Process.Signal(sig)
	}
}

// leader is the Consul server that leads.
func (f *fleet) leader() *server {
	f.t.Helper()
	var found *server
	f.eventually(30*time.Second, "Consul has a leader", func() bool {
		for _, s := range f.servers {
			at := string(f.api(s.name, http.MethodGet, "/v1/status/leader", nil))
			for _, l := range f.servers {
				if strings.Contains(at, f.of(l.name)+":") {
					found = l
					return true
				}
			}
		}
		return false
	})
	return found
}

// cut drops all that goes between the places of two sides.
func (f *fleet) cut(one, other []string) {
	set := func(places []string) string {
		var ips []string
		for _, p := range places {
			ips = append(ips, f.of(p))
		}
		return "{ " + strings.Join(ips, ", ") + " }"
	}
	f.in("router", "nft", "add table inet cut; add chain inet cut f { type filter hook forward priority 0; }; "+
		fmt.Sprintf("add rule inet cut f ip saddr %[1]s ip daddr %[2]s drop; add rule inet cut f ip saddr %[2]s ip daddr %[1]s drop", set(one), set(other)))
}

func (f *fleet) mend() { f.in("router", "nft", "delete", "table", "inet", "cut") }

// slow makes all that the resolvers say to Consul, and it to them, so much later.
func (f *fleet) slow(d time.Duration) {
	for _, p := range f.proxies {
		p.delay.Store(int64(d))
	}
}

// faults of Consul, and none.
var faults = []fault{
	{name: "Consul alive"},
	{
		name:  "leader stopped",
		begin: func(f *fleet) { f.signal(syscall.SIGSTOP, f.leader()) },
		end:   func(f *fleet) { f.signal(syscall.SIGCONT, f.servers...) },
	},
	{
		name:  "all stopped",
		begin: func(f *fleet) { f.signal(syscall.SIGSTOP, f.servers...) },
		end:   func(f *fleet) { f.signal(syscall.SIGCONT, f.servers...) },
	},
	{
		name:  "all stopped for 20 s",
		begin: func(f *fleet) { f.signal(syscall.SIGSTOP, f.servers...); <-time.After(20 * time.Second) },
		end:   func(f *fleet) { f.signal(syscall.SIGCONT, f.servers...) },
	},
	{
		name:  "two of three killed",
		begin: func(f *fleet) { f.kill(f.servers[1:]...) },
		end:   func(f *fleet) { f.again(f.servers[1:]...) },
	},
	{
		name:  "30 s late",
		begin: func(f *fleet) { f.slow(30 * time.Second) },
		end:   func(f *fleet) { f.slow(0) },
	},
	{
		name:  "cut in two, 1 | 2",
		begin: func(f *fleet) { f.cut([]string{"c1", "r1"}, []string{"c2", "c3", "r2", "r3", "r4", "r5"}) },
		end:   func(f *fleet) { f.mend() },
	},
	{
		name: "dies with the region",
		begin: func(f *fleet) {
			f.cut([]string{"c1", "r1"}, []string{"c2", "c3", "r2", "r3", "r4", "r5", "gcp", "azure"})
		},
		end: func(f *fleet) { f.mend() },
	},
}

// TestConsulDelaysNothing: one region fails again and again, while Consul is well or
// unwell in every way, and once without any Consul. No resolver outside the region
// leaves it more than ten seconds later for having one, every query is answered, and
// nothing moves when Consul is mended.
func TestConsulDelaysNothing(t *testing.T) {
	alone := newFleet(t, threeServers.alone())
	t.Parallel()
	alone.serve()
	base := alone.fails(fault{name: "no sharing"}, alone.resolvers[1:]...)

	f := newFleet(t, threeServers)
	f.serve()
	var rows []row
	for _, x := range faults {
		f.agreed()
		f.all(time.Minute, "aws", f.resolvers...)
		rows = append(rows, f.fails(x, f.resolvers[1:]...))
	}
	f.agreed()
	f.restored(t)
	compare(t, base, rows)
}

// compare shows how failures went, one of them without Consul, and fails the test
// where Consul made one worse.
func compare(t *testing.T, base row, rows []row) {
	t.Helper()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONSUL\tLEFT AFTER\tLATER BY\tASKED\tUNANSWERED\tMOVED WHEN IT WAS MENDED")
	for _, r := range append([]row{base}, rows...) {
		fmt.Fprintf(w, "%s\t%.1f s\t%+.1f s\t%d\t%d\t%d\n", r.name, r.took.Seconds(), (r.took - base.took).Seconds(), r.asked, r.lost, r.flaps)
		if late := r.took - base.took; late > 10*time.Second+time.Second { // and what a busy machine may add
			t.Errorf("%s: left %v later than without Consul", r.name, late)
		}
		if r.lost > 0 || r.flaps > 0 {
			t.Errorf("%s: %d of %d queries unanswered, %d moves when Consul was mended", r.name, r.lost, r.asked, r.flaps)
		}
	}
	_ = w.Flush() // into memory
	t.Logf("one region's failure:\n%s", out.String())
}

// row is how a failure went.
type row struct {
	name        string
	took        time.Duration
	asked, lost int64
	flaps       int
}

// fails makes the region aws silent while Consul has a fault, and both well again.
// Who is outside the region is to leave it.
func (f *fleet) fails(x fault, outside ...*member) row {
	f.t.Helper()
	out := row{name: x.name, asked: -f.asked.Load(), lost: -f.lost.Load()}
	during := func(what func(*fleet)) {
		if what != nil {
			what(f)
		}
	}
	during(x.begin)
	f.dark("aws")
	began := time.Now()
	during(x.amid)
	f.all(40*time.Second, "gcp", outside...)
	out.took = time.Since(began)
	during(x.end)
	out.flaps = f.moved(5*time.Second, outside...)
	f.light("aws")
	f.all(time.Minute, "aws", f.resolvers...)
	out.asked += f.asked.Load()
	out.lost += f.lost.Load()
	return out
}

// moved waits, and returns how often resolvers moved meanwhile.
func (f *fleet) moved(d time.Duration, who ...*member) int {
	before := moves(who)
	<-time.After(d)
	return moves(who) - before
}

// moves is how often resolvers moved since the start.
func moves(who []*member) (n int) {
	for _, m := range who {
		n += int(m.moves.Load())
	}
	return n
}

// restored restores Consul from a snapshot that is older than a drain, in
// mid-maintenance. The drain stays in force everywhere, and is written again.
func (f *fleet) restored(t *testing.T) {
	t.Helper()
	f.all(time.Minute, "aws", f.resolvers...)
	lost := f.lost.Load()
	snapshot := f.api("c1", http.MethodGet, "/v1/snapshot", nil)
	if snapshot == nil {
		t.Fatal("no snapshot")
	}
	f.do(f.resolvers[1], "drain", "aws/us-east-1", "--reason", "maintenance")
	f.all(5*time.Second, "gcp", f.resolvers...)
	if f.api("c1", http.MethodPut, "/v1/snapshot", snapshot) == nil {
		t.Fatal("the snapshot cannot be restored")
	}
	record := func() string {
		return string(f.api("c2", http.MethodGet, "/v1/kv/detour/main/v1/ctl/override/?keys", nil))
	}
	healed := false
	for range 400 { // forty seconds
		<-time.After(100 * time.Millisecond)
		for _, m := range f.resolvers {
			if at := m.at.Load(); at != "gcp" {
				t.Fatalf("%s answers %v after the snapshot was restored: the drain is lost", m.place, at)
			}
		}
		healed = healed || strings.Contains(record(), "us-east-1")
	}
	if !healed {
		t.Errorf("the drain was not written again: %s", record())
	}
	f.do(f.resolvers[1], "undrain", "aws/us-east-1")
	f.all(time.Minute, "aws", f.resolvers...)
	if n := f.lost.Load() - lost; n > 0 {
		t.Errorf("%d queries unanswered", n)
	}
}

// TestLossMovesNobodySoak: a fifth of all packets on every path is lost, to the backends
// and to Consul, and nobody fails over: for a minute, or with DETOUR_SOAK for two
// hours, or for as long as DETOUR_SOAK says.
func TestLossMovesNobodySoak(t *testing.T) {
	d := time.Minute
	if soak := os.Getenv("DETOUR_SOAK"); soak != "" {
		d = 2 * time.Hour
		if said, err := time.ParseDuration(soak); err == nil {
			d = said
		}
	}
	f := newFleet(t, threeServers)
	t.Parallel()
	f.interval = "interval: 5s, timeout: 2s"
	f.serve()
	f.agreed()
	f.all(time.Minute, "aws", f.resolvers...)
	f.lose(20)
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-time.After(100 * time.Millisecond)
		for _, m := range f.resolvers {
			if at := m.at.Load(); at != "aws" {
				t.Fatalf("%s answers %v:\n%s", m.place, at, f.status(m))
			}
		}
	}
}
