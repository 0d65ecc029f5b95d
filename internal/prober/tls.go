package prober

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// secure makes TLS connections for the kinds that need them.
type secure struct {
	roots  *x509.CertPool // nil = the system's
	verify bool
	protos []string

	// bare: there is no authority to trust on this machine (an image without
	// certificates). Then no check could pass, and that is no news of endpoints.
	bare bool
}

func newSecure(s Spec, d *dialer, protos ...string) (*secure, error) {
	roots, err := s.roots(d.roots)
	if err != nil {
		return nil, err
	}
	bare := roots != nil && roots.Equal(noRoots) || roots == nil && systemBare()
	return &secure{roots: roots, verify: s.Verify, protos: protos, bare: bare}, nil
}

var noRoots = x509.NewCertPool()

// systemBare reports whether the system has no authorities.
var systemBare = sync.OnceValue(func() bool {
	pool, err := x509.SystemCertPool()
	return err != nil || pool.Equal(noRoots)
})

// shake runs the client's handshake over c. The session is always a new one:
// there is no cache, so an expired certificate cannot hide behind a ticket.
// On failure the connection is nil and the outcome says why.
func (s *secure) shake(c *conn, a *attempt) (*tls.Conn, outcome) {
	tc := tls.Client(c, &tls.Config{
		ServerName:         a.target.name(),
		RootCAs:            s.roots,
		InsecureSkipVerify: !s.verify, // #nosec G402 -- `verify: false` in the configuration
		NextProtos:         s.protos,
	})
	if err := tc.Handshake(); err != nil {
		o := a.end(tlsCause(err))
		switch {
		case o.cause == health.CauseTimeout:
			o.detail = "connected, then silence in the handshake"
		case o.cause == health.CauseTLSUnknown && s.bare:
			o.cause, o.detail = health.CausePermission, "this machine has no certificate authorities: install them, or set ca_file"
		}
		if ce, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			o.expiry = expiry(ce.UnverifiedCertificates)
		}
		return nil, o
	}
	a.mark("handshake")
	return tc, outcome{}
}

// expiry returns when the leaf certificate ends.
func expiry(chain []*x509.Certificate) time.Time {
	if len(chain) == 0 {
		return time.Time{}
	}
	return chain[0].NotAfter
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// tlsKind passes when the handshake is done.
type tlsKind struct {
	d *dialer
	s *secure
}

func newTLS(s Spec, d *dialer) (kind, error) {
	sec, err := newSecure(s, d)
	if err != nil {
		return nil, err
	}
	if s.Identify {
		return &identity{d: d, s: sec}, nil
	}
	return &tlsKind{d: d, s: sec}, nil
}

func (p *tlsKind) try(ctx context.Context, a *attempt) outcome {
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		return o
	}
	defer c.abort()
	tc, o := p.s.shake(c, a)
	if tc == nil {
		return o
	}
	o = a.end(health.CauseNone, "")
	chain := tc.ConnectionState().PeerCertificates
	o.expiry, o.wildcard = expiry(chain), byWildcard(chain, a.target.name())
	return o
}

// byWildcard reports whether the leaf certificate names host by a wildcard only.
func byWildcard(chain []*x509.Certificate, host string) bool {
	return len(chain) > 0 && net.ParseIP(host) == nil &&
		!slices.ContainsFunc(chain[0].DNSNames, func(n string) bool { return strings.EqualFold(n, host) })
}
