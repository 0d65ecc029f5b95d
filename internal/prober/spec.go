package prober

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/files"
)

// Spec says what a probe does. Fields that a type does not use are ignored.
type Spec struct {
	Type     string        // tcp, tls, http, https, grpc, dns, icmp
	Timeout  time.Duration // of the whole probe, all attempts together; above 0
	Attempts int           // sends within Timeout while nothing is heard; 0 = 1

	Path    string            // http, https: path and query, beginning with "/"; "" = "/"
	Method  string            // http, https: GET or HEAD; "" = GET
	Headers map[string]string // http, https; Host here goes before Target.Host
	Expect  Expect

	QueryName string // dns: owner name; "" = Target.Host
	QueryType string // dns; "" = A
	Service   string // grpc: service to ask for; "" = the whole server

	UseTLS bool   // grpc over TLS, dns over TLS
	CAFile string // PEM with authorities to trust instead of the system's; "" = the system's
	Verify bool   // verify the certificate's chain, name and dates

	// Identify (tls): the handshake goes on whatever certificate is shown, so that the
	// peer has to prove that it holds its key, and Result.Peer says what was seen. What
	// fails is the same with and without it.
	Identify bool
}

// Expect is what a probe must see.
type Expect struct {
	Status []StatusRange  // http, https; empty = 200-299
	Body   *regexp.Regexp // http, https; nil = any; matched in the first 64 KiB
	Rcode  string         // dns; "" = NOERROR
	Answer []string       // dns: rdata of which one must be there; empty = any
}

// StatusRange is an inclusive range of HTTP status codes.
type StatusRange struct{ Low, High int }

// check finds the faults that do not depend on the type.
func (s *Spec) check() error {
	if s.Timeout <= 0 {
		return errors.New("timeout must be above zero")
	}
	if s.Attempts < 0 {
		return fmt.Errorf("attempts is %d: it must be 1 or more", s.Attempts)
	}
	return nil
}

// request checks what http and https need and returns method and path.
func (s *Spec) request() (method string, path *url.URL, err error) {
	method = s.Method
	if method == "" {
		method = http.MethodGet
	}
	if method != http.MethodGet && method != http.MethodHead {
		return "", nil, fmt.Errorf("method %q: probes only use GET and HEAD", s.Method)
	}
	text := s.Path
	if text == "" {
		text = "/"
	}
	path, err = url.ParseRequestURI(text)
	if err != nil || text[0] != '/' {
		return "", nil, fmt.Errorf("path %q: it must begin with \"/\" and be a valid path and query", s.Path)
	}
	if method == http.MethodHead && s.Expect.Body != nil {
		return "", nil, errors.New("expect.body with method HEAD: a reply to HEAD has no body; use GET")
	}
	return method, path, nil
}

// wants reports whether a status is an expected one.
func (e *Expect) wants(status int) bool {
	if len(e.Status) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.ContainsFunc(e.Status, func(r StatusRange) bool { return status >= r.Low && status <= r.High })
}

// roots returns the authorities to trust, nil for the system's.
func (s *Spec) roots(env *x509.CertPool) (*x509.CertPool, error) {
	if s.CAFile == "" || !s.Verify {
		return env, nil
	}
	pem, err := files.ReadPEM(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w; it must be a PEM file that the resolver's user can read", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s: no certificate in it; it must hold PEM blocks \"BEGIN CERTIFICATE\"", s.CAFile)
	}
	return pool, nil
}
