package guard

import (
	"context"
	"net/netip"
	"strings"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/prober"
)

// ask makes one member prove itself.
func (p prover) ask(name string, ip netip.Addr) guard.Evidence {
	// No timeout around the probe's own: silence would become a fault of ours.
	r := p.probe.Probe(context.Background(), prober.Target{Addr: ip, Port: p.port, Host: strings.TrimSuffix(name, ".")})
	w := evidenceOf(&r)
	proofsTotal.WithLabelValues(w.Proof.String()).Inc()
	return w
}

// evidenceOf says what a probe's result proves. What is our own fault, or says nothing
// of who answered, proves nothing.
func evidenceOf(r *health.Result) guard.Evidence {
	switch p := r.Peer; {
	case r.Cause.Local():
		return guard.Evidence{}
	case p == nil && r.Cause.OK(): // a connection was all that was demanded
		return guard.Evidence{Proof: guard.Proven}
	case p == nil || !p.Shown:
		return withoutCertificate(r)
	default:
		return certified(r, p)
	}
}

// withoutCertificate is what a peer says that shows none.
func withoutCertificate(r *health.Result) guard.Evidence {
	p := r.Peer
	if p == nil {
		p = &health.Peer{}
	}
	switch {
	case p.Text:
		return guard.Evidence{Proof: guard.Contradicts, Why: guard.OtherText}
	case p.Unnamed:
		return guard.Evidence{Proof: guard.Contradicts, Why: guard.Unrecognized}
	case r.Cause == health.CauseRefused:
		return guard.Evidence{Proof: guard.Contradicts, Why: guard.Refusing}
	case r.Cause == health.CauseTimeout && p.Accepted:
		return guard.Evidence{Proof: guard.Mute, Why: guard.Speechless}
	case r.Cause == health.CauseTimeout, r.Cause == health.CauseUnreachable:
		return guard.Evidence{Proof: guard.Silent, Why: guard.Unheard}
	}
	return guard.Evidence{Proof: guard.Mute, Why: brokenOff(r)}
}

// brokenOff is why a handshake did not end that the peer took part in.
func brokenOff(r *health.Result) guard.Reason {
	switch r.Cause {
	case health.CauseReset:
		return guard.Closing
	case health.CauseTimeout:
		return guard.Speechless
	default:
		return guard.Alert
	}
}

// certified is what a peer's certificate says. Anybody can show any certificate: it
// proves something only with its key, and says against the peer without it.
func certified(r *health.Result, p *health.Peer) guard.Evidence {
	w := guard.Evidence{Cert: guard.Cert{Key: p.Key, Issuer: p.Issuer}, Ended: max(p.Ended, 0)}
	switch {
	case !p.Named:
		w.Proof, w.Why = guard.Contradicts, guard.OtherName
	case p.Trusted && p.Ended < 0, p.Trusted && r.Wildcard: // our clock is wrong; or it proves the edge, and no tenant
	case p.Trusted && !p.Held:
		w.Proof, w.Why = guard.Mute, brokenOff(r)
	case p.Trusted:
		w.Proof = guard.Proven
	case r.Cause == health.CauseTLSExpired:
		w.Proof, w.Why = guard.Mute, guard.Outdated
	default:
		w.Proof, w.Why = guard.Contradicts, guard.Untrusted
	}
	return w
}
