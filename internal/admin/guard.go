package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// minToken is the shortest token: 16 random characters of base64 are 96 bits.
const minToken = 16

// maxTokens bounds the token file.
const maxTokens = 64 << 10

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
	c, err := tls.LoadX509KeyPair(s.cfg.CertFile, s.cfg.KeyFile)
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

// guard lets in whom it should: nobody whom a web page sent, and with a token
// file nobody without one of its tokens.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := s.foreign(r); p != nil {
			s.write(w, nil, p)
			return
		}
		if s.cfg.TokenFile == "" {
			next.ServeHTTP(w, r)
			return
		}
		name, err := s.tokenOf(r)
		if err != nil {
			s.write(w, nil, err)
			return
		}
		who := "token " + name + " from " + r.RemoteAddr
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey{}, who)))
	})
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

// tokenOf returns the name of the token that came with a request.
func (s *Server) tokenOf(r *http.Request) (string, error) {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", problem(http.StatusUnauthorized, "a token is needed: send Authorization: Bearer TOKEN")
	}
	tokens, err := readTokens(s.cfg.TokenFile)
	if err != nil {
		return "", err // the log has it, the peer learns nothing
	}
	sum, name, found := sha256.Sum256([]byte(strings.TrimSpace(given))), "", false
	for _, t := range tokens { // all of them, whatever is found: time must tell nothing
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 {
			name, found = t.name, true
		}
	}
	if !found {
		return "", problem(http.StatusForbidden, "the token is not one of this resolver's")
	}
	return name, nil
}

// token is a line of the token file.
type token struct {
	name string
	sum  [sha256.Size]byte
}

// readTokens reads the token file: a token per line, with a name before it if
// there are several, so that the log can tell who it was. It is read for each
// request, which are few, so that a revoked token ends at once.
func readTokens(path string) (out []token, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("admin.token_file: %w", err)
	}
	if len(data) > maxTokens {
		return nil, fmt.Errorf("admin.token_file: %s is larger than %d bytes", path, maxTokens)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		t, ok := newToken(f)
		if !ok {
			return nil, fmt.Errorf("admin.token_file: a line of %s is not `token` or `name token`, of at least %d characters", path, minToken)
		}
		out = append(out, t)
	}
	if len(out) == 0 {
		return nil, errors.New("admin.token_file: " + path + " holds no token: write one to it, such as openssl rand -hex 32 makes")
	}
	return out, nil
}

// newToken makes a token of the words of a line.
func newToken(words []string) (token, bool) {
	name, secret := "admin", words[len(words)-1]
	if len(words) > 1 {
		name = words[0]
	}
	return token{name, sha256.Sum256([]byte(secret))}, len(words) <= 2 && len(secret) >= minToken
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
	who := "loopback"
	if u, ok := c.(*net.UnixConn); ok {
		who = socketPeer(u)
	}
	return context.WithValue(ctx, peerKey{}, who)
}

// peer returns who made a request, for the log: what they are, not what they
// say.
func peer(r *http.Request) string {
	who, _ := r.Context().Value(peerKey{}).(string)
	return who
}
