package consul

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/files"
)

// Bounds of one request. An answer is bounded by what all valid values come to, in
// base64 and with the names around them.
const (
	dialTimeout = 3 * time.Second
	maxAnswer   = 64 << 20
	maxCommas   = 500_000 // of an answer: an empty object of three bytes takes a hundred once it is decoded
	maxError    = 300     // bytes of an error's text
)

// transport brings requests to one datacenter. It adds the token, so that the
// client library never has it, nor takes one from the environment; and it counts.
type transport struct {
	base  *http.Transport
	token string
	bytes *atomic.Int64 // read and written
}

// newClient reads the files of the store, which may have changed, and returns a
// client that has not connected yet.
func newClient(at *Store, to *url.URL, count *atomic.Int64) (*api.Client, *transport, error) {
	token, err := config.ReadToken(at.TokenFile)
	if err != nil {
		return nil, nil, err
	}
	base := &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout,
		DisableCompression: true, // 50 readers would cost the server a core
		IdleConnTimeout:    time.Minute, MaxIdleConnsPerHost: 4,
	}
	c := &api.Config{Scheme: "http", Address: to.Host, Datacenter: at.Datacenter}
	switch to.Scheme {
	case "https":
		c.Scheme = "https"
		base.TLSClientConfig, err = certificates(at)
	case "unix":
		c.Address = "localhost"
		base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", to.Path)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("certificates: %w", err)
	}
	t := &transport{base, token, count}
	c.HttpClient = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token is for the server that was named
	}}
	client, err := api.NewClient(c)
	return client, t, err
}

// certificates reads the files of a store. The library would read a file of any size,
// and wait for a pipe.
func certificates(at *Store) (*tls.Config, error) {
	c := &api.TLSConfig{Address: at.ServerName}
	for _, f := range []struct {
		path string
		into *[]byte
	}{{at.CAFile, &c.CAPem}, {at.CertFile, &c.CertPEM}, {at.KeyFile, &c.KeyPEM}} {
		if f.path == "" {
			continue
		}
		var err error
		if *f.into, err = files.ReadPEM(f.path); err != nil {
			return nil, err
		}
	}
	return api.SetupTLSConfig(c)
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	req.Header.Del("X-Consul-Token")
	if t.token != "" {
		req.Header.Set("X-Consul-Token", t.token)
	}
	t.bytes.Add(max(0, req.ContentLength))
	resp, err := t.base.RoundTrip(req)
	if err == nil {
		resp.Body = &body{ReadCloser: resp.Body, left: maxAnswer, commas: maxCommas, count: t.bytes}
	}
	return resp, err
}

// body counts what is read of an answer, and ends one that is too long.
type body struct {
	io.ReadCloser
	left   int64
	commas int
	count  *atomic.Int64
}

var errTooLong = fmt.Errorf("answer of more than %d MiB, or of more values than resolvers write", maxAnswer>>20)

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count.Add(int64(n))
	b.left -= int64(n)
	b.commas -= bytes.Count(p[:n], []byte{','})
	if b.left < 0 || b.commas < 0 {
		return 0, errTooLong
	}
	return n, err
}

// tidy makes an error fit to be shown: short, in one line, without the request's
// address, and without the token whatever a server or a library wrote into it.
func tidy(err error, token string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errNoAnswer
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	if token != "" {
		text = strings.ReplaceAll(text, token, "(token)")
	}
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text))
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "..."
	}
	return errors.New(text)
}

// errNoAnswer is what becomes of a deadline: the caller's own context has another.
var errNoAnswer = errors.New("no answer in time")
