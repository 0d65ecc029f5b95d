package prober

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

// TestIdentify holds what is seen of a peer, on real sockets.
func TestIdentify(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", time.Now().Add(time.Hour))}}
	wants := func(version uint16) *tls.Config {
		c := good.Clone()
		c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, version
		return c
	}
	with := func(a *authority, name string, ends time.Duration) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.issue(t, name, time.Now().Add(ends))}}
	}
	strict := good.Clone()
	strict.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, io.EOF }
	says := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = c.Write([]byte(text)); hold(c) }
	}
	for name, c := range map[string]struct {
		at    netip.AddrPort
		cause health.Cause
		want  health.Peer
	}{
		"good":                 {serveTLS(t, good, holdTLS), health.CauseNone, health.Peer{Shown: true, Held: true, Named: true, Trusted: true}},
		"mutual, TLS 1.2":      {serveTLS(t, wants(tls.VersionTLS12), holdTLS), health.CauseNone, health.Peer{Shown: true, Held: true, Named: true, Trusted: true}},
		"mutual, TLS 1.3":      {serveTLS(t, wants(tls.VersionTLS13), holdTLS), health.CauseNone, health.Peer{Shown: true, Held: true, Named: true, Trusted: true}},
		"another name":         {serveTLS(t, with(ca, "bank.example", time.Hour), holdTLS), health.CauseTLSName, health.Peer{Shown: true, Held: true}},
		"untrusted":            {serveTLS(t, with(other, "shop.example", time.Hour), holdTLS), health.CauseTLSUnknown, health.Peer{Shown: true, Held: true, Named: true}},
		"ended":                {serveTLS(t, with(ca, "shop.example", -48*time.Hour), holdTLS), health.CauseTLSExpired, health.Peer{Shown: true, Held: true, Named: true, Trusted: true, Ended: 48 * time.Hour}},
		"ended, another's":     {serveTLS(t, with(ca, "bank.example", -48*time.Hour), holdTLS), health.CauseTLSExpired, health.Peer{Shown: true, Held: true, Ended: 48 * time.Hour}},
		"alert":                {serveTLS(t, strict, holdTLS), health.CauseTLS, health.Peer{}},
		"unrecognized_name":    {serve(t, says("\x15\x03\x01\x00\x02\x02\x70")), health.CauseTLS, health.Peer{Unnamed: true}},
		"SSH":                  {serve(t, says("SSH-2.0-OpenSSH_9.9\r\n")), health.CauseTLS, health.Peer{Text: true}},
		"HTTP":                 {serve(t, says("HTTP/1.1 400 Bad Request\r\n\r\n")), health.CauseTLS, health.Peer{Text: true}},
		"SMTP":                 {serve(t, says("220 mail.example ESMTP\r\n")), health.CauseTLS, health.Peer{Text: true}},
		"garbage":              {serve(t, says("\x80\x81\x82\x83\x84\x85\x86")), health.CauseTLS, health.Peer{}},
		"reset":                {serve(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); reset(c) }), health.CauseReset, health.Peer{}},
		"a banner, then reset": {serve(t, func(c net.Conn) { _, _ = c.Write([]byte("SSH-2.0-x\r\n")); _, _ = c.Read(make([]byte, 1)) }), health.CauseTLS, health.Peer{Text: true}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProber(t, Spec{Type: "tls", Identify: true, Verify: true, CAFile: ca.file, Timeout: 5 * time.Second, Attempts: 1}, Env{})
			r := p.Probe(t.Context(), Target{Addr: c.at.Addr(), Port: c.at.Port(), Host: "shop.example"})
			got := *r.Peer
			if c.want.Shown != (got.Key != "" && got.Issuer != "") {
				t.Errorf("digests %q %q", got.Key, got.Issuer)
			}
			c.want.Accepted = true
			got.Key, got.Issuer, got.Ended = "", "", got.Ended.Round(time.Hour)
			if r.Cause != c.cause || got != c.want {
				t.Errorf("cause %s (%s), %+v; want %s, %+v", r.Cause, r.Detail, got, c.cause, c.want)
			}
		})
	}
	refused := newProber(t, Spec{Type: "tls", Identify: true, Verify: true, CAFile: ca.file}, Env{}).Probe(t.Context(), Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: closedPort(t).Port()})
	if refused.Cause != health.CauseRefused || *refused.Peer != (health.Peer{}) {
		t.Errorf("%+v", refused)
	}
}

// TestAStolenCertificateIsNoIdentity holds that a machine which shows a name's
// certificate and does not have its key proves nothing, wherever it stops.
func TestAStolenCertificateIsNoIdentity(t *testing.T) {
	ca := newAuthority(t)
	stolen := ca.issue(t, "shop.example", time.Now().Add(time.Hour))
	own := ca.issue(t, "bank.example", time.Now().Add(time.Hour))
	stolen.PrivateKey = own.PrivateKey
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequireAnyClientCert} {
			at := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{stolen}, MinVersion: version, MaxVersion: version, ClientAuth: auth}, holdTLS)
			p := newProber(t, Spec{Type: "tls", Identify: true, Verify: true, CAFile: ca.file, Timeout: 5 * time.Second, Attempts: 1}, Env{})
			r := p.Probe(t.Context(), Target{Addr: at.Addr(), Port: at.Port(), Host: "shop.example"})
			if r.Cause.OK() || r.Peer.Held || !r.Peer.Shown {
				t.Errorf("version %x, %v: cause %s, %+v", version, auth, r.Cause, r.Peer)
			}
		}
	}
}
