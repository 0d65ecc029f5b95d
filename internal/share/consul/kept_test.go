package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/test/kit"
)

// keptOf is a record of what a guard keeps.
func keptOf(digit byte, n uint64, writer string) share.Record {
	return share.Record{
		Kind: share.Kept, Target: strings.Repeat(string(digit), 32), Version: share.Version{N: n, Writer: writer},
		Value: json.RawMessage(fmt.Sprintf(`{"by":%q}`, writer)),
	}
}

// stocks waits until the stock is as wanted.
func stocks(t *testing.T, s *Share, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*keptApart)
	defer cancel()
	last := "nothing was read"
	for {
		stock, err := s.Kept(ctx)
		if err != nil {
			t.Fatalf("%s has not in stock %q, last: %s (%v)", s.o.Observer, want, last, err)
		}
		var all []string
		for _, r := range stock.Here {
			all = append(all, fmt.Sprint(r.Target[:1], r.Version.N, r.Version.Writer))
		}
		all = append(all, "|")
		for _, r := range stock.Elsewhere {
			all = append(all, fmt.Sprint(r.Target[:1], r.Version.N, r.Version.Writer))
		}
		if last = strings.Join(all, " "); last == want {
			return
		}
	}
}

// TestKept: what one keeps others of its zone read soon, and those of other zones
// find when they start; each has a word of its own, and what is not sound, or not in the
// key of who says it, is left out.
func TestKept(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	in := func(name, zone string) *Share {
		return observe(t, name, func(o *Options) { o.Zone = zone }, server)
	}
	a, b := in("a", "aws/eu-west-1"), in("b", "aws/eu-west-1")
	stocks(t, b, "|")
	keep := func(s *Share, list ...share.Record) {
		t.Helper()
		if err := s.Keep(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	keep(a, keptOf('1', 1, "a"), keptOf('2', 5, "a"))
	stocks(t, b, "11a 25a |")
	keep(b, keptOf('2', 4, "b"), keptOf('1', 2, "b"))
	stocks(t, a, "11a 12b 25a 24b |")
	stocks(t, in("c", "aws/us-east-1"), "| 11a 12b 25a 24b")
	keep(in("nowhere", ""), keptOf('3', 1, "nowhere"))
	stocks(t, in("d", ""), "31nowhere | 11a 12b 25a 24b")
	keep(a, keptOf('1', 3, "a"), keptOf('8', 1, "b")) // the latter is not its own to say
	stocks(t, b, "13a 12b 25a 24b |")

	const zone = "aws/eu-west-1"
	put := func(at keptAt, r share.Record, zone string) {
		t.Helper()
		value, _ := json.Marshal(keptRecord{r, zone})
		server.Do(http.MethodPut, "/v1/kv/"+a.keys.keptBy(at.zone, at.observer)+at.digest, value)
	}
	digest := func(digit string) string { return strings.Repeat(digit, 32) }
	for key, value := range map[string]string{digest("4"): "{", digest("5"): strings.Repeat("x", maxKept+1), "short": "{}"} {
		server.Do(http.MethodPut, "/v1/kv/"+a.keys.keptBy(zone, "a")+key, []byte(value))
	}
	put(keptAt{zone, "a", digest("6")}, keptOf('7', 1, "a"), zone)            // of another name
	put(keptAt{zone, "thief", digest("6")}, keptOf('6', 1, "a"), zone)        // of another observer
	put(keptAt{zone, "a", digest("6")}, keptOf('6', 1, "b"), zone)            // by another
	put(keptAt{zone, "a", digest("7")}, keptOf('7', 1, "a"), "gcp/elsewhere") // of another zone
	put(keptAt{"gcp/elsewhere", "a", digest("7")}, keptOf('7', 1, "a"), zone)
	put(keptAt{zone, "a/b", digest("7")}, keptOf('7', 1, "a"), zone)
	put(keptAt{zone, "a", digest("8")}, share.Record{Kind: share.Override, Target: digest("8"), Version: share.Version{N: 1, Writer: "a"}}, zone)
	old, _ := json.Marshal(keptOf('7', 1, "a"))
	server.Do(http.MethodPut, "/v1/kv/"+a.keys.kept(zone)+digest("7"), old)
	keep(a, keptOf('9', 1, "a"))
	stocks(t, b, "13a 12b 25a 24b 91a |")
	if err := a.Keep(t.Context(), []share.Record{{Kind: share.Override, Target: "x"}}); err != nil {
		t.Errorf("what cannot be stored is left out: %v", err)
	}
}

// TestKeptCrowdsNobodyOut: an observer that writes without bounds has no more room than
// any other, and takes none of theirs.
func TestKeptCrowdsNobodyOut(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a := observe(t, "b", nil, server)
	for i := range maxNames + 50 {
		r := keptOf('0', 1, "a")
		r.Target = fmt.Sprintf("%032x", i)
		value, _ := json.Marshal(keptRecord{r, a.o.Zone})
		server.Do(http.MethodPut, "/v1/kv/"+a.keys.keptBy(a.o.Zone, "a")+r.Target, value)
	}
	if err := a.Keep(t.Context(), []share.Record{keptOf('f', 1, "b")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	stock, err := a.Kept(ctx)
	if n := len(stock.Here); err != nil || n != maxNames+1 || stock.Here[n-1].Version.Writer != "b" {
		t.Errorf("%d, %v", len(stock.Here), err)
	}
}

// TestKeptInBatches: a thousand names are more than one write holds.
func TestKeptInBatches(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a := observe(t, "a", nil, server)
	var list []share.Record
	for i := range 300 {
		r := keptOf('0', 1, "a")
		r.Target = fmt.Sprintf("%032x", i)
		r.Value, _ = json.Marshal(strings.Repeat("x", 7<<10))
		list = append(list, r)
	}
	if err := a.Keep(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if stock, err := a.Kept(ctx); err != nil || len(stock.Here) != len(list) {
		t.Errorf("%d of %d, %v", len(stock.Here), len(list), err)
	}
	if n := a.stores[0].writes.Load(); n < 9 || n > 20 {
		t.Errorf("%d writes", n)
	}
}

// TestKeptDoesNothingToAgreement: that nobody may read what guards keep is told
// once, and the others are heard as ever.
func TestKeptDoesNothingToAgreement(t *testing.T) {
	t.Parallel()
	server := kit.Consul(t, kit.ConsulOptions{})
	a := observe(t, "a", nil, server)
	a.stores[0].deliverKept(nil, true, errNoAnswer)
	if a.stores[0].trouble != [2]bool{} || !a.stores[0].kept.failed {
		t.Errorf("%v", a.stores[0].trouble)
	}
	publish(t, a, health.CauseTimeout)
	hears(t, observe(t, "b", nil, server), soon, "a timeout")
}
