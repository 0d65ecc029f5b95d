package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// ports are where a server of P6 listens.
type ports struct{ plain, tls, https int }

// tally counts what happened to the queries of one transport.
type tally struct {
	asked, lost, wrong atomic.Int64
	ttl                atomic.Uint32 // of the last answer
}

func (t *tally) String() string {
	return fmt.Sprintf("%d lost, %d wrong of %d", t.lost.Load(), t.wrong.Load(), t.asked.Load())
}

// load is clients of every transport at a steady pace: at least 4,000 queries a second over
// UDP, 500 over TCP, 250 over TLS and 250 over HTTPS, on connections that stay.
type load struct {
	udp, tcp, tls, https tally
	stop                 chan struct{}
	wg                   sync.WaitGroup
}

// patience is how long an answer may take before the query counts as lost.
const patience = 2 * time.Second

// exchanger asks one question on a connection that it keeps.
type exchanger interface {
	exchange(q *dns.Msg) (*dns.Msg, error)
}

func (b *bench) startLoad(p ports) (*load, error) {
	trust, err := trusting(b.dir)
	if err != nil {
		return nil, err
	}
	trust.ServerName = "dns.bench.test"
	l := &load{stop: make(chan struct{})}
	plain := fmt.Sprintf("127.0.0.1:%d", p.plain)
	for i := range 11 {
		l.client(i, 500, &l.udp, &stream{client: dns.Client{Net: "udp", Timeout: patience}, addr: plain})
	}
	for i := range 2 {
		l.client(i, 250, &l.tcp, &stream{client: dns.Client{Net: "tcp", Timeout: patience}, addr: plain})
	}
	l.client(0, 250, &l.tls, &stream{
		client: dns.Client{Net: "tcp-tls", Timeout: patience, TLSConfig: trust}, addr: fmt.Sprintf("127.0.0.1:%d", p.tls),
	})
	l.client(0, 250, &l.https, newHTTPS(trust, p.https))
	return l, nil
}

func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// lost is the number of connections that ended with a query on them.
func (l *load) lost() int64 { return l.tcp.lost.Load() + l.tls.lost.Load() + l.https.lost.Load() }

// client asks perSecond questions a second until the load ends.
func (l *load) client(i, perSecond int, t *tally, x exchanger) {
	l.wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for n := i; ; n++ {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				t.ask(x, n*7919%names)
			}
		}
	})
}

func (t *tally) ask(x exchanger, service int) {
	q := new(dns.Msg).SetQuestion(serviceName(service)+".", dns.TypeA)
	r, err := x.exchange(q)
	t.asked.Add(1)
	switch {
	case err != nil:
		t.lost.Add(1)
	case !right(r, service):
		t.wrong.Add(1)
		fmt.Fprintln(os.Stderr, "wrong:", strings.ReplaceAll(r.String(), "\n", " "))
	default:
		t.ttl.Store(r.Answer[0].Header().Ttl)
	}
}

// right reports whether r answers with an address of the service's first pool.
func right(r *dns.Msg, service int) bool {
	if r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 {
		return false
	}
	a, ok := r.Answer[0].(*dns.A)
	return ok && a.A.Equal(net.IPv4(127, 1, byte(service>>8), byte(service)))
}

// stream is a client over UDP, TCP or TLS. A connection that fails is replaced.
type stream struct {
	client dns.Client
	addr   string
	conn   *dns.Conn
}

func (s *stream) exchange(q *dns.Msg) (*dns.Msg, error) {
	if s.conn == nil {
		c, err := s.client.Dial(s.addr)
		if err != nil {
			return nil, err
		}
		s.conn = c
	}
	r, _, err := s.client.ExchangeWithConn(q, s.conn)
	if err != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
	return r, err
}

// overHTTPS is a client over HTTP/2.
type overHTTPS struct {
	client http.Client
	url    string
}

func newHTTPS(trust *tls.Config, port int) *overHTTPS {
	return &overHTTPS{
		http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}},
		fmt.Sprintf("https://127.0.0.1:%d/dns-query", port),
	}
}

func (h *overHTTPS) exchange(q *dns.Msg) (*dns.Msg, error) {
	wire, err := q.Pack()
	if err != nil {
		return nil, err
	}
	resp, err := h.client.Post(h.url, "application/dns-message", bytes.NewReader(wire))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if wire, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	r := new(dns.Msg)
	return r, r.Unpack(wire)
}

// blocks are the server blocks of all transports with the same plugins.
func (b *bench) blocks(p ports, plugins string) string {
	keys := fmt.Sprintf("  tls %s %s\n", filepath.Join(b.dir, "cert.pem"), filepath.Join(b.dir, "key.pem"))
	return fmt.Sprintf(". {\n  bind 127.0.0.1\n%[3]s}\ntls://.:%[1]d {\n  bind 127.0.0.1\n%[4]s%[3]s}\nhttps://.:%[2]d {\n  bind 127.0.0.1\n%[4]s%[3]s}\n",
		p.tls, p.https, plugins, keys)
}
