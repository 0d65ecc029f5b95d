package lab

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// A session lasts 10 to 20 s after its last renewal, which may be 3 s old, and the
// others read what ended.
const (
	voiceLasts = 8 * time.Second
	voiceGone  = 40 * time.Second
)

// TestWhoIsGoneHasNoVoice: of three resolvers in two zones the one that is alone in
// its zone crashes, or hangs, and what it said last contradicts the others. It holds
// them for ten seconds at most; what nobody decides alone waits until its voice is
// gone, and not longer.
func TestWhoIsGoneHasNoVoice(t *testing.T) {
	f := newFleet(t, layout{
		datacenters: []string{"dc1"},
		seats:       []seat{{"aws/us-east-1", []int{0}}, {"gcp/europe-west1", []int{0}}, {"gcp/europe-west1", []int{0}}},
	})
	t.Parallel()
	f.addWriter()
	f.serve()
	f.agreed()
	f.all(time.Minute, "aws", f.resolvers...)
	f.saysAllUp(f.resolvers[0])
	f.crashes(t)
	f.run(f.resolvers[0])
	f.returns(f.resolvers[0])
	f.hangs(t)
	if n := f.lost.Load(); n > 0 {
		t.Errorf("%d of %d queries unanswered", n, f.asked.Load())
	}
}

// addWriter adds a service of which one region at most may be in use.
func (f *fleet) addWriter() {
	f.services = `  db.example.org:
    monitors: [web]
    single_writer: true
    pools: [{aws/us-east-1: [` + f.of("aws") + `]}, {gcp/europe-west1: [` + f.of("gcp") + `]}]
`
}

// saysAllUp waits until a resolver has said that all is up. Before that it has no
// opinion of what it did not yet judge, and holds nobody.
func (f *fleet) saysAllUp(m *member) {
	f.t.Helper()
	f.eventually(10*time.Second, m.place+" says that all is up", func() bool {
		said := f.opinion(m)
		return said != "" && !strings.Contains(said, `"judged"`)
	})
}

// opinion is what the others read of a resolver, "" if it has no voice.
func (f *fleet) opinion(m *member) string {
	return string(f.api("c1", http.MethodGet, "/v1/kv/detour/main/v1/op/"+strings.ReplaceAll(m.zone, "/", "~2F")+"/"+m.place+"?raw", nil))
}

// returns waits until a resolver that was away is one of all again.
func (f *fleet) returns(m *member) {
	f.t.Helper()
	f.eventually(20*time.Second, m.place+" answers", func() bool { return f.askAt(m.place) != "" })
	m.away.Store(false)
	// The single writer moved meanwhile, and the disk of the one that returns says that
	// it did not: of two zones none can know better, so that an operator must say.
	f.eventually(time.Minute, "the split is told", func() bool { return strings.Contains(f.status(f.resolvers[1]), "split for") })
	f.do(f.resolvers[1], "failback", "db.example.org", "--now", "--reason", "the first region is well")
	f.agreed()
	f.all(time.Minute, "aws", f.resolvers...)
}

// crashes kills a resolver in the moment in which a region fails. It said that all
// is up.
func (f *fleet) crashes(t *testing.T) {
	t.Helper()
	dead, others := f.resolvers[0], f.resolvers[1:]
	dead.away.Store(true)
	_ = dead.p.cmd.Process.Kill()
	_ = dead.p.cmd.Wait()
	f.dark("aws")
	began := time.Now()
	var moved, alone, db time.Duration // until all others did
	since := func(at *time.Duration, all bool) bool {
		if all && *at == 0 {
			*at = time.Since(began)
		}
		return *at > 0
	}
	err := kit.Every(100*time.Millisecond, voiceGone+5*time.Second, func() bool {
		a := since(&moved, each(others, func(m *member) bool { return m.at.Load() == "gcp" }))
		b := since(&alone, each(others, func(m *member) bool { return strings.Contains(f.status(m), "2 observers fresh, agree") }))
		c := since(&db, each(others, func(m *member) bool { return f.askFor(m.place, "db.example.org.") == "gcp" }))
		return a && b && c
	})
	f.light("aws")
	f.all(time.Minute, "aws", others...)
	f.dark("aws")
	base := f.all(20*time.Second, "gcp", others...)
	f.light("aws")
	f.all(time.Minute, "aws", others...)
	t.Logf("a resolver crashes: the others left the region after %v, without it after %v; its voice was gone after %v; a single writer moved after %v", moved, base, alone, db)
	switch {
	case err != nil:
		t.Errorf("not all came: %v", err)
	case moved-base > 11*time.Second: // and what a busy machine may add
		t.Errorf("it held the others by %v", moved-base)
	case db < voiceLasts:
		t.Errorf("a single writer moved after %v, against a voice that was still there", db)
	case alone < voiceLasts || alone > voiceGone:
		t.Errorf("its voice was gone after %v, want %v to %v", alone, voiceLasts, voiceGone)
	case db > alone+3*time.Second:
		t.Errorf("a single writer moved after %v, when the voice against it was gone after %v", db, alone)
	}
}

func each(who []*member, f func(*member) bool) bool {
	for _, m := range who {
		if !f(m) {
			return false
		}
	}
	return true
}

// hangs stops a resolver as a machine without a CPU does. A region fails when its
// voice is gone, and it goes on without knowing that.
func (f *fleet) hangs(t *testing.T) {
	t.Helper()
	hung, others := f.resolvers[0], f.resolvers[1:]
	hung.away.Store(true)
	_ = hung.p.cmd.Process.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = hung.p.cmd.Process.Signal(syscall.SIGCONT) })
	began := time.Now()
	f.eventually(voiceGone, "its voice is gone", func() bool {
		return each(others, func(m *member) bool { return strings.Contains(f.status(m), "2 observers fresh, agree") })
	})
	gone := time.Since(began)
	if gone < voiceLasts {
		t.Errorf("its voice was gone after %v", gone)
	}
	f.dark("aws")
	took := f.all(10*time.Second, "gcp", others...)
	before := moves(others)
	_ = hung.p.cmd.Process.Signal(syscall.SIGCONT)
	began = time.Now()
	first, spoke, left := "", time.Duration(0), time.Duration(0)
	f.eventually(30*time.Second, "it says something, and answers as the others do", func() bool {
		if first == "" {
			first = f.opinion(hung)
			spoke = time.Since(began)
		}
		if left == 0 && f.askAt(hung.place) == "gcp" {
			left = time.Since(began)
		}
		return first != "" && left > 0
	})
	if !strings.Contains(first, `"judged"`) {
		t.Errorf("the first that it says when it goes on is that all is up, which it was before:\n%s", first)
	}
	t.Logf("a resolver hangs: its voice was gone after %v; the others left a region after %v; when it went on it left the region after %v, and spoke after %v", gone, took, left, spoke)
	hung.away.Store(false)
	f.agreed()
	<-time.After(3 * time.Second)
	if n := moves(others) - before; n > 0 {
		t.Errorf("the others moved %d times when it went on", n)
	}
	f.light("aws")
	f.all(time.Minute, "aws", f.resolvers...)
}
