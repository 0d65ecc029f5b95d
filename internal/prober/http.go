package prober

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/detour-dns/detour/internal/health"
)

const (
	maxBody   = 64 << 10 // bytes of a body that are looked at
	maxHeader = 64 << 10 // bytes of a status line and headers
	maxHints  = 5        // 1xx replies before the real one
)

// httpKind passes when one request gets an expected status and body. It writes
// and reads one HTTP/1.1 exchange on its own connection: redirects are answers
// like others, there are no proxies, and no pool to keep anything open.
type httpKind struct {
	d       *dialer
	s       *secure // nil for http
	method  string
	url     *url.URL
	headers http.Header
	host    string // from the headers; "" = the target's
	expect  Expect
}

func newHTTP(s Spec, d *dialer) (kind, error) {
	method, u, err := s.request()
	if err != nil {
		return nil, err
	}
	p := &httpKind{d: d, method: method, url: u, expect: s.Expect, headers: http.Header{"User-Agent": {"detour-probe"}}}
	for k, v := range s.Headers {
		p.headers.Set(k, v)
	}
	p.host = p.headers.Get("Host")
	u.Scheme = "http"
	if s.Type != "https" {
		return p, nil
	}
	u.Scheme = "https"
	p.s, err = newSecure(s, d, "http/1.1")
	return p, err
}

func (p *httpKind) try(ctx context.Context, a *attempt) outcome {
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		return o
	}
	defer c.abort()
	if p.s == nil {
		return p.exchange(c, a)
	}
	tc, o := p.s.shake(c, a)
	if tc == nil {
		return o
	}
	o = p.exchange(tc, a)
	o.expiry = expiry(tc.ConnectionState().PeerCertificates)
	return o
}

// request returns the request for a target.
func (p *httpKind) request(t Target) *http.Request {
	u := *p.url
	u.Host = hostPort(t, u.Scheme)
	host := p.host
	if host == "" {
		host = u.Host
	}
	return &http.Request{
		Method: p.method, URL: &u, Host: host, Header: maps.Clone(p.headers),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Close: true,
	}
}

// hostPort returns the Host header: the port is said where it is not the scheme's.
func hostPort(t Target, scheme string) string {
	name := t.name()
	if scheme == "http" && t.Port == 80 || scheme == "https" && t.Port == 443 {
		if t.Host == "" && t.Addr.Unmap().Is6() {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(t.Port)))
}

// exchange sends the request and judges the reply.
func (p *httpKind) exchange(c net.Conn, a *attempt) outcome {
	req := p.request(a.target)
	if err := req.Write(c); err != nil {
		return p.broken(a, err, "connected, then silence while sending")
	}
	a.mark("request")
	raw := &io.LimitedReader{R: c, N: maxHeader}
	resp, err := p.read(bufio.NewReader(raw), req)
	if err != nil && raw.N <= 0 {
		return a.end(health.CauseProtocol, "headers longer than 64 KiB")
	}
	if err != nil {
		return p.broken(a, err, "request sent, no reply")
	}
	a.mark("first_byte")
	if !p.expect.wants(resp.StatusCode) {
		return a.end(health.CauseStatus, statusText(resp.StatusCode))
	}
	if p.expect.Body == nil {
		return a.end(health.CauseNone, "")
	}
	raw.N = maxBody
	return p.body(resp.Body, raw, a)
}

// read returns the reply, past early hints.
func (p *httpKind) read(r *bufio.Reader, req *http.Request) (*http.Response, error) {
	for range maxHints {
		resp, err := http.ReadResponse(r, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, fmt.Errorf("more than %d interim replies", maxHints)
}

// body matches the body's first 64 KiB. A body that is not complete in time is
// silence, not an answer: lost packets can make it.
func (p *httpKind) body(r io.Reader, raw *io.LimitedReader, a *attempt) outcome {
	text, err := io.ReadAll(io.LimitReader(r, maxBody))
	a.mark("body")
	if err != nil && isTimeout(err) {
		return a.end(health.CauseTimeout, fmt.Sprintf("body incomplete after %d bytes", len(text)))
	}
	if p.expect.Body.Match(text) {
		return a.end(health.CauseNone, "")
	}
	if err != nil && raw.N > 0 {
		return p.broken(a, err, "")
	}
	return a.end(health.CauseBody, fmt.Sprintf("body of %d bytes does not match", len(text)))
}

// broken judges an exchange that did not come to its end.
func (p *httpKind) broken(a *attempt, err error, silence string) outcome {
	cause, detail := tlsCause(err)
	if cause == health.CauseTimeout {
		return a.end(cause, silence)
	}
	// What package net's errors do not explain is an alert: with TLS 1.3 a server
	// refuses our certificate, or the lack of one, after the handshake.
	if _, alert := errors.AsType[*net.OpError](err); cause == health.CauseTLS && !alert {
		return a.end(health.CauseProtocol, "not an HTTP/1.1 reply")
	}
	return a.end(cause, detail)
}

func statusText(code int) string {
	text := strconv.Itoa(code) + " " + http.StatusText(code)
	if code >= 300 && code <= 399 {
		text += " (redirects are not followed)"
	}
	return text
}
