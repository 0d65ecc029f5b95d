package prober

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// identity is the kind that finds out who a TLS peer is. A client that verifies in the
// handshake learns of a certificate that ended yesterday only that it ended, and from
// a peer that wants a certificate of ours nothing. So this one verifies afterwards.
type identity struct {
	d *dialer
	s *secure
}

func (p *identity) try(ctx context.Context, a *attempt) outcome {
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		o.peer = &health.Peer{}
		return o
	}
	defer c.abort()
	seen := &health.Peer{Accepted: true}
	heard := &listener{Conn: c}
	chain, err := p.shake(heard, a, seen)
	if err == nil {
		a.mark("handshake")
		seen.Held = true
	}
	switch {
	case seen.Held: // whatever came after
		o = p.s.judge(chain, a, seen)
	default:
		o = a.end(tlsCause(err))
		if o.cause == health.CauseTimeout {
			o.detail = "connected, then silence in the handshake"
		}
		if seen.Shown {
			_ = p.s.look(chain, a.target.name(), seen)
		}
		seen.Unnamed = isUnnamed(err)
		seen.Text = !seen.Shown && heard.isText()
	}
	o.peer = seen
	return o
}

// shake runs the client's handshake, and notes how far it came. That the peer holds
// the key of its certificate is certain once the handshake is done, or asks for a
// certificate of ours: its signature was verified before that (RFC 8446 section 4.4,
// RFC 5246 section 7.3, suites without a signature are not offered).
func (p *identity) shake(c net.Conn, a *attempt, seen *health.Peer) (chain []*x509.Certificate, err error) {
	tc := tls.Client(c, &tls.Config{
		ServerName:         a.target.name(),
		InsecureSkipVerify: true, // #nosec G402 -- judge verifies
		VerifyConnection: func(s tls.ConnectionState) error {
			seen.Shown, chain = true, s.PeerCertificates
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			seen.Held = true
			return &tls.Certificate{}, nil
		},
	})
	err = tc.Handshake()
	return chain, err
}

// judge says what the certificate of a peer that holds its key proves.
func (s *secure) judge(chain []*x509.Certificate, a *attempt, seen *health.Peer) outcome {
	cause, detail := health.CauseNone, ""
	if err := s.look(chain, a.target.name(), seen); err != nil {
		cause, detail = certCause(err)
	}
	if cause == health.CauseTLSUnknown && s.bare {
		cause, detail = health.CausePermission, "this machine has no certificate authorities: install them, or set ca_file"
	}
	o := a.end(cause, detail)
	o.expiry, o.wildcard = expiry(chain), byWildcard(chain, a.target.name())
	return o
}

// look verifies a certificate for a host, and notes what it is apart from its dates.
func (s *secure) look(chain []*x509.Certificate, host string, seen *health.Peer) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	leaf, now := chain[0], time.Now()
	seen.Named = leaf.VerifyHostname(host) == nil
	seen.Key, seen.Issuer = digest(leaf.RawSubjectPublicKeyInfo), digest(leaf.RawIssuer)
	o := x509.VerifyOptions{Roots: s.roots, DNSName: host, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := leaf.Verify(o)
	switch {
	case now.After(leaf.NotAfter):
		seen.Ended, o.CurrentTime = now.Sub(leaf.NotAfter), leaf.NotAfter
	case now.Before(leaf.NotBefore):
		seen.Ended, o.CurrentTime = now.Sub(leaf.NotBefore), leaf.NotBefore
	default:
		seen.Trusted = err == nil
		return err
	}
	_, other := leaf.Verify(o)
	seen.Trusted = other == nil
	return err
}

// digest is short, for it is kept and compared only.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// isUnnamed reports whether a peer said that it knows no such name. The alerts of
// crypto/tls have no exported type.
func isUnnamed(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && strings.HasSuffix(op.Err.Error(), "unrecognized name")
}

// listener keeps the first bytes that came.
type listener struct {
	net.Conn
	first []byte
}

// lead is how many bytes tell a text from a TLS record, whose second byte is 3.
const lead = 5

func (l *listener) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if missing := lead - len(l.first); missing > 0 {
		l.first = append(l.first, b[:min(n, missing)]...)
	}
	return n, err
}

// isText reports whether a readable text came: the banner of another protocol, or its
// complaint. A server that speaks first and closes may have ended the handshake before
// anything was read; what it said is still there.
func (l *listener) isText() bool {
	for len(l.first) < lead {
		if n, err := l.Read(make([]byte, lead)); n == 0 || err != nil && len(l.first) < lead {
			return false
		}
	}
	for _, c := range l.first {
		if c != '\r' && c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}
