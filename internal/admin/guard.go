package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/files"
)

// secure returns the TLS to serve with, nil for none, and refuses an address
// that other machines reach unless it has TLS and tokens.
func (s *Server) secure() (*tls.Config, error) {
	if !s.local() && (s.cfg.CertFile == "" || s.cfg.TokenFile == "") {
		return nil, fmt.Errorf("%s can be reached from other machines: set admin.tls and admin.token_file, or listen on 127.0.0.1", s.cfg.Listen.Host)
	}
	if s.cfg.TokenFile != "" {
		if _, err := readTokens(s.cfg.TokenFile); err != nil {
			return nil, err
		}
	}
	if s.cfg.CertFile == "" {
		return nil, nil
	}
	if _, err := s.certificate(nil); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}, nil
}

// certificate reads the certificate, for each handshake: certificates are
// renewed, handshakes are few.
func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := files.KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
	if err != nil {
		s.log.Error("admin API cannot read its certificate", "error", err)
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	return &c, nil
}

// local reports whether only this machine reaches the API.
func (s *Server) local() bool {
	if s.cfg.Listen.Scheme == "unix" {
		return true
	}
	ap, err := netip.ParseAddrPort(s.cfg.Listen.Host)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// guard lets in whom it should: nobody whom a web page sent, and others as far as
// their token, or the way by which they come, allows.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := s.foreign(r); p != nil {
			s.write(w, nil, p)
			return
		}
		c, err := s.callerOf(r)
		if err != nil {
			s.write(w, nil, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// caller is who makes a request, as far as we know it ourselves.
type caller struct {
	who   string // for log and events
	may   scope
	token string // the name of its token, "" without one
}

type callerKey struct{}

// callerOf returns who makes a request. The socket's mode chose who may use it. Who
// comes by TCP without a token may only ask, and that from this machine alone.
func (s *Server) callerOf(r *http.Request) (caller, error) {
	c := caller{who: peerOf(r.Context())}
	switch unix := s.cfg.Listen.Scheme == "unix"; {
	case s.cfg.TokenFile != "" && (r.Header.Get("Authorization") != "" || !s.local()):
		t, err := s.tokenOf(r)
		if err != nil {
			return c, err
		}
		c.may, c.token = t.scope, t.name
		if unix {
			c.who = "token " + t.name + " of " + c.who
		} else {
			c.who = "token " + t.name + " from " + r.RemoteAddr
		}
	case unix && s.cfg.TokenFile == "":
		c.may = operates
	default:
		c.may = reads
	}
	return c, nil
}

// allow reports why a caller may not use a route, nil if it may.
func (s *Server) allow(to *route, c caller) error {
	switch {
	case to.asks && c.may != operates: // what a probe costs others pay, and each leaves a line in the log
		return s.pace.of("who may only ask sends")
	case !to.changes():
		return nil
	case c.may == operates:
		return s.pace.take(c.token)
	case c.token != "":
		return problem(http.StatusForbidden, "token %s has the scope read: a change needs one of scope operate", c.token)
	case s.cfg.TokenFile == "":
		return problem(http.StatusForbidden, "nothing is changed over TCP without a token: set admin.token_file (resolver token new makes one), or listen on a unix socket")
	}
	return problem(http.StatusUnauthorized, "a change needs a token of scope operate: send Authorization: Bearer TOKEN")
}

// foreign refuses what browsers send for other sites: a cross-site request, and
// one for a name that was bound to a loopback address (DNS rebinding).
func (s *Server) foreign(r *http.Request) *Problem {
	if s.cfg.Listen.Scheme == "tcp" && s.local() && !loopbackHost(r.Host) {
		return problem(http.StatusForbidden, "Host %s is not this machine's loopback: use 127.0.0.1 or localhost", quote(r.Host))
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return problem(http.StatusForbidden, "requests that other web sites make are refused")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return problem(http.StatusForbidden, "requests that other web sites make are refused")
		}
	}
	return nil
}

func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func quote(s string) string { return fmt.Sprintf("%.80q", s) }

// tokenOf returns the token that came with a request.
func (s *Server) tokenOf(r *http.Request) (token, error) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return token{}, problem(http.StatusUnauthorized, "a token is needed: send Authorization: Bearer TOKEN")
	}
	tokens, err := readTokens(s.cfg.TokenFile)
	if why, ok := files.Lack(err); ok {
		s.log.Error("admin: the token file cannot be read now", "error", err)
		return token{}, later(http.StatusServiceUnavailable, time.Second, "the token file cannot be read now: %s; try again", why)
	}
	if err != nil {
		return token{}, err // the log has it, the peer learns nothing
	}
	t, found := match(tokens, strings.TrimSpace(given))
	if !found {
		return token{}, problem(http.StatusForbidden, "the token is not one of this resolver's")
	}
	return t, nil
}

type peerKey struct{}

// withPeer notes who is at the other end of a connection.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	ctx = context.WithValue(ctx, placeKey{}, placeOf(c))
	for {
		below, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = below.NetConn()
	}
	if u, ok := c.(*net.UnixConn); ok {
		return context.WithValue(ctx, peerKey{}, socketPeer(u))
	}
	return context.WithValue(ctx, peerKey{}, "TCP "+c.RemoteAddr().String())
}

func peerOf(ctx context.Context) string {
	who, _ := ctx.Value(peerKey{}).(string)
	return who
}

// peer returns who made a request, for the log: what they are, not what they
// say.
func peer(r *http.Request) string {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c.who
}
