package admin

import (
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

// does reports whether a status names a command, or a page, as what to do.
func (s *Status) does(text string) bool {
	return slices.ContainsFunc(s.Acts, func(a Act) bool { return a.Do == text || a.Read == text })
}

// Each problem says what to type, until it is over; rows come by how bad it is; the cause
// and what a service was before stay under a freeze.
func TestWhatToDo(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "healthy", func(s *Status) bool {
		return s.State == Healthy && len(s.Acts) == 0 && s.service("db.example.org").State == stateOK
	})

	s.world.refuse("192.0.2.20")
	st := eventually(t, c, "a writer that lost its backup", func(s *Status) bool { return s.service("db.example.org").State == stateLost })
	if db := st.service("db.example.org"); db.Cause != "refused" || !slices.Equal(st.Moved.Writers, []string{"db.example.org"}) || st.does("resolver failback db.example.org") {
		t.Errorf("%+v, %+v, %+v", db, st.Moved, st.Acts)
	}
	page := said(func(b *strings.Builder) error { return WriteStatus(b, st, false) })
	if !strings.Contains(page, "1 SINGLE WRITER MOVED: db.example.org; ") || strings.Index(page, "\ndb.example.org") > strings.Index(page, "\nsolo.example.org") {
		t.Errorf("the writer is not loud, or not first:\n%s", page)
	}
	s.world.refuse()
	st = eventually(t, c, "a writer to be brought back", func(s *Status) bool { return s.does("resolver failback db.example.org") })
	if db := st.service("db.example.org"); db.State != stateWriter && db.State != stateReturns {
		t.Errorf("%+v", db)
	}
	if _, err := c.Failback(t.Context(), PostFailback{Target: "db.example.org", Now: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, "back", func(s *Status) bool { return s.State == Healthy && len(s.Acts) == 0 })

	if _, err := c.PutFreeze(t.Context(), PutFreeze{Target: "shop.example.org", Reason: "r", Owner: "jo"}); err != nil {
		t.Fatal(err)
	}
	s.world.refuse("192.0.2.10", "192.0.2.11")
	st = eventually(t, c, "a freeze to be lifted", func(s *Status) bool { return s.does("resolver unfreeze shop.example.org") && s.does("DetourFreezeOn") })
	page = said(func(b *strings.Builder) error { return WriteStatus(b, st, false) })
	if shop := st.service("shop.example.org"); shop.Cause != "refused" || !shop.Frozen || !strings.Contains(page, "PANIC, frozen") || !strings.Contains(st.Sentence, "freeze by jo") {
		t.Errorf("%+v, %s", shop, page)
	}
	if _, err := c.DeleteFreeze(t.Context(), "shop.example.org"); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, "a region of which the failures are to be looked at", func(s *Status) bool { return s.does("resolver events --target aws/us-east-1") })

	s.world.refuse("203.0.113.30")
	eventually(t, c, "a service whose owner is to be asked", func(s *Status) bool { return s.does("resolver probe solo.example.org") })
	s.world.refuse()
	drain := PutOverride{Do: "drain", Reason: "r", Owner: "jo"}
	eventually(t, c, "up", func(s *Status) bool { return s.Checks.Down == 0 })
	if _, err := c.PutOverride(t.Context(), "db.example.org/198.51.100.20", drain); err != nil {
		t.Fatal(err)
	}
	eventually(t, c, "a drain to be lifted", func(s *Status) bool { return s.does("resolver undrain db.example.org/198.51.100.20") })
}

// An address that several services share is one endpoint of its region, so that the numbers
// of a page agree; a service that fails by itself makes it no fault of the region.
func TestEndpointsAreCountedOnce(t *testing.T) {
	const pools = "pools: [{aws/us-east-1: [192.0.2.1]}, {gcp/europe-west1: [198.51.100.1]}]}\n"
	s := newSystem(t, "version: 1\nmonitors:\n  web: {type: tcp, port: 443, interval: 100ms, timeout: 100ms, confirm: 100ms, fall: 1, rise: 1}\nservices:\n"+
		"  a.example.org: {monitors: [web], "+pools+"  b.example.org: {monitors: [web], "+pools+"  c.example.org: {monitors: [web], "+pools)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "up", func(s *Status) bool {
		return s.region("aws/us-east-1").Endpoints.Up == 1 && s.Checks.Up == s.Checks.Total
	})
	s.world.refuse("192.0.2.1")
	st := eventually(t, c, "down", func(s *Status) bool { return s.region("aws/us-east-1").Endpoints.Down == 1 })
	if !st.does("resolver drain aws/us-east-1 --reason R") {
		t.Errorf("%+v", st.Acts)
	}
	if r := st.region("aws/us-east-1"); r.Endpoints.Up != 0 || r.NothingUp != 3 || r.BrokenEndpoints != 0 || !r.fails() {
		t.Errorf("%+v", r)
	}
}

// The states are in one order, and a state that is not known is no better than the others.
func TestSeverity(t *testing.T) {
	states := []string{stateOK, stateMoved, statePanic, stateWriter, stateSuspects, stateReduced, stateLost, stateReturns}
	slices.SortFunc(states, worse)
	if !slices.Equal(states, severity) {
		t.Errorf("%q", states)
	}
}
