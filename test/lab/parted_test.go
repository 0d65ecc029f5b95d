package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// TestASingleWriterIsParted: a resolver loses Consul and then the region of a single
// writer, decides alone, and latches what the others do not. When the network is
// whole again it follows where most zones agree; of two zones that differ neither
// moves, both say so, and an operator ends it.
func TestASingleWriterIsParted(t *testing.T) {
	f := newFleet(t, layout{
		datacenters: []string{"dc1"},
		seats:       []seat{{"aws/us-east-1", []int{0}}, {"gcp/europe-west1", []int{0}}, {"azure/westeurope", []int{0}}},
	})
	t.Parallel()
	f.addWriter()
	f.serve()
	f.agreed()
	f.writes("aws", f.resolvers...)

	f.part(f.resolvers[0], f.resolvers[1:]...)
	f.eventually(90*time.Second, "the few follow the many", func() bool {
		f.stays("aws", f.resolvers[1:]...)
		return f.writer(f.resolvers[0]) == "aws"
	})

	gone := f.resolvers[2]
	gone.away.Store(true)
	_ = gone.p.cmd.Process.Kill()
	_ = gone.p.cmd.Wait()
	two := f.resolvers[:2]
	f.agreed(two...)
	f.part(two[0], two[1])
	for _, m := range two {
		f.eventually(90*time.Second, m.place+" tells the tie", func() bool {
			out := f.status(m)
			return strings.Contains(out, "split for") && strings.Contains(out, "run resolver failback db.example.org --now")
		})
	}
	_ = kit.Every(500*time.Millisecond, 15*time.Second, func() bool {
		f.stays("gcp", two[0])
		f.stays("aws", two[1])
		return t.Failed()
	})
	f.do(two[1], "failback", "db.example.org", "--now", "--reason", "the first region is well")
	f.writes("aws", two...)
	f.eventually(time.Minute, "the tie has ended", func() bool { return !strings.Contains(f.status(two[0])+f.status(two[1]), "split for") })
}

// part cuts one resolver off from Consul, and once it knows that from the region in
// use, until it uses the other one, and mends that. The others stay.
func (f *fleet) part(one *member, others ...*member) {
	f.t.Helper()
	f.cut([]string{one.place}, []string{"c1"})
	f.eventually(time.Minute, one.place+" hears nobody", func() bool { return strings.Contains(f.status(one), "NOT HEARD") })
	f.cut([]string{one.place}, []string{"aws"})
	f.eventually(30*time.Second, one.place+" decides alone", func() bool {
		f.stays("aws", others...)
		return f.writer(one) == "gcp"
	})
	f.mend()
}

// writer is the place where a resolver says that the single writer is.
func (f *fleet) writer(m *member) string { return f.askFor(m.place, "db.example.org.") }

// writes waits until the given resolvers say that the single writer is there.
func (f *fleet) writes(place string, who ...*member) {
	f.t.Helper()
	for _, m := range who {
		f.eventually(time.Minute, m.place+" has the writer in "+place, func() bool { return f.writer(m) == place })
	}
}

// stays holds that the given resolvers have the single writer there now.
func (f *fleet) stays(place string, who ...*member) {
	f.t.Helper()
	for _, m := range who {
		if at := f.writer(m); at != place {
			f.t.Fatalf("%s moved the writer to %s:\n%s", m.place, at, f.status(m))
		}
	}
}
