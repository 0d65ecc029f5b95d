package guard

import (
	"slices"
	"time"
)

// Reason is why a proof failed, or what is odd about it.
type Reason uint8

// The reasons.
const (
	NoReason     Reason = iota
	OtherName           // a certificate for other names
	Untrusted           // a certificate of this name that no authority vouches for
	Unrecognized        // the TLS alert unrecognized_name
	OtherText           // a readable text in place of TLS: SSH, HTTP, ...
	Refusing            // the connection was refused
	Closing             // it was accepted, and reset or closed
	Speechless          // it was accepted, and nothing was said
	Alert               // another TLS alert, or no TLS that we know
	Outdated            // a certificate that ended, and not lately or not as known
	Unheard             // the connection was not answered
)

var reasons = [...]string{
	"", "a certificate of another name", "a certificate that no authority vouches for", "it knows no such name",
	"another protocol than TLS", "refused", "accepted, then reset or closed", "accepted, then silence", "a TLS alert",
	"an expired certificate", "no answer",
}

// String returns the reason in words.
func (r Reason) String() string { return reasons[r] }

// MarshalText implements encoding.TextMarshaler.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; unknown words are NoReason.
func (r *Reason) UnmarshalText(b []byte) error {
	*r = Reason(max(slices.Index(reasons[:], string(b)), 0)) // #nosec G115 -- an index of eleven
	return nil
}

// Cert is what is kept of a certificate: digests of its key and its issuer.
type Cert struct {
	Key    string `json:"key,omitempty"`
	Issuer string `json:"issuer,omitempty"`
}

// maxDigest bounds a digest, in bytes.
const maxDigest = 64

// succeeds reports whether a certificate has the key or the issuer of the last good one.
func (c *Cert) succeeds(old *Cert) bool {
	return c.Key != "" && c.Key == old.Key || c.Issuer != "" && c.Issuer == old.Issuer
}

// Evidence is what a proof said.
type Evidence struct {
	Proof Proof
	Why   Reason
	Cert  Cert // of a member that showed one for the name

	// Ended is how long ago it ended, 0 = it is in date. Whoever forgot to renew it is
	// still who they are: for Lenience it proves, if it is as the last good one.
	Ended time.Duration
}

// Lenience is how long a certificate proves after it ended.
const Lenience = 30 * 24 * time.Hour

// Weigh returns what evidence says of a member of this name, and keeps the certificate
// of a member that proved itself.
func (n *Name) Weigh(e *Evidence) Proof {
	switch {
	case e.Proof != Proven:
	case e.Ended == 0:
		if e.Cert != (Cert{}) {
			n.Cert = e.Cert
		}
	case e.Ended > Lenience || !e.Cert.succeeds(&n.Cert):
		e.Proof, e.Why = Mute, Outdated
	}
	return e.Proof
}

// Testify takes in what evidence says of a member, and reports whether its state is
// another one now.
func (n *Name) Testify(v6 bool, ip Addr, e *Evidence, now Stamp) (isNew bool) {
	p := n.Weigh(e)
	isNew = n.Prove(v6, ip, p, now)
	if m := n.Of(v6).find(ip); m != nil && p != Unproven {
		expired := p == Proven && e.Ended > 0
		isNew = isNew || m.Expired != expired
		if m.Expired = expired; m.Proof != Refuted || p == Contradicts {
			m.Why = e.Why
		}
	}
	return isNew
}

// Prove takes in what a proof said of a member. One that contradicts makes it mute, and
// a second one within Twice refutes it: a single one may be a restart, or a balancer
// that has just lost its configuration.
func (n *Name) Prove(v6 bool, ip Addr, p Proof, now Stamp) (isNew bool) {
	m := n.Of(v6).find(ip)
	if m == nil || p == Unproven {
		return false
	}
	was, isLent := m.Proof, m.Lent
	p = m.decide(p, now)
	isProof := p == Proven || p == Refuted
	if was == Refuted && !isProof { // that takes nothing back
		return false
	}
	if m.Proof = p; isProof {
		m.Was, m.Proved, m.Own, m.doubted = p, now, now, 0
		m.Lent, m.Told = m.Lent && p != Proven, m.Told && p != Proven
	}
	if k := n.Of(v6); p == Proven && isLent && k.Kind == NoKind {
		k.Kind = kindOf([]Addr{ip})
	}
	n.noteProof(v6, p, isLent)
	return was != p
}

// noteProof notes that the name proves itself: a member did while answers of its family were
// good, or one that only others keep.
func (n *Name) noteProof(v6 bool, p Proof, isLent bool) {
	n.Proves = n.Proves || p == Proven && (isLent || n.Of(v6).Bad == 0)
}

// IsLent reports whether only other observers keep a member, and it proved nothing here.
func (n *Name) IsLent(v6 bool, ip Addr) bool {
	m := n.Of(v6).find(ip)
	return m != nil && m.Lent
}

// Twice is the time within which two proofs must contradict.
const Twice = 10 * time.Second

// decide returns what a proof makes of a member. It notes one that contradicts.
func (m *Member) decide(p Proof, now Stamp) Proof {
	switch {
	case p != Contradicts:
		return p
	case m.isDoubted(now):
		return Refuted
	}
	m.doubted = now
	return Mute
}

func (m *Member) isDoubted(now Stamp) bool {
	since := now.Sub(m.doubted)
	return m.doubted != 0 && since >= 0 && since <= Twice
}

// Doubtful reports whether a member contradicted a moment ago, so that a second proof
// would decide.
func (n *Name) Doubtful(v6 bool, ip Addr, now Stamp) bool {
	m := n.Of(v6).find(ip)
	return m != nil && m.Proof != Refuted && m.isDoubted(now)
}

// isFaint reports whether a member does not say any more who it is.
func (m *Member) isFaint() bool { return m.Proof == Silent || m.Proof == Mute }

// rank orders members: those that are faint stand behind all others.
func (m *Member) rank() int {
	if m.isFaint() {
		return 1
	}
	return 0
}

// vouched returns when a member was last known to be the name's: by its proof, or by
// the name's own DNS.
func (m *Member) vouched() Stamp {
	if m.Was == Proven {
		return max(m.Proved, m.Last)
	}
	return m.Last
}

// Untried returns a member to shake hands with while answers are good, so that it
// is known what can be demanded later: at most one a day, until one proved itself.
// Who does that calls Trying.
func (n *Name) Untried(r *Rules, now Stamp) (ip Addr, isDue bool) {
	if n.Proves || r.Demand == Age || n.Tried != 0 && now.Sub(n.Tried) < daily {
		return ip, false
	}
	for _, k := range []*Kept{&n.V4, &n.V6} {
		for i := range k.Members {
			if m := &k.Members[i]; k.Bad == 0 && m.Last >= k.Good && k.fits(m.IP) {
				return m.IP, true
			}
		}
	}
	return ip, false
}

// Trying notes that a member shakes hands while answers are good.
func (n *Name) Trying(ip Addr, now Stamp) {
	n.Tried = now
	if m := n.Of(ip.Is6()).find(ip); m != nil {
		m.asked = now
	}
}
