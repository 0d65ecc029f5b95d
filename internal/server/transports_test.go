package server

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/pkg/doh"
	"github.com/miekg/dns"
)

// insecure are the clients of a server whose certificate nobody signed.
var insecure = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the tests look at what is in the tunnel

// transports serves a block without `failover` over plain DNS, TLS and HTTPS, and returns
// the last two addresses.
func transports(t *testing.T, more string, overHTTPS ...string) (s *Server, dot, https string) {
	t.Helper()
	dir := t.TempDir()
	certify(t, dir, "here")
	dot, https = "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	certs := "tls " + dir + "/tls.crt " + dir + "/tls.key\n" + more
	port := func(addr string) string { return strings.TrimPrefix(addr, "127.0.0.1:") }
	text := says("0", "one", more) + "tls://" + says(port(dot), "one", certs) + "https://" + says(port(https), "one", certs+strings.Join(overHTTPS, ""))
	return start(t, Options{Text: []byte(text)}), dot, https
}

// question is TXT x. as it is sent.
func question(t *testing.T, change func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("x.", dns.TypeTXT)
	if change != nil {
		change(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exchange sends what need not be a message, and returns the reply.
func exchange(t *testing.T, network, addr string, b []byte) *dns.Msg {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // read already
	_ = c.SetDeadline(time.Now().Add(wait10))
	conn := &dns.Conn{Conn: c, UDPSize: 4096}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	got, err := conn.ReadMsg()
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	return got
}

// options adds OPT records to a message.
func options(opts ...*dns.OPT) func(*dns.Msg) {
	return func(m *dns.Msg) {
		for _, o := range opts {
			m.Extra = append(m.Extra, o)
		}
	}
}

func opt(name string, size uint16, flags uint32) *dns.OPT {
	return &dns.OPT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeOPT, Class: size, Ttl: flags}}
}

// TestOddQuestions holds what is answered to questions that break a rule, over UDP and TCP.
func TestOddQuestions(t *testing.T) {
	s, _, _ := transports(t, "")
	header := question(t, nil)[:12]
	for _, c := range []struct {
		name  string
		b     []byte
		rcode int
	}{
		{"two OPT records", question(t, options(opt(".", 1232, 0), opt(".", 1232, 0))), dns.RcodeFormatError},
		{"an OPT that is not the root's", question(t, options(opt("x.", 1232, 0))), dns.RcodeFormatError},
		{"a header alone that promises a question", header, dns.RcodeFormatError},
		{"one OPT record", question(t, options(opt(".", 1232, 0))), dns.RcodeSuccess},
		{"none", question(t, nil), dns.RcodeSuccess},
		{"version 1", question(t, options(opt(".", 1232, 1<<16))), dns.RcodeBadVers},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := exchange(t, network, s.Addr(network), c.b); got.Rcode != c.rcode || got.Id != binary.BigEndian.Uint16(c.b) {
				t.Errorf("%s, %s: %s, want %s", network, c.name, dns.RcodeToString[got.Rcode], dns.RcodeToString[c.rcode])
			}
		}
	}
}

// TestReplysOPT holds that the OPT record of a reply is the server's own: its size, DO as
// asked, and no flag that has no meaning (RFC 6891 sections 6.1.4 and 6.2.3).
func TestReplysOPT(t *testing.T) {
	s, _, _ := transports(t, "")
	for _, flags := range []uint32{0, 0x8000, 0x4000, 0xffff, 0x7fff} {
		for _, network := range []string{"udp", "tcp"} {
			got := exchange(t, network, s.Addr(network), question(t, options(opt(".", 4096, flags)))).IsEdns0()
			if got == nil || got.UDPSize() != 1232 || got.Hdr.Ttl != flags&0x8000 {
				t.Errorf("%s, flags %#x: %v", network, flags, got)
			}
		}
	}
	if got := exchange(t, "udp", s.Addr("udp"), question(t, nil)).IsEdns0(); got != nil {
		t.Errorf("an OPT record that nobody asked for: %v", got)
	}
	long := question(t, options(&dns.OPT{
		Hdr:    dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232},
		Option: []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 1000)}},
	}))
	if got := exchange(t, "udp", s.Addr("udp"), long); got.Rcode != dns.RcodeSuccess {
		t.Errorf("a question of %d octets: %s", len(long), dns.RcodeToString[got.Rcode])
	}
}

// TestHalfClosed holds that a client which says that it asks no more still gets its answer,
// and that its connection ends then.
func TestHalfClosed(t *testing.T) {
	s, dot, _ := transports(t, "")
	for network, dial := range map[string]func() (net.Conn, error){
		"tcp": func() (net.Conn, error) { return net.Dial("tcp", s.Addr("tcp")) },
		"tls": func() (net.Conn, error) { return tls.Dial("tcp", dot, insecure) },
		"tls without close_notify": func() (net.Conn, error) {
			c, err := tls.Dial("tcp", dot, insecure)
			return raw{c}, err
		},
	} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(wait10))
		conn := &dns.Conn{Conn: c}
		if _, err := conn.Write(question(t, nil)); err != nil {
			t.Fatal(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if m, err := conn.ReadMsg(); err != nil || len(m.Answer) != 1 {
			t.Errorf("%s: %v, %v", network, m, err)
		}
		if _, err := conn.ReadMsg(); !errors.Is(err, io.EOF) || time.Since(begun) > 8*time.Second {
			t.Errorf("%s: after %v: %v", network, time.Since(begun), err)
		}
		_ = c.Close()
	}
}

// raw is a TLS connection of which only the one below is half closed.
type raw struct{ *tls.Conn }

func (r raw) CloseWrite() error { return r.NetConn().(*net.TCPConn).CloseWrite() }

// TestWhoNeverReads holds that a client which asks and reads no answer loses its connection.
func TestWhoNeverReads(t *testing.T) {
	s, dot, _ := transports(t, "timeouts {\n write 1s\n}")
	for network, dial := range map[string]func() (net.Conn, error){
		"tcp": func() (net.Conn, error) { return net.Dial("tcp", s.Addr("tcp")) },
		"tls": func() (net.Conn, error) { return tls.Dial("tcp", dot, insecure) },
	} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		conn := &dns.Conn{Conn: c}
		for err == nil {
			_, err = conn.Write(question(t, nil))
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("%s: not cut within 30 s", network)
		}
		_ = c.Close()
	}
}

// ask asks over HTTPS from a client's address.
func ask(from, addr string, change func(*http.Request)) (*http.Response, error) {
	m := new(dns.Msg)
	m.SetQuestion("x.", dns.TypeTXT)
	r, err := doh.NewRequest(http.MethodPost, addr, addr, m)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(r)
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	tr := &http.Transport{TLSClientConfig: insecure, DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return d.DialContext(ctx, network, addr)
	}}
	defer tr.CloseIdleConnections()
	return (&http.Client{Transport: tr, Timeout: 8 * time.Second}).Do(r)
}

// TestContentTypes holds what HTTPS answers to messages of another type (RFC 8484 section
// 4.1, RFC 9110 section 15.5.16) and other methods (RFC 9110 section 15.5.6).
func TestContentTypes(t *testing.T) {
	_, _, https := transports(t, "")
	for _, c := range []struct {
		method, kind string
		status       int
	}{
		{http.MethodPost, "application/dns-message", http.StatusOK},
		{http.MethodPost, "Application/DNS-Message; charset=utf-8", http.StatusOK},
		{http.MethodPost, "application/json", http.StatusUnsupportedMediaType},
		{http.MethodPost, "application/dns-messages", http.StatusUnsupportedMediaType},
		{http.MethodPost, "", http.StatusUnsupportedMediaType},
		{http.MethodPut, "application/dns-message", http.StatusMethodNotAllowed},
	} {
		resp, err := ask("127.0.0.1", https, func(r *http.Request) {
			r.Method = c.method
			r.Header.Set("Content-Type", c.kind)
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s of %q: %d, want %d", c.method, c.kind, resp.StatusCode, c.status)
		}
	}
}

// TestIdleConnectionsStarveNobody holds that others are answered, long before the ten seconds
// after which idle connections end by themselves, while a client has
// as many idle connections as there are places, and asked on each; and that it is its own
// connections that end.
func TestIdleConnectionsStarveNobody(t *testing.T) {
	const places = 20
	_, _, https := transports(t, "", "https {\n max_connections 20\n}")
	held := make([]net.Conn, places)
	for i := range held {
		c, err := tls.Dial("tcp", https, insecure)
		if err != nil {
			t.Fatal(err)
		}
		closing(t, c)
		held[i] = c
		_, _ = fmt.Fprintf(c, "GET /dns-query?dns=%s HTTP/1.1\r\nHost: x\r\n\r\n", base64.RawURLEncoding.EncodeToString(question(t, nil)))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	keep := holding(t, "127.0.1.9", https)
	for i := range 5 {
		begun := time.Now()
		resp, err := ask(fmt.Sprintf("127.0.1.%d", i+1), https, nil)
		if err != nil {
			t.Fatalf("another client: %v", err)
		}
		_ = resp.Body.Close()
		if d := time.Since(begun); d > 5*time.Second || resp.StatusCode != http.StatusOK {
			t.Errorf("another client: %d after %v", resp.StatusCode, d)
		}
	}
	_ = held[0].SetReadDeadline(time.Now().Add(wait10))
	if _, err := io.Copy(io.Discard, held[0]); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection that is idle for longest: %v, want its end", err)
	}
	if err := keep.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := keep.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection of a client that has one: %v, want it alive", err)
	}
}

// holding is a connection from an address over which a handshake was made.
func holding(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := tls.DialWithDialer(d, "tcp", addr, insecure)
	if err != nil {
		t.Fatal(err)
	}
	closing(t, c)
	return c
}
