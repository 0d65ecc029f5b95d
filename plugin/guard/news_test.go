package guard

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
)

// diary is what a listener heard.
type diary struct {
	mu   sync.Mutex
	list []guard.Event
}

func (d *diary) hear(e guard.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, e)
}

// has returns the events that say something.
func (d *diary) has(text string) (out []guard.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.list {
		if strings.Contains(e.Text, text) {
			out = append(out, e)
		}
	}
	return out
}

// TestAFailureIsOneStory holds that a server that lies half of the time makes one
// beginning and one end.
func TestAFailureIsOneStory(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		d := listen(t)
		good := has(api + " 5 IN A 192.0.2.1")
		w.below.set(api+" A", good)
		w.learn(api, time.Minute)
		for range 20 {
			w.below.set(api+" A", nodata)
			w.ask(api, dns.TypeA)
			wait(7 * time.Second)
			w.below.set(api+" A", good)
			wait(7 * time.Second)
			w.ask(api, dns.TypeA)
		}
		wait(2 * time.Minute)
		if begun, over := d.has(" fails: nodata for IPv4"), d.has("is well again"); len(begun) != 1 || len(over) != 1 {
			t.Errorf("%d beginnings, %d ends: %v", len(begun), len(over), d.list)
		}
	})
}

// TestManyFailuresAreOneLine holds that a provider's failure does not flood the
// log.
func TestManyFailuresAreOneLine(t *testing.T) {
	conf := "guard " + strings.Join(manyNames(50), " ") + " {\n state off\n}"
	inWorld(t, conf, func(w *world) {
		d := listen(t)
		_, names := w.learnMany(50)
		for _, n := range names {
			w.below.set(n+" A", nxdomain)
			w.ask(n, dns.TypeA)
		}
		wait(beat)
		got := d.has("50 names fail, and are answered with what was kept; such as n")
		if len(got) != 1 || len(got[0].Names) != 50 {
			t.Errorf("%v", d.list)
		}
	})
}

// TestAWithdrawalIsToldLate holds that a family whose failure was told, and that then
// turns out to be withdrawn, takes nothing of the other family with it.
func TestAWithdrawalIsToldLate(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		d := listen(t)
		w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
		w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::1"))
		for range 4 {
			w.ask(api, dns.TypeA)
			w.ask(api, dns.TypeAAAA)
			wait(30 * time.Second)
		}
		w.below.set(api+" AAAA", nodata)
		w.below.set(api+" A", has(api+" 17 IN A 192.0.2.1")) // from a cache on the way
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeSuccess, "2001:db8::1")
		wait(2 * time.Second)
		w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
		wait(3 * recheck)
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeSuccess)
		if len(d.has("has no IPv6 address any more")) != 1 {
			t.Errorf("told %v", d.list)
		}
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
	})
}

// listen hears what the guards tell for the length of a test.
func listen(t *testing.T) *diary {
	d := &diary{}
	guard.Front.Listen(d.hear)
	t.Cleanup(func() { guard.Front.Listen(nil) })
	return d
}
