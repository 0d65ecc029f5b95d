package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// service returns one service of a status.
func (s *Status) service(name string) *Service {
	i := slices.IndexFunc(s.Services, func(s Service) bool { return s.Name == name })
	return &s.Services[i]
}

// region returns one region of a status.
func (s *Status) region(name string) *Region {
	i := slices.IndexFunc(s.Regions, func(r Region) bool { return r.Name == name })
	return &s.Regions[i]
}

// row returns the line of a status that begins with a word.
func (s *Status) row(t *testing.T, word string) string {
	t.Helper()
	for _, line := range strings.Split(said(func(b *strings.Builder) error { return WriteStatus(b, s, true) }), "\n") {
		if strings.HasPrefix(line, word) {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	t.Fatalf("no line begins with %s", word)
	return ""
}

// What is observed is shown where its answers come from, everywhere.
func TestObservedIsShownWhereItIsAnswered(t *testing.T) {
	s := newSystem(t, strings.Replace(fleet, "single_writer: true", "mode: observe", 1))
	c := client(t, s.listen(t, config.Admin{}))
	s.world.refuse("192.0.2.20")
	st := eventually(t, c, "told what would be", func(s *Status) bool { return s.Moved.Would == 1 })
	db, err := c.Service(t.Context(), "db.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(db.Using, []string{"aws/us-east-1"}) || !slices.Equal(db.Would, []string{"gcp/europe-west1"}) || !db.Pools[0].InUse || db.Pools[1].InUse {
		t.Errorf("%+v", db)
	}
	if row := st.row(t, "db.example.org"); !strings.HasPrefix(row, "db.example.org NO BACKUP, observed aws/us-east-1 (would be gcp/europe-west1) ") {
		t.Error(row)
	}
	if got := st.region("aws/us-east-1").Serving; got != 3 || st.Next != nil {
		t.Errorf("%d services are served from the region, next %+v", got, st.Next)
	}
	x, err := c.Simulate(t.Context(), "aws/us-east-1")
	if err != nil || slices.ContainsFunc(x.Moves, func(m Move) bool { return m.Service == "db.example.org" }) || !slices.Contains(x.Observed, "db.example.org") {
		t.Errorf("%v %+v", err, x)
	}
}

// What is answered SERVFAIL or NODATA is answered from nowhere, and which of the two
// clients get is said.
func TestLastResortNoneIsShown(t *testing.T) {
	for mode, c := range map[string]struct{ sentence, row string }{
		"none":   {"1 of 4 services have nothing healthy and are not answered (SERVFAIL): db.example.org", "nothing (SERVFAIL)"},
		"nodata": {"1 of 4 services have nothing healthy and are answered with no data: db.example.org", "nothing (NODATA)"},
	} {
		t.Run(mode, func(t *testing.T) { isNotAnswered(t, mode, c.sentence, c.row) })
	}
}

func isNotAnswered(t *testing.T, mode, sentence, row string) {
	s := newSystem(t, strings.Replace(fleet, "single_writer: true", "last_resort: {mode: "+mode+"}", 1))
	c := client(t, s.listen(t, config.Admin{}))
	s.world.refuse("192.0.2.20", "198.51.100.20")
	st := eventually(t, c, "in panic", func(s *Status) bool { return s.State == Panic })
	if st.ExitCode != 2 || !strings.HasSuffix(st.Sentence, sentence) || !strings.HasPrefix(st.Sentence, "db.example.org fails everywhere: connection refused (2 endpoints), since ") {
		t.Errorf("%d %s", st.ExitCode, st.Sentence)
	}
	if got := st.row(t, "db.example.org"); !strings.HasPrefix(got, "db.example.org PANIC "+row+" ") {
		t.Error(got)
	}
	if db := st.service("db.example.org"); len(db.Using) != 0 || !db.Refused || db.NoData != (mode == "nodata") || st.Moved.Services != 0 {
		t.Errorf("%+v, moved %+v", db, st.Moved)
	}
	if got := st.region("aws/us-east-1").Serving; got != 2 {
		t.Errorf("%d services are served from the region, want 2", got)
	}
	x, err := c.Explain(t.Context(), "db.example.org", "A", "", false)
	if err != nil || x.Answer != map[string]string{"none": "servfail", "nodata": "nodata"}[mode] {
		t.Errorf("explain: %v, %v", x, err)
	}
}

// A drained pool is not answered from, though a freeze keeps the pools in use.
func TestADrainUnderAFreezeIsShown(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "all up", func(now *Status) bool { return now.Checks.Up == now.Checks.Total })
	if _, err := c.PutFreeze(t.Context(), PutFreeze{Reason: "r", Owner: "o"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutOverride(t.Context(), "aws/us-east-1", PutOverride{Do: "drain", Reason: "r", Owner: "o", BreakGlass: true}); err != nil {
		t.Fatal(err)
	}
	st := eventually(t, c, "drained", func(now *Status) bool { return len(now.Overrides) == 2 })
	if got := st.service("*.wild.example.org"); !slices.Equal(got.Using, []string{"gcp/europe-west1"}) || got.Pending {
		t.Errorf("%+v", got)
	}
}

// A freeze that keeps a service at dead addresses is panic, and whose it is and
// what its end would give is said.
func TestFrozenAtWhatIsDeadIsShown(t *testing.T) {
	s := newSystem(t, fleet)
	c := client(t, s.listen(t, config.Admin{}))
	eventually(t, c, "all up", func(now *Status) bool { return now.Checks.Up == now.Checks.Total })
	if _, err := c.PutFreeze(t.Context(), PutFreeze{Target: "shop.example.org", Reason: "r", Owner: "jo"}); err != nil {
		t.Fatal(err)
	}
	s.world.refuse("192.0.2.10", "192.0.2.11")
	st := eventually(t, c, "in panic", func(s *Status) bool { return s.State == Panic })
	const because = "because of the freeze by jo; unfreeze would give gcp/europe-west1"
	if want := "1 of 4 services answer dead addresses " + because + ": shop.example.org"; st.ExitCode != 2 || st.Sentence != want {
		t.Errorf("%d %s", st.ExitCode, st.Sentence)
	}
	if row := st.row(t, "at risk"); row != "at risk shop.example.org answers DEAD addresses "+because {
		t.Error(row)
	}
	x, err := c.Simulate(t.Context(), "aws/us-east-1")
	if err != nil || !slices.Equal(x.Frozen, []string{"shop.example.org"}) || len(x.Without) != 0 {
		t.Errorf("%v %+v", err, x)
	}
}

// What leads to a service is explained as it is answered.
func TestExplainRecords(t *testing.T) {
	s := newSystem(t, strings.NewReplacer("\"*.wild.example.org\":", "\"*.wild.example.org\":\n    port: 8443\n    alpn: [h2]", "services:", `services:
  ldap.example.org:
    monitors: [web]
    port: 389
    srv: [_ldap._tcp]
    pools: [{aws/us-east-1: [192.0.2.60, "2001:db8::60"]}]`).Replace(fleet))
	c := client(t, s.listen(t, config.Admin{}))
	for _, tt := range []struct{ name, kind, want, owner string }{
		{"a.wild.example.org", "https", "1 . alpn=h2 port=8443", "a.wild.example.org"},
		{"a.wild.example.org", "SVCB", "1 . alpn=h2 port=8443", "a.wild.example.org"},
		{"_ldap._tcp.ldap.example.org", "SRV", "0 0 389 ldap.example.org.", "_ldap._tcp.ldap.example.org"},
		{"ldap.example.org.", "srv", "0 0 389 ldap.example.org.", "_ldap._tcp.ldap.example.org"},
	} {
		x, err := c.Explain(t.Context(), tt.name, tt.kind, "", false)
		if err != nil {
			t.Errorf("%s %s: %v", tt.name, tt.kind, err)
			continue
		}
		if x.Answer != "record" || x.Record != tt.want || x.Name != tt.owner || x.Type != strings.ToUpper(tt.kind) || len(x.Addresses) == 0 {
			t.Errorf("%s %s: %+v", tt.name, tt.kind, x)
		}
		if text := said(func(b *strings.Builder) error { return WriteExplanation(b, x) }); !strings.HasSuffix(text, "\n"+tt.want+"  "+strings.Join(x.Addresses, " ")+"\n") {
			t.Error(text)
		}
	}
	x, err := c.Explain(t.Context(), "shop.example.org", "HTTPS", "", false)
	if err != nil || x.Answer != "nodata" || len(x.Addresses) != 0 {
		t.Errorf("%v %+v", err, x)
	}
	if _, err := c.Explain(t.Context(), "shop.example.org", "SRV", "", false); err == nil || !strings.Contains(err.Error(), "no service answers SRV") {
		t.Error(err)
	}
}

// Of thousands of services a few are named, and how many there are.
func TestLongListsAreShort(t *testing.T) {
	names, moves := make([]string, 1500), make([]Move, 1500)
	risks := make([]Risk, 1500)
	for i := range names {
		names[i] = fmt.Sprintf("s%04d.example.org", i)
		moves[i] = Move{names[i], []string{"aws/us-east-1"}, []string{"gcp/europe-west1"}}
		risks[i] = Risk{Service: names[i], Lost: true}
	}
	texts := map[string]string{
		"drain": said(func(b *strings.Builder) error {
			return WriteChanged(b, "in force", &Changed{Moves: moves, Stays: names, NoReady: names, NoBackup: names, Split: names}, time.Now())
		}),
		"simulate": said(func(b *strings.Builder) error {
			return WriteSimulation(b, &Simulation{Affected: 1500, Moves: moves, Without: names, NoBackup: names, Frozen: names, Observed: names}, false)
		}),
		"status":  said(func(b *strings.Builder) error { return WriteStatus(b, &Status{AtRisk: risks}, false) }),
		"refusal": new(Client).tell(&Problem{Title: "Conflict", Detail: "no", Services: names}).Error(),
	}
	for name, text := range texts {
		if len(text) > 3000 || !strings.Contains(text, " more") || !strings.Contains(text, "s0004.example.org") {
			t.Errorf("%s says %d bytes: %.2000s", name, len(text), text)
		}
	}
	if !strings.Contains(texts["drain"], "s0009.example.org and 1490 more (--json has all): this takes the last one\n") {
		t.Error(texts["drain"])
	}
}
