package prober

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// serveTLS serves TLS with a certificate; handle gets shaken connections.
func serveTLS(t *testing.T, cfg *tls.Config, handle func(*tls.Conn)) netip.AddrPort {
	t.Helper()
	return serve(t, func(c net.Conn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			handle(tc)
		}
	})
}

func holdTLS(c *tls.Conn) { hold(c) }

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	end := time.Now().Add(72 * time.Hour).Truncate(time.Second)
	good := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", end)}}
	old := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", time.Now().Add(-time.Hour))}}
	picky := good.Clone()
	picky.ClientAuth, picky.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	verify := Spec{Type: "tls", Verify: true, CAFile: ca.file}
	for _, tc := range []struct {
		name  string
		spec  Spec
		host  string
		cfg   *tls.Config
		cause health.Cause
	}{
		{"good", verify, "shop.example", good, health.CauseNone},
		{"by address", verify, "", good, health.CauseNone},
		{"wrong name", verify, "bank.example", good, health.CauseTLSName},
		{"expired", verify, "shop.example", old, health.CauseTLSExpired},
		{"untrusted", Spec{Type: "tls", Verify: true, CAFile: other.file}, "shop.example", good, health.CauseTLSUnknown},
		{"another expired", verify, "bank.example", old, health.CauseTLSExpired},
		{"not verified", Spec{Type: "tls"}, "bank.example", old, health.CauseNone},
		{"wants a client certificate", verify, "shop.example", picky, health.CauseTLS},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := want(t, tc.spec, tc.host, serveTLS(t, tc.cfg, holdTLS), tc.cause)
			if r.Expiry.IsZero() && tc.cause != health.CauseTLS {
				t.Error("no expiry")
			}
			if tc.name == "good" && (!r.Expiry.Equal(end) || names(r) != "dial handshake ") {
				t.Errorf("expiry %s, want %s; steps %v", r.Expiry, end, r.Steps)
			}
		})
	}
}

func TestTLSBroken(t *testing.T) {
	s := Spec{Type: "tls"}
	want(t, s, "shop.example", serve(t, func(c net.Conn) { _, _ = c.Write([]byte("220 mail.example ESMTP\r\n")); hold(c) }), health.CauseTLS)
	want(t, s, "shop.example", serve(t, func(c net.Conn) { reset(c) }), health.CauseReset)
	want(t, s, "shop.example", serve(t, func(net.Conn) {}), health.CauseReset)
	want(t, s, "shop.example", closedPort(t), health.CauseRefused)
	s.Timeout, s.Attempts = brief, 3
	want(t, s, "shop.example", serve(t, hold), health.CauseTimeout)
}

// An empty set of authorities is a fault of this machine, not of every endpoint.
func TestNoAuthorities(t *testing.T) {
	ca := newAuthority(t)
	to := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", time.Now().Add(time.Hour))}}, holdTLS)
	p := newProber(t, Spec{Type: "tls", Verify: true}, Env{Roots: x509.NewCertPool()})
	r := p.Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port(), Host: "shop.example"})
	if r.Cause != health.CausePermission {
		t.Errorf("cause %s (%s), want %s", r.Cause, r.Detail, health.CausePermission)
	}
}

// A probe never resumes a session: a server that changed its certificate for a
// bad one must be seen at the next probe.
func TestNoResumption(t *testing.T) {
	ca := newAuthority(t)
	resumed := make(chan bool, 4)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", time.Now().Add(time.Hour))}}
	to := serveTLS(t, cfg, func(c *tls.Conn) { resumed <- c.ConnectionState().DidResume; hold(c) })
	p := newProber(t, Spec{Type: "tls", Verify: true, CAFile: ca.file}, Env{})
	for range 3 {
		if r := p.Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port(), Host: "shop.example"}); !r.Cause.OK() {
			t.Fatal(r.Cause, r.Detail)
		}
		if <-resumed {
			t.Error("session was resumed")
		}
	}
}
