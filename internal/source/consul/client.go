package consul

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/files"
)

// Bounds of a connection.
const (
	dialTimeout = 5 * time.Second
	maxHeader   = 64 << 10 // bytes
	maxError    = 4 << 10  // bytes of an error's body that are looked at
)

// client asks one agent.
type client struct {
	at    config.Store
	base  string
	trips http.RoundTripper
}

// newClient returns a client that reads the token, the authorities and the
// certificate anew whenever it needs them, so that they may be replaced.
func newClient(at config.Store) *client {
	c := &client{at: at, base: strings.TrimSuffix(at.Address.String(), "/")}
	if at.Address.Scheme == "unix" {
		c.base = "http://consul"
	}
	c.trips = &http.Transport{
		Proxy:       nil, // an agent is near, or on this machine
		DialContext: c.dial, DialTLSContext: c.dialTLS, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeader, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: maxAtOnce,
	}
	return c
}

func (c *client) close() {
	if t, ok := c.trips.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// dial notices within about half a minute that the other side is gone without a
// word: queries are silent for minutes when all is well.
func (c *client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}}
	if c.at.Address.Scheme == "unix" {
		network, address = "unix", c.at.Address.Path
	}
	return d.DialContext(ctx, network, address)
}

func (c *client) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	conf, err := c.tls()
	if err != nil {
		return nil, err
	}
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(address)
	}
	raw, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn := tls.Client(raw, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

func (c *client) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.at.ServerName}
	if c.at.CAFile != "" {
		pem, err := files.ReadPEM(c.at.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("ca_file holds no certificate in PEM form")
		}
	}
	if c.at.CertFile != "" {
		cert, err := files.KeyPair(c.at.CertFile, c.at.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// query is one question for the instances of a service.
type query struct {
	service, datacenter        string
	namespace, partition, peer string
	index                      uint64
	wait                       time.Duration // for a change after index
	fresh                      bool          // of the leader, not of any server
}

// path asks for an order by distance, which is of no use here: such queries Consul
// answers from its store. Others it answers from an agent's stream of events, and
// then says neither whether a leader is known nor how old the answer is.
func (q *query) path() string {
	v := url.Values{"near": {"_agent"}}
	for key, value := range map[string]string{"dc": q.datacenter, "ns": q.namespace, "partition": q.partition, "peer": q.peer} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if q.index > 0 {
		v.Set("index", strconv.FormatUint(q.index, 10))
		v.Set("wait", strconv.FormatInt(q.wait.Milliseconds(), 10)+"ms")
	}
	if !q.fresh {
		v.Set("stale", "")
	}
	return "/v1/health/service/" + url.PathEscape(q.service) + "?" + v.Encode()
}

// slack is what an answer may take beyond the time that Consul may wait, which is
// what was asked for and up to a sixteenth more.
const slack = 20 * time.Second

func (q *query) deadline() time.Duration {
	if q.index == 0 {
		return slack
	}
	return q.wait + q.wait/16 + slack
}

// ask sends a query and returns the answer's header and body. Errors hold neither
// the token nor the address, which the caller knows.
func (c *client) ask(ctx context.Context, q *query) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+q.path(), nil)
	if err != nil {
		return nil, errors.New("the query is no URL")
	}
	token, err := config.ReadToken(c.at.TokenFile)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("X-Consul-Token", token)
	}
	resp, err := c.trips.RoundTrip(req) // follows no redirect: the token is for this agent
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close() //nolint:errcheck // only read
		return nil, failure(resp)
	}
	return resp, nil
}

// failure says what a status means. Of the body only known phrases are repeated.
func failure(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxError))
	why := http.StatusText(resp.StatusCode)
	for _, phrase := range []string{"No cluster leader", "No path to datacenter", "ACL not found", "Permission denied", "rate limit", "too many connections"} {
		if bytes.Contains(bytes.ToLower(body), []byte(strings.ToLower(phrase))) {
			why = phrase
		}
	}
	return fmt.Errorf("consul answers %d: %s", resp.StatusCode, why)
}

// read sends a query and reads the answer by rules. took is how long the reading
// took once it had begun.
func (c *client) read(ctx context.Context, q *query, r *rules) (a answer, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, q.deadline())
	defer cancel()
	resp, err := c.ask(ctx, q)
	if err != nil {
		return answer{}, 0, timedOut(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	began := time.Now()
	a, err = readHeader(resp.Header)
	if err != nil {
		return answer{}, 0, err
	}
	entries, err := readEntries(resp.Body, a.ignored)
	if err != nil {
		return answer{}, 0, timedOut(ctx, err)
	}
	a.instances = r.instances(entries, a.ignored)
	return a, time.Since(began), nil
}

var errSilent = errors.New("no answer in time")

func timedOut(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errSilent
	}
	return err
}

func readHeader(h http.Header) (answer, error) {
	text := h.Get("X-Consul-Index")
	if text == "" {
		return answer{}, errNotConsul
	}
	a := answer{ignored: Ignored{}}
	var err error
	if a.index, err = strconv.ParseUint(text, 10, 64); err != nil {
		return answer{}, errNotConsul
	}
	ms, err := strconv.ParseUint(h.Get("X-Consul-LastContact"), 10, 32)
	if err != nil && h.Get("X-Consul-LastContact") != "" {
		return answer{}, errNotConsul
	}
	a.lastContact = time.Duration(ms) * time.Millisecond
	a.knownLeader = h.Get("X-Consul-KnownLeader") != "false"
	a.hidden = h.Get("X-Consul-Results-Filtered-By-ACLs") == "true"
	return a, nil
}
