package engine

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/plan"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/steer"
)

// neverChanged are the types whose values a core replaces as a whole, so that two
// cores may share one.
var neverChanged = []reflect.Type{
	reflect.TypeFor[*plan.Plan](), reflect.TypeFor[*steer.Snapshot](), reflect.TypeFor[*observer](), reflect.TypeFor[*agree.Roster](),
	reflect.TypeFor[health.Ejections](), reflect.TypeFor[share.Read](), reflect.TypeFor[steer.Memory](), reflect.TypeFor[agree.Marks](),
	reflect.TypeFor[time.Time](), reflect.TypeFor[health.Result](),
}

// shared lists the places at which two values have memory in common that one of
// them could change.
func shared(a, b reflect.Value, at string) (out []string) {
	if slices.Contains(neverChanged, a.Type()) {
		return nil
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return nil
		}
		if a.Pointer() == b.Pointer() {
			return []string{at}
		}
		return shared(a.Elem(), b.Elem(), at)
	case reflect.Map:
		if !a.IsNil() && !b.IsNil() && a.Pointer() == b.Pointer() {
			return []string{at}
		}
	case reflect.Slice:
		if a.Cap() > 0 && b.Cap() > 0 && a.Pointer() == b.Pointer() {
			return []string{at}
		}
		for i := range min(a.Len(), b.Len(), 1) {
			out = append(out, shared(a.Index(i), b.Index(i), at+"[]")...)
		}
	case reflect.Struct:
		for i := range a.NumField() {
			out = append(out, shared(a.Field(i), b.Field(i), at+"."+a.Type().Field(i).Name)...)
		}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Interface:
		return []string{at + " of a kind that cannot be copied"}
	default: // a plain value
	}
	return out
}

// nested has every kind of sharing that the test must find.
type nested struct {
	list []int
	set  map[string]bool
	deep struct{ p *int }
	fine time.Time
}

func TestSharedFindsWhatIsShared(t *testing.T) {
	a := nested{list: make([]int, 1), set: map[string]bool{}, fine: time.Now()}
	a.deep.p = new(int)
	b := a
	if got := shared(reflect.ValueOf(a), reflect.ValueOf(b), "x"); !slices.Equal(got, []string{"x.list", "x.set", "x.deep.p"}) {
		t.Errorf("found %q", got)
	}
}

// What the API tries on a copy must reach nothing that the loop changes: a map that
// is read while it is written ends the process.
func TestCloneSharesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := gatherNine(t, newHub()) // of a core that divides its checks every field is set
		_ = all[0].Do(func(c *Core) {
			if c.council.duty.team == nil || len(c.council.duty.since) == 0 || c.council.duty.needs == nil {
				t.Error("the core does not divide checks: this test proves nothing")
			}
			got := shared(reflect.ValueOf(c), reflect.ValueOf(c.clone()), "core")
			if len(got) > 0 {
				t.Errorf("a clone shares with its original: %q", got)
			}
		})
	})
}

// Many peers change what they say while a configuration is compared. It runs in
// real time, for the race detector.
func TestCompareWhilePeersChange(t *testing.T) {
	h := newHub()
	e, err := Start(Options{
		Config: parse(t, "self: {name: r0, zone: onprem/z0}\n"+strings.ReplaceAll(wide(wideServices), "DIR", t.TempDir())), Dial: new(world).dial, Share: &seat{h: h, name: "r0"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var digests []uint32
	_ = e.Do(func(c *Core) { digests = c.Opinion(time.Now()).Buckets })
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			name := fmt.Sprint("peer", n%40)
			_ = (&seat{h: h, name: name}).Publish(ctx, share.Opinion{
				Observer: name, Boot: fmt.Sprint(n / 400), Zone: fmt.Sprint("onprem/z", n%3), Buckets: digests, Braked: n%7 == 0,
			})
		}
	})
	compared := 0
	for ; ctx.Err() == nil; compared++ {
		if _, err := e.Against(t.Context(), e.Load().Plan.Config); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if compared < 3 {
		t.Errorf("compared %d times: too few to find a race", compared)
	}
}
