package failover

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// collecting returns a registry with the metrics of some handlers only.
func collecting(handlers ...*Failover) *prometheus.Registry {
	r := &registry{shared: map[string]*shared{}}
	for i, f := range handlers {
		r.shared[fmt.Sprint(i)] = f.shared
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(collector{r})
	return reg
}

// scraped returns every sample by name and labels, `name{a="b"}`; of histograms
// the number of what was counted.
func scraped(t *testing.T, handlers ...*Failover) map[string]float64 {
	t.Helper()
	families, err := collecting(handlers...).Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			key := strings.TrimPrefix(f.GetName(), "coredns_failover_") + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.GetHistogram() != nil:
				out[key] = float64(m.GetHistogram().GetSampleCount())
			case m.GetCounter() != nil:
				out[key] = m.GetCounter().GetValue()
			default:
				out[key] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// assertScraped compares some samples; NaN is one that must be missing.
func assertScraped(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for key, v := range want {
		if is, ok := got[key]; math.IsNaN(v) && ok || !math.IsNaN(v) && (!ok || is != v) {
			t.Errorf("%s = %v (there: %v), want %v", key, is, ok, v)
		}
	}
}

// reload applies another failover.yaml as an edit of the file does.
func reload(t *testing.T, f *Failover, edit func(string) string) {
	t.Helper()
	text, err := os.ReadFile(f.shared.path)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse(f.shared.path, []byte(edit(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.shared.engine().Apply(cfg); err != nil {
		t.Fatal(err)
	}
}

var missing = math.NaN()

// TestMetrics: what operators' hands and the first answers show.
func TestMetrics(t *testing.T) {
	f := handler(t, twoRegions+`
  alone.example.org: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.30]}]}
overrides:
  - {target: gcp/europe-west1, do: drain, reason: r, owner: o}
  - {target: old.example.org/192.0.2.20, do: down, reason: r, owner: o}
self: {checks: ["tcp://192.0.2.1:53"]}
`, nil)
	ask(t, f, "10.240.0.1", question("shop.example.org.", dns.TypeA))
	ask(t, f, "10.240.0.1", question("old.example.org.", dns.TypeA))
	assertScraped(t, scraped(t, f), map[string]float64{
		`answers_total{reason="policy",region="aws/us-east-1",service="shop.example.org"}`:                1,
		`answers_total{reason="panic",region="aws/us-east-1",service="old.example.org"}`:                  1,
		`service_standing{region="aws/us-east-1",service="shop.example.org"}`:                             5,
		`service_standing{region="gcp/europe-west1",service="shop.example.org"}`:                          0,
		`service_standing{region="aws/us-east-1",service="old.example.org"}`:                              1,
		`endpoint_standing{endpoint="192.0.2.20",region="aws/us-east-1",service="old.example.org"}`:       1,
		`endpoint_standing{endpoint="198.51.100.20",region="gcp/europe-west1",service="old.example.org"}`: 0,
		`endpoint_standing{endpoint="192.0.2.10",region="aws/us-east-1",service="shop.example.org"}`:      missing,
		`service_backups{service="shop.example.org"}`:                                                     0,
		`service_backups{service="alone.example.org"}`:                                                    missing,
		`service_panic{service="shop.example.org"}`:                                                       0,
		`service_panic{service="old.example.org"}`:                                                        1,
		`drained_but_only_healthy{service="old.example.org"}`:                                             1, // not known to be sick
		`region_verdict{region="aws/us-east-1"}`:                                                          0,
		`region_evidence_ratio{region="aws/us-east-1"}`:                                                   0,
		`ramp_share{region="aws/us-east-1"}`:                                                              100,
		`override_remaining_seconds{kind="drain",target="gcp/europe-west1"}`:                              math.Inf(1),
		`override_remaining_seconds{kind="down",target="old.example.org/192.0.2.20"}`:                     math.Inf(1),
		`brake{}`: 0, `brake_fired_total{}`: 0, `frozen{}`: 0, `self_checks_failing{}`: 0, `probes_overdue{}`: 0,
		`config_last_reload_success{}`: 1, `state_kept{}`: 1, `state_write_errors_total{}`: 0,
		`refused_moves_total{why="cap"}`: 0, `refused_moves_total{why="frozen"}`: 0,
	})
}

// TestRecordsAreCounted: HTTPS, SVCB and SRV are answers as A and AAAA are, and
// what the service does not answer is none.
func TestRecordsAreCounted(t *testing.T) {
	f := handler(t, `
services:
  web.example.org: {monitors: [web], port: 443, srv: [_https._tcp], pools: [{aws/us-east-1: [192.0.2.30]}]}
  bare.example.org: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.31]}]}
`, nil)
	for name, kind := range map[string]uint16{"web.example.org.": dns.TypeHTTPS, "WEB.example.org.": dns.TypeSVCB, "_https._tcp.web.example.org.": dns.TypeSRV} {
		ask(t, f, "10.240.0.1", question(name, kind))
	}
	ask(t, f, "10.240.0.1", question("bare.example.org.", dns.TypeHTTPS))
	ask(t, f, "10.240.0.1", question("_https._tcp.web.example.org.", dns.TypeTXT))
	assertScraped(t, scraped(t, f), map[string]float64{
		`answers_total{reason="policy",region="aws/us-east-1",service="web.example.org"}`:  3,
		`answers_total{reason="policy",region="aws/us-east-1",service="bare.example.org"}`: missing,
	})
}

// TestHashesCompareResolvers: two with the same file agree, one that decides
// otherwise does not, and no digit is lost in a float.
func TestHashesCompareResolvers(t *testing.T) {
	a, b := handler(t, twoRegions, nil), handler(t, twoRegions, nil)
	other := handler(t, twoRegions+"overrides: [{target: shop.example.org/192.0.2.10, do: drain, reason: r, owner: o}]\n", nil)
	const key = "decision_hash{}"
	x, y, z := scraped(t, a)[key], scraped(t, b)[key], scraped(t, other)[key]
	if x != y || x == z || uint64(x) != a.shared.load().Hash()>>16 {
		t.Errorf("the hashes are %v, %v and %v, of %x", x, y, z, a.shared.load().Hash())
	}
	var c uint64
	if _, err := fmt.Sscanf(a.shared.load().Plan.Config.Hash[:12], "%x", &c); err != nil || scraped(t, a)["config_hash{}"] != float64(c) {
		t.Errorf("config_hash is %v, want %x: %v", scraped(t, a)["config_hash{}"], c, err)
	}
}

// TestTwoFilesShareOneScrape: Prometheus refuses all metrics of a process if one
// is there twice.
func TestTwoFilesShareOneScrape(t *testing.T) {
	one, two := handler(t, twoRegions, nil), handler(t, twoRegions, nil)
	ask(t, one, "10.240.0.1", question("shop.example.org.", dns.TypeA))
	ask(t, two, "10.240.0.1", question("shop.example.org.", dns.TypeA))
	assertScraped(t, scraped(t, one, two), map[string]float64{
		`checks{verdict="unknown"}`: 12,
		`answers_total{reason="policy",region="aws/us-east-1",service="shop.example.org"}`: 2,
		`service_panic{service="shop.example.org"}`:                                        0,
		`decision_hash{}`: 0, // equal ones cancel out, whatever they are
	})
}

// TestCountersNeverGoBack: a service that leaves and comes back counts on, and
// sums keep what services that left had counted.
func TestCountersNeverGoBack(t *testing.T) {
	f := handler(t, twoRegions, nil)
	twice := func(name string) {
		for range 2 {
			ask(t, f, "10.240.0.1", question(name, dns.TypeA))
		}
	}
	one := `answers_total{reason="policy",region="aws/us-east-1",service="shop.example.org"}`
	all := `answers_total{reason="policy",region="aws/us-east-1",service="all"}`
	without := func(s string) string { return strings.ReplaceAll(s, "shop.example.org", "next.example.org") }
	summed := func(s string) string { return s + "metrics: {services: 0}\n" }

	twice("shop.example.org.")
	late := f.shared.load()
	reload(t, f, without)
	twice("next.example.org.")
	f.shared.count(late, 0, &steer.Decision{Pool: 0, Region: 0}) // a query that began before
	assertScraped(t, scraped(t, f), map[string]float64{one: missing, all: missing})
	reload(t, f, func(s string) string { return summed(without(s)) })
	assertScraped(t, scraped(t, f), map[string]float64{one: missing, all: 5})
	reload(t, f, func(s string) string { return s })
	twice("shop.example.org.")
	assertScraped(t, scraped(t, f), map[string]float64{one: 5, all: missing})
}

func TestSumsOfMovesNeverGoBack(t *testing.T) {
	var m moves
	move := func(service string) engine.Moved { return engine.Moved{Service: service, From: "a", To: "b", Why: "w"} }
	for i, now := range []map[engine.Moved]uint64{
		{move("x"): 2, move("y"): 1},
		{move("y"): 1},               // x left
		{move("x"): 1, move("y"): 1}, // and came back, and moved
	} {
		all := scrape{map[sample]float64{}, nil}
		m.collect(&all, now, true)
		if got, want := all.values[newSample(movesTotal, []string{"all", "a", "b", "w"})], []float64{3, 3, 4}[i]; got != want {
			t.Errorf("scrape %d: %v, want %v", i, got, want)
		}
	}
}

// TestLedgerIsBounded: services that come and go for ever cost no more memory, and
// their answers stay in the sums.
func TestLedgerIsBounded(t *testing.T) {
	f := handler(t, "services: {a.example.org: {monitors: [web], pools: [{aws/x: [192.0.2.1]}]}}", nil)
	l, p := &f.shared.ledger, f.shared.load().Plan
	for round := range 3 {
		for i := range spareCells {
			l.open(p)
			l.mu.Lock()
			c := new(cell)
			c.n[0].Store(1)
			l.cells[owner{fmt.Sprint(round, i), "aws/x"}] = c
			l.mu.Unlock()
		}
	}
	l.open(p)
	if n := len(l.cells); n > spareCells+10 {
		t.Errorf("%d cells are kept", n)
	}
	if got := l.sums()["aws/x"][0]; got != 3*spareCells {
		t.Errorf("the sum is %d, want %d", got, 3*spareCells)
	}
}

// TestSeriesAreBounded: ten thousand services have as many series as one, for each
// pair of region and reason.
func TestSeriesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("ten thousand services")
	}
	f := handler(t, thousands(10_000), nil)
	for i := range 500 {
		ask(t, f, "10.240.0.1", question(fmt.Sprintf("s%05d.example.org.", i), dns.TypeA))
	}
	got := scraped(t, f)
	const bound = 40 // of them 6 are refusals, 3 verdicts of checks, and 5 for each of the two regions
	if len(got) > bound {
		t.Errorf("%d series, at most %d:\n%v", len(got), bound, got)
	}
	assertScraped(t, got, map[string]float64{
		`answers_total{reason="policy",region="aws/us-east-1",service="all"}`: 500,
		`service_backups{service="all"}`:                                      1,
		`service_panic{service="all"}`:                                        0,
		`service_standing{region="aws/us-east-1",service="all"}`:              5,
		`service_panic{service="s00042.example.org"}`:                         missing,
	})
	reload(t, f, func(s string) string { return s + "metrics: {services: 10000}\n" })
	if n := len(scraped(t, f)); n < 50_000 {
		t.Errorf("%d series with all services by name: the bound tests nothing", n)
	}
}

// TestEndpointSeriesAreBounded: when everything fails, a scrape stays readable.
func TestEndpointSeriesAreBounded(t *testing.T) {
	f := handler(t, "metrics: {services: 50}\noverrides: [{target: aws/us-east-1, do: down, reason: r, owner: o}, {target: gcp/europe-west1, do: down, reason: r, owner: o}]\n"+thousands(50), nil)
	n := 0
	for key := range scraped(t, f) {
		if strings.HasPrefix(key, "endpoint_standing{") {
			n++
		}
	}
	if n != 50 {
		t.Errorf("%d of the 100 endpoints have a series, want 50", n)
	}
}

// BenchmarkScrape gathers what Prometheus would get of 10,000 services, summed up
// and by name.
func BenchmarkScrape(b *testing.B) {
	for _, limit := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("services=%d", limit), func(b *testing.B) {
			reg := collecting(handler(b, fmt.Sprintf("metrics: {services: %d}\n%s", limit, thousands(10_000)), nil))
			for b.Loop() {
				if _, err := reg.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
