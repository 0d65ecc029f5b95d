package prober

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// script is a kind whose attempts do as they are told.
type script struct {
	mu     sync.Mutex
	starts []time.Duration
	steps  []step // of attempt 1, 2, ...; silence after the last
}

type step struct {
	after time.Duration
	cause health.Cause
}

func (s *script) try(ctx context.Context, a *attempt) outcome {
	s.mu.Lock()
	n := len(s.starts)
	s.starts = append(s.starts, time.Since(a.start))
	s.mu.Unlock()
	if n < len(s.steps) {
		timer := time.NewTimer(s.steps[n].after)
		defer timer.Stop()
		select {
		case <-timer.C:
			return a.end(s.steps[n].cause, "as told")
		case <-ctx.Done():
		}
	}
	<-ctx.Done()
	return a.end(health.CauseTimeout, "silence")
}

func TestRace(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		name   string
		steps  []step
		cause  health.Cause
		took   time.Duration
		starts int
	}{
		{"answer at once", []step{{0, health.CauseNone}}, health.CauseNone, 0, 1},
		{"slow path gets the whole timeout", []step{{1120 * ms, health.CauseNone}}, health.CauseNone, 1120 * ms, 2},
		{"first at the last moment", []step{{1999 * ms, health.CauseNone}}, health.CauseNone, 1999 * ms, 3},
		{"second wins", []step{{1900 * ms, health.CauseNone}, {10 * ms, health.CauseNone}}, health.CauseNone, 676666667, 2},
		{"third wins", []step{{9 * time.Second, 0}, {9 * time.Second, 0}, {10 * ms, health.CauseNone}}, health.CauseNone, 1343333333, 3},
		{"silence", nil, health.CauseTimeout, 2000 * ms, 3},
		{"refused is not tried again", []step{{20 * ms, health.CauseRefused}, {0, health.CauseNone}}, health.CauseRefused, 20 * ms, 1},
		{"status is not tried again", []step{{20 * ms, health.CauseStatus}, {0, health.CauseNone}}, health.CauseStatus, 20 * ms, 1},
		{"local fault alone", []step{{0, health.CauseDescriptors}}, health.CauseDescriptors, 0, 1},
		{"local fault beside an open attempt", []step{{1500 * ms, health.CauseNone}, {0, health.CausePorts}}, health.CauseNone, 1500 * ms, 3},
		{"local fault, then silence", []step{{9 * time.Second, 0}, {0, health.CausePorts}}, health.CausePorts, 2000 * ms, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{steps: tc.steps}
				p := &probe{kind: s, timeout: 2 * time.Second, attempts: 3}
				begin := time.Now()
				r := p.Probe(t.Context(), Target{Addr: netip.MustParseAddr("192.0.2.1")})
				took := time.Since(begin).Round(time.Microsecond)
				if r.Cause != tc.cause || took != tc.took.Round(time.Microsecond) {
					t.Errorf("%s after %s, want %s after %s", r.Cause, took, tc.cause, tc.took)
				}
				if len(s.starts) != tc.starts {
					t.Errorf("attempts started at %v, want %d", s.starts, tc.starts)
				}
				for i, at := range s.starts {
					if due := time.Duration(i) * 2 * time.Second / 3; (at - due).Abs() > time.Microsecond {
						t.Errorf("attempt %d started at %s, want %s", i+1, at, due)
					}
				}
			})
		})
	}
}

func TestCutShortIsLocal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := &probe{kind: &script{}, timeout: 2 * time.Second, attempts: 3}
		r := p.Probe(ctx, Target{Addr: netip.MustParseAddr("192.0.2.1")})
		if r.Cause != health.CauseLate {
			t.Errorf("cause %s, want %s", r.Cause, health.CauseLate)
		}
	})
}

// TestEqualTimeouts holds that silence is silence where the caller's context ends
// together with the probe's own timeout: which timer fires first is chance.
func TestEqualTimeouts(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Millisecond, 0, time.Microsecond, 20 * time.Millisecond} {
		for _, attempts := range []int{1, 3} {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second-ahead)
				defer cancel()
				p := &probe{kind: &script{}, timeout: 2 * time.Second, attempts: attempts}
				if r := p.Probe(ctx, Target{Addr: netip.MustParseAddr("192.0.2.1")}); r.Cause != health.CauseTimeout {
					t.Errorf("%d attempts, the context ends %s before: cause %s, want %s", attempts, ahead, r.Cause, health.CauseTimeout)
				}
			})
		}
	}
}

// TestEqualTimeoutsOnSockets holds the same on a listener that accepts and says
// nothing, and on one that drops every SYN.
func TestEqualTimeoutsOnSockets(t *testing.T) {
	for what, at := range map[string]netip.AddrPort{"tls": serve(t, hold), "tcp": fullListener(t)} {
		p := newProber(t, Spec{Type: what, Timeout: brief, Attempts: 1}, Env{}) // reads the system's roots, which takes long
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), brief)
			r := p.Probe(ctx, Target{Addr: at.Addr(), Port: at.Port(), Host: "shop.example"})
			cancel()
			if r.Cause != health.CauseTimeout {
				t.Errorf("%s: cause %s (%s), want %s", what, r.Cause, r.Detail, health.CauseTimeout)
			}
		}
	}
}

// stuck is a kind that does not look at its context, as in a paused process.
type stuck time.Duration

func (s stuck) try(_ context.Context, a *attempt) outcome {
	<-time.After(time.Duration(s))
	return a.end(health.CauseRefused, "refused")
}

func TestEndedLateIsLocal(t *testing.T) {
	for took, cause := range map[time.Duration]health.Cause{
		2400 * time.Millisecond: health.CauseRefused,
		2600 * time.Millisecond: health.CauseLate,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &probe{kind: stuck(took), timeout: 2 * time.Second, attempts: 1}
			r := p.Probe(t.Context(), Target{Addr: netip.MustParseAddr("192.0.2.1")})
			if r.Cause != cause {
				t.Errorf("after %s: cause %s, want %s", took, r.Cause, cause)
			}
		})
	}
}

// lossy plays the round trips of one attempt over a path that loses some. A SYN
// goes out again after 1 s; later packets after the usual shorter time.
type lossy struct {
	rtt   time.Duration
	trips int
	loss  float64

	mu   sync.Mutex
	rand *rand.Rand
}

func (l *lossy) try(ctx context.Context, a *attempt) outcome {
	select {
	case <-time.After(l.takes()):
		return a.end(health.CauseNone, "")
	case <-ctx.Done():
		return a.end(health.CauseTimeout, "silence")
	}
}

// takes draws how long an attempt takes.
func (l *lossy) takes() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := time.Duration(0)
	for trip := range l.trips {
		again := time.Second
		if trip > 0 {
			again = l.rtt + 200*time.Millisecond
		}
		for l.rand.Float64() < l.loss {
			took += again
			again *= 2
		}
		took += l.rtt
	}
	return took
}

func TestHealthyTargetsPass(t *testing.T) {
	for _, tc := range []struct {
		name string
		kind *lossy
		most int // failures among 2,000 probes
	}{
		{"280 ms and TLS 1.2, no loss", &lossy{rtt: 280 * time.Millisecond, trips: 4}, 0},
		{"10 ms and TLS 1.3, 20 % loss", &lossy{rtt: 10 * time.Millisecond, trips: 3, loss: 0.2}, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := tc.kind
				l.rand = rand.New(rand.NewPCG(1, 2))
				p := &probe{kind: l, timeout: 2 * time.Second, attempts: 3}
				failed := 0
				for range 2000 {
					if r := p.Probe(t.Context(), Target{Addr: netip.MustParseAddr("192.0.2.1")}); !r.Cause.OK() {
						failed++
					}
				}
				if failed > tc.most {
					t.Errorf("%d of 2,000 probes of a healthy target failed, want at most %d", failed, tc.most)
				}
				t.Logf("%d of 2,000 failed", failed)
			})
		})
	}
}

func TestRefusedTargets(t *testing.T) {
	env := Env{Forbidden: func(to netip.AddrPort) (string, bool) { return "a loopback address", to.Addr().IsLoopback() }}
	p := newProber(t, Spec{Type: "tcp"}, env)
	for _, a := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		if r := p.Probe(t.Context(), Target{Addr: netip.MustParseAddr(a), Port: 1}); r.Cause != health.CauseForbidden || r.Detail == "" {
			t.Errorf("%s: cause %s, detail %q", a, r.Cause, r.Detail)
		}
	}
	if r := p.Probe(t.Context(), Target{}); r.Cause != health.CauseNoAddress {
		t.Errorf("no address: cause %s", r.Cause)
	}
}

func TestBadSpecs(t *testing.T) {
	for _, s := range []Spec{
		{Type: "tcp"},
		{Type: "tcp", Timeout: time.Second, Attempts: -1},
		{Type: "smtp", Timeout: time.Second},
		{Type: "http", Timeout: time.Second, Method: "POST"},
		{Type: "http", Timeout: time.Second, Path: "healthz"},
		{Type: "https", Timeout: time.Second, CAFile: "/nonexistent/ca.pem", Verify: true},
		{Type: "tls", Timeout: time.Second, CAFile: "prober.go", Verify: true},
		{Type: "dns", Timeout: time.Second, QueryType: "AAAAA"},
		{Type: "dns", Timeout: time.Second, QueryName: "a..b"},
		{Type: "dns", Timeout: time.Second, Expect: Expect{Rcode: "FINE"}},
	} {
		p, err := New(s, Env{})
		if err == nil || p != nil {
			t.Errorf("%+v: accepted", s)
		}
		t.Log(err)
	}
	if _, err := New(Spec{Type: "tls", Timeout: 1, Verify: true, CAFile: "/nonexistent"}, Env{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the system's error is not wrapped: %v", err)
	}
}
