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
// find when they start; higher versions win, and what is not sound is left out.
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
	stocks(t, a, "12b 25a |")
	stocks(t, in("c", "aws/us-east-1"), "| 12b 25a")
	keep(in("nowhere", ""), keptOf('3', 1, "nowhere"))
	stocks(t, in("d", ""), "31nowhere | 12b 25a")

	base := a.keys.kept("aws/eu-west-1")
	foreign, _ := json.Marshal(keptOf('7', 1, "a"))
	decision, _ := json.Marshal(share.Record{Kind: share.Override, Target: strings.Repeat("8", 32), Version: share.Version{N: 1, Writer: "a"}})
	for key, value := range map[string]string{
		strings.Repeat("4", 32): "{", strings.Repeat("5", 32): strings.Repeat("x", maxKept+1), "short": "{}",
		strings.Repeat("6", 32): string(foreign), strings.Repeat("8", 32): string(decision),
	} {
		server.Do(http.MethodPut, "/v1/kv/"+base+key, []byte(value))
	}
	keep(a, keptOf('9', 1, "a"))
	stocks(t, b, "12b 25a 91a |")
	if err := a.Keep(t.Context(), []share.Record{{Kind: share.Override, Target: "x"}}); err != nil {
		t.Errorf("what cannot be stored is left out: %v", err)
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
