package admin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/guard"
)

// kept stands for running guards.
type kept struct {
	names              []guard.Report
	forgotten, trusted []string
	fault              string
}

func (k *kept) Report(int) ([]guard.Report, int) { return k.names, 7 }

func (k *kept) Of(name string) (out []guard.Report) {
	for _, r := range k.names {
		if r.Name == name {
			out = append(out, r)
		}
	}
	return out
}
func (k *kept) Fault() string { return k.fault }
func (k *kept) Proofs() int   { return 2 }

func (k *kept) Forget(name string) bool { k.forgotten = append(k.forgotten, name); return k.has(name) }
func (k *kept) Accept(name string) bool { k.trusted = append(k.trusted, name); return k.has(name) }

func (k *kept) has(name string) bool {
	for i := range k.names {
		if k.names[i].Name == name {
			return true
		}
	}
	return false
}

// keep puts running guards in place for a test: one name stands in, one is lost.
func keep(t *testing.T) *kept {
	now := time.Now()
	seen := guard.At(now.Add(-time.Minute))
	k := &kept{names: []guard.Report{
		{
			Name: "api.cloud.example.", Block: ".:53/", Standing: true, Failing: "nodata for IPv4", Since: now.Add(-3 * time.Minute), Good: now.Add(-3 * time.Minute),
			Members: []guard.Member{{IP: netip.MustParseAddr("192.0.2.1"), Last: seen, Proof: guard.Proven, Was: guard.Proven}},
		},
		{
			Name: "login.partner.example.", Block: ".:53/", Good: now,
			Members: []guard.Member{
				{IP: netip.MustParseAddr("198.51.100.1"), Last: seen, Proof: guard.Mute, Why: guard.Closing, Was: guard.Proven, Proved: guard.At(now.Add(-7 * time.Minute))},
				{IP: netip.MustParseAddr("198.51.100.2"), Last: seen, Proof: guard.Refuted, Why: guard.OtherText, Was: guard.Refuted, Proved: seen},
				{IP: netip.MustParseAddr("198.51.100.3"), Last: seen, Proof: guard.Proven, Expired: true, Was: guard.Proven, Proved: seen},
			},
		},
		{Name: "old.partner.example.", Block: ".:53/", Failing: "nxdomain for IPv4", Since: now.Add(-time.Hour), Good: now.Add(-2 * time.Hour), Refusal: "every address was refuted"},
	}}
	old := keepers
	keepers = func() guard.Guards { return k }
	t.Cleanup(func() { keepers = old })
	return k
}

// TestStatusTellsOfGuardsFile holds that a file that guards cannot use shows.
func TestStatusTellsOfGuardsFile(t *testing.T) {
	keep(t).fault = "the disk is full"
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	eventually(t, client(t, srv), "guard", func(now *Status) bool {
		return now.State == Degraded && slices.Contains(now.Warnings, "a restart would forget what is known of names of others: the disk is full")
	})
}

// TestStatusTellsOfOthersDNS holds that what stands in is on the first screen.
func TestStatusTellsOfOthersDNS(t *testing.T) {
	keep(t)
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	eventually(t, client(t, srv), "guard", func(now *Status) bool {
		return now.State == Degraded && strings.Contains(now.Sentence, "the DNS of others fails: 1 name is answered with kept addresses: api.cloud.example (nodata for IPv4, for 3 min); 1 fails, and nothing stands in")
	})
}

// TestForgetAndAccept holds that both reach the guards, by the name as people
// write it, and that a name of which nothing is kept is told.
func TestForgetAndAccept(t *testing.T) {
	k := keep(t)
	srv := newSystem(t, fleet).listen(t, config.Admin{})
	c := client(t, srv)
	if _, err := c.Forget(t.Context(), "Old.Partner.example"); err != nil || len(k.forgotten) != 1 || k.forgotten[0] != "old.partner.example." {
		t.Errorf("forgot %v: %v", k.forgotten, err)
	}
	if _, err := c.Accept(t.Context(), "api.cloud.example."); err != nil || len(k.trusted) != 1 {
		t.Errorf("accepted %v: %v", k.trusted, err)
	}
	if _, err := c.Forget(t.Context(), "nobody.example"); err == nil || !strings.Contains(err.Error(), "nothing is kept of") {
		t.Errorf("an unknown name: %v", err)
	}
	if r := send(t, srv, http.MethodGet, "/v1/guard/api.cloud.example", ""); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET changes something: %d", r.status)
	}
}

// TestGuardTable holds what an operator reads.
func TestGuardTable(t *testing.T) {
	keep(t)
	var b strings.Builder
	if err := WriteGuard(&b, guarded(maxKept), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"stands in, nodata for IPv4 for 3 min", "LOST, nxdomain for IPv4 for 1 h: every address was refuted", "2 of 5 proofs a second", "192.0.2.1", "1 proven", "1 proven, 1 mute, 1 refuted",
		"mute: accepted, then reset or closed, last proof 7 min ago", "refuted: another protocol than TLS", "proven by a certificate that has expired",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
