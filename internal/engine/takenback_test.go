package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/source"
)

// shopIn is where shop.example.org is answered from, "" if it is no service.
func shopIn(e *Engine) string {
	i, ok := e.Load().Snapshot.Plan.Find("shop.example.org.")
	if !ok {
		return ""
	}
	return usedRegions(e.Load().Snapshot, i)
}

// failedOver is an engine with a single writer that left its first region, which is well
// again since; and the text of its services.
func failedOver(t *testing.T, dir string) (e *Engine, w *world, head, shop string) {
	t.Helper()
	head = "monitors: {sql: {type: tcp, port: 5432}}\nstate: {dir: " + dir + "}\nadmin: {listen: \"off\"}\n"
	shop = "services:\n  other.example.org: {monitors: [sql], pools: [{aws/us-east-1: [192.0.2.77]}]}\n" +
		"  shop.example.org: {monitors: [sql], single_writer: true, pools: [{aws/us-east-1: [192.0.2.10]}, {gcp/europe-west1: [198.51.100.10]}]}\n"
	w = &world{}
	e = begin(t, parse(t, head+shop), w)
	pass(2 * time.Minute)
	w.set("192.0.2.10", true)
	pass(2 * time.Minute)
	w.set("192.0.2.10", false)
	pass(10 * time.Minute)
	if got := shopIn(e); got != gcp {
		t.Fatalf("it is in %s", got)
	}
	return e, w, head, shop
}

// TestAnEditIsTakenBack holds that a single writer which an edit drops, and the next one
// brings back, is where it was: not where the process found it when it started.
func TestAnEditIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w, head, shop := failedOver(t, t.TempDir())
		without, _, _ := strings.Cut(shop, "  shop.example.org")
		edit := func(text, want string) {
			t.Helper()
			if err := e.Apply(parse(t, head+text)); err != nil {
				t.Fatal(err)
			}
			pass(time.Minute)
			if got := shopIn(e); got != want {
				t.Errorf("it is in %q, want %q", got, want)
			}
		}
		edit(without, "")
		edit(shop, gcp)
		e.Close()
		e = begin(t, parse(t, head+shop), w)
		defer func() { e.Close() }()
		pass(time.Minute)
		_ = e.Do(func(c *Core) { c.AskFailback("shop.example.org.", true, time.Now()); e.publish(time.Now()) })
		pass(time.Hour)
		edit(without, "")
		edit(shop, aws)
	})
}

// TestAServiceMovesToACatalog holds that a single writer stays where it is when a catalog
// says its addresses from now on.
func TestAServiceMovesToACatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		e, _, head, _ := failedOver(t, dir)
		defer e.Close()
		if err := e.Apply(parse(t, head+"sources:\n  - consul:\n      address: \"unix://"+filepath.Join(dir, "none.sock")+
			"\"\n      services: {web: {single_writer: true, name: shop.example.org, monitors: [sql, consul], order: [aws/us-east-1, gcp/europe-west1]}}\n")); err != nil {
			t.Fatal(err)
		}
		pass(100 * time.Millisecond)
		at := func(addr, region string) source.Instance {
			return source.Instance{Addr: netip.MustParseAddr(addr), Region: region, Weight: 1, Status: source.Passing}
		}
		l := &listed{Engine: e}
		l.put(true, at("192.0.2.10", aws), at("198.51.100.10", gcp))
		pass(time.Hour)
		if got := shopIn(e); got != gcp {
			t.Errorf("it is in %s", got)
		}
	})
}

// TestMovesOfARegionThatIsNotChecked holds which edits are counted as moves where the first
// region of ten single writers was never checked from here: those that give it addresses
// which can be; not those that move nothing.
func TestMovesOfARegionThatIsNotChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		with := func(pools string) *config.Config {
			var b strings.Builder
			fmt.Fprintf(&b, "monitors: {sql: {type: tcp, port: 5432}}\nadmin: {listen: \"off\"}\nstate: {dir: %s}\nservices:\n", dir)
			for i := range 10 {
				fmt.Fprintf(&b, "  s%d.example.org: {monitors: [sql], single_writer: true, pools: [%s]}\n", i, strings.ReplaceAll(pools, "N", fmt.Sprint(i+1)))
			}
			return parse(t, b.String())
		}
		const second, unchecked = "{gcp/europe-west1: [198.51.100.N]}", "{aws/us-east-1: [\"2001:db8::N\"]}"
		w := &world{}
		dial := func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
			if to.Addr().Is6() {
				return nil, syscall.EAFNOSUPPORT
			}
			return w.dial(ctx, network, to)
		}
		e, err := Start(Options{Config: with(second), Dial: dial})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		pass(2 * time.Minute)
		both := with(unchecked + ", " + second)
		both.Limits.ReloadMoves = 100
		if err := e.Apply(both); err != nil {
			t.Fatal(err)
		}
		pass(30 * time.Minute)
		for pools, refused := range map[string]bool{
			second:                    false,
			second + ", " + unchecked: false,
			"{aws/us-east-1: [203.0.113.N]}, " + second:                  true,
			second + ", {aws/us-east-1: [203.0.113.N]}":                  false,
			unchecked + ", {azure/westeurope: [203.0.113.N]}, " + second: true,
		} {
			if err := e.Check(with(pools)); errors.Is(err, ErrTooManyMoves) != refused {
				t.Errorf("%s: %v", pools, err)
			}
		}
	})
}
