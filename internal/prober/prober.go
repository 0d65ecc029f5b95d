// Package prober checks one endpoint once and says what it saw.
//
// A probe sends its first attempt at once and one more every timeout/attempts
// until something is heard. Earlier attempts stay open, so a slow path gets the
// whole timeout and a lost packet gets a second chance. The first success wins.
// An answer of any other kind (refused, an alert, a status) ends the probe as it
// is: only silence is tried again, so a backend that fails half of its requests
// is seen failing half of its probes.
//
// The package keeps no state between probes, logs nothing and counts nothing.
package prober

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// Target is what a probe goes to.
type Target struct {
	Addr netip.Addr // dialed as it is; an invalid one gives health.CauseNoAddress
	Port uint16     // not used by icmp
	Host string     // SNI, Host header and the name to verify, without a last dot; "" = the address itself
}

// addrPort returns the address to dial, IPv4 in its own form.
func (t Target) addrPort() netip.AddrPort { return netip.AddrPortFrom(t.Addr.Unmap(), t.Port) }

// name returns the name by which the target is asked.
func (t Target) name() string {
	if t.Host != "" {
		return t.Host
	}
	return t.Addr.Unmap().WithZone("").String()
}

// Prober runs probes of one kind. It is safe for concurrent use.
type Prober interface {
	// Probe checks t once. It returns when the outcome is known, at the latest
	// when its timeout is over, or promptly when ctx ends; a probe cut short by
	// ctx has a local cause, unless it had its time already. A caller needs no
	// timeout of its own. Nothing of it is left running.
	Probe(ctx context.Context, t Target) health.Result
}

// Env is what a prober takes from its surroundings. The zero value is of use.
type Env struct {
	// Forbidden reports whether probes must not go to an address and port (0 for
	// icmp), and why, in a few words for people. nil forbids nothing.
	Forbidden func(netip.AddrPort) (reason string, bad bool)

	// Control is called on every socket before it connects (marks, devices).
	// It is not called on icmp sockets. May be nil.
	Control func(network, address string, c syscall.RawConn) error

	// Dial replaces the system's connect for the types over TCP and UDP, in
	// tests. Control is not called then. May be nil.
	Dial func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error)

	// Roots are the authorities to trust where a Spec names no file; nil means
	// the system's.
	Roots *x509.CertPool
}

// kind is one type of probe: it makes a single attempt.
type kind interface {
	// try makes one attempt and returns when it is over, or soon after ctx ends.
	// An outcome with health.CauseTimeout means that nothing was heard.
	try(ctx context.Context, a *attempt) outcome
}

// attempt is one attempt on its way.
type attempt struct {
	target Target
	start  time.Time // of the probe, not of the attempt
	steps  []health.Step
}

// mark notes that a step is done.
func (a *attempt) mark(step string) {
	a.steps = append(a.steps, health.Step{Name: step, At: time.Since(a.start)})
}

// outcome is how an attempt ended.
type outcome struct {
	cause  health.Cause
	detail string
	expiry time.Time
	steps  []health.Step
	after  time.Duration // from the probe's start to the answer

	wildcard bool
	peer     *health.Peer
}

// end closes the attempt's books.
func (a *attempt) end(c health.Cause, detail string) outcome {
	return outcome{cause: c, detail: detail, steps: a.steps, after: time.Since(a.start)}
}

// probe implements Prober for every kind.
type probe struct {
	kind      kind
	forbidden func(netip.AddrPort) (string, bool)
	timeout   time.Duration
	attempts  int
}

var _ Prober = (*probe)(nil)

// New compiles a spec. Its errors say what to change.
func New(s Spec, env Env) (Prober, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	build, ok := kinds[s.Type]
	if !ok {
		return nil, fmt.Errorf("unknown type %q: use tcp, tls, http, https, grpc, dns or icmp", s.Type)
	}
	k, err := build(s, newDialer(env))
	if err != nil {
		return nil, err
	}
	return &probe{kind: k, forbidden: env.Forbidden, timeout: s.Timeout, attempts: max(s.Attempts, 1)}, nil
}

var kinds = map[string]func(Spec, *dialer) (kind, error){
	"tcp":   newTCP,
	"tls":   newTLS,
	"http":  newHTTP,
	"https": newHTTP,
	"grpc":  newGRPC,
	"dns":   newDNS,
	"icmp":  newICMP,
}

// Sockets returns how many file descriptors one probe may hold at a time.
func (p *probe) Sockets() int { return p.attempts }

// Probe implements Prober.
func (p *probe) Probe(ctx context.Context, t Target) health.Result {
	start := time.Now()
	if o, bad := p.refuse(t); bad {
		return o.result(start)
	}
	o := p.run(ctx, t, start)
	now := time.Now()
	if late := now.Sub(start) - p.timeout; late > p.timeout/4 {
		o = outcome{cause: health.CauseLate, detail: fmt.Sprintf("ended %s late", late.Round(time.Millisecond)), steps: o.steps}
	}
	if o.cause == health.CauseTimeout && ctx.Err() != nil && !p.listened(now.Sub(start)) {
		o = outcome{cause: health.CauseLate, detail: "cut short"}
	}
	return o.result(now)
}

// listened reports whether a probe that heard nothing for so long had its time. A
// caller's context may end together with the timeout, a moment before or after it:
// which of the two timers fires first says nothing about the target.
func (p *probe) listened(d time.Duration) bool { return d >= p.timeout-p.timeout/16 }

// refuse returns the outcome for targets that are never dialed.
func (p *probe) refuse(t Target) (outcome, bool) {
	if !t.Addr.IsValid() {
		return outcome{cause: health.CauseNoAddress, detail: "no address to probe"}, true
	}
	if p.forbidden == nil {
		return outcome{}, false
	}
	reason, bad := p.forbidden(t.addrPort())
	return outcome{cause: health.CauseForbidden, detail: reason}, bad
}

func (o outcome) result(now time.Time) health.Result {
	r := health.Result{At: now, Cause: o.cause, Detail: clean(o.detail), Expiry: o.expiry, Steps: o.steps, Wildcard: o.wildcard, Peer: o.peer}
	if o.cause != health.CauseTimeout && !o.cause.Local() && o.cause != health.CauseNoAddress {
		r.Latency = max(o.after, 1)
	}
	return r
}
