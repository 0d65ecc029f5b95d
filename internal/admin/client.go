package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/files"
)

// maxReply bounds what is read of a reply: the status of 100,000 services.
const maxReply = 256 << 20

// ClientOptions say how to reach a resolver.
type ClientOptions struct {
	Addr      string // http://host:port, https://host:port or unix:///path; "": as DETOUR_ADMIN says, else the first socket that answers
	TokenFile string // holds the token, if the resolver wants one
	CAFile    string // PEM with authorities to trust instead of the system's
}

// Client talks to a running resolver.
type Client struct {
	base  string // what requests are made to
	said  string // what people call it
	token string
	http  *http.Client
}

// NewClient returns a client. It sends nothing. Without an address it connects to the
// places where a resolver's socket may be.
func NewClient(o ClientOptions) (*Client, error) {
	err := o.address()
	if err != nil {
		return nil, err
	}
	c := &Client{said: o.Addr}
	t := &http.Transport{DisableKeepAlives: true} // one question, one connection; and no proxy
	switch u, err := url.Parse(o.Addr); {
	case err == nil && u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.base = "http://localhost"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, u.Path) }
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		c.base = u.Scheme + "://" + u.Host
	default:
		return nil, fmt.Errorf("%s is no address of a resolver: write unix:///run/detour/admin.sock, http://127.0.0.1:8053 or https://host:8053", quote(o.Addr))
	}
	if c.token, err = readToken(o.TokenFile); err != nil {
		return nil, err
	}
	if t.TLSClientConfig, err = trust(o.CAFile); err != nil {
		return nil, err
	}
	c.http = &http.Client{Transport: t, Timeout: writeTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a token goes nowhere else
	}}
	return c, nil
}

// address finds out where the resolver is, if nobody said so.
func (o *ClientOptions) address() (err error) {
	if o.Addr == "" {
		o.Addr = os.Getenv(EnvAddr)
	}
	if o.Addr == "" {
		o.Addr, err = find()
	}
	return err
}

// dialSocket connects to a socket that somebody named, unless another user may have
// put it there.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	if err := files.CheckSocket(path, true); errors.Is(err, files.ErrDistrusted) {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// readToken reads a file with one token, or a name and a token: the resolver's
// own token file will do.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := files.Read(path, maxTokens)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			return f[len(f)-1], nil
		}
	}
	return "", fmt.Errorf("token file: %s holds no token", path)
}

func trust(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := files.ReadPEM(path)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA file: %s holds no certificate", path)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Status returns the resolver's status.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// Service returns one service with its pools, endpoints and checks.
func (c *Client) Service(ctx context.Context, name string) (*Service, error) {
	return call[Service](ctx, c, http.MethodGet, "/v1/services/"+url.PathEscape(name), nil)
}

// Explain asks why a client gets the answer that it gets. typ is "A" or "AAAA",
// client an address; "" is "A" and the resolver's own machine.
func (c *Client) Explain(ctx context.Context, name, typ, client string, all bool) (*Explanation, error) {
	q := url.Values{"name": {name}, "type": {typ}, "client": {client}}
	if all {
		q.Set("all", "1")
	}
	return call[Explanation](ctx, c, http.MethodGet, "/v1/explain?"+q.Encode(), nil)
}

// PutOverride sets an override on a target.
func (c *Client) PutOverride(ctx context.Context, target string, o PutOverride) (*Changed, error) {
	return call[Changed](ctx, c, http.MethodPut, "/v1/overrides/"+escape(target), o)
}

// DeleteOverride lifts the override on a target.
func (c *Client) DeleteOverride(ctx context.Context, target string) (*Changed, error) {
	return call[Changed](ctx, c, http.MethodDelete, "/v1/overrides/"+escape(target), nil)
}

// PutFreeze stops automation.
func (c *Client) PutFreeze(ctx context.Context, f PutFreeze) (*Changed, error) {
	return call[Changed](ctx, c, http.MethodPut, "/v1/freeze", f)
}

// DeleteFreeze lets automation go on. "" is the freeze on everything.
func (c *Client) DeleteFreeze(ctx context.Context, target string) (*Changed, error) {
	return call[Changed](ctx, c, http.MethodDelete, "/v1/freeze?"+url.Values{"target": {target}}.Encode(), nil)
}

// Failback lets the returning pools of a target take their traffic now. "*" is
// every target.
func (c *Client) Failback(ctx context.Context, f PostFailback) (*Changed, error) {
	return call[Changed](ctx, c, http.MethodPost, "/v1/failback", f)
}

// Hands returns the overrides and freezes in force, those of the file included.
func (c *Client) Hands(ctx context.Context) (*Hands, error) {
	return call[Hands](ctx, c, http.MethodGet, "/v1/overrides", nil)
}

// Events returns what happened. since is how long ago at most ("1h"), or a time;
// target a region, a service or an endpoint; both may be "".
func (c *Client) Events(ctx context.Context, of EventFilter) (*Events, error) {
	return call[Events](ctx, c, http.MethodGet, "/v1/events?"+of.values(), nil)
}

// Incidents returns what happened, in which what belongs together is one. Kinds are not
// asked for.
func (c *Client) Incidents(ctx context.Context, of EventFilter) (*Incidents, error) {
	of.Kind = ""
	return call[Incidents](ctx, c, http.MethodGet, "/v1/incidents?"+of.values(), nil)
}

// Simulate asks what would be if regions failed: a list with commas.
func (c *Client) Simulate(ctx context.Context, down string) (*Simulation, error) {
	return call[Simulation](ctx, c, http.MethodGet, "/v1/simulate?"+url.Values{"down": {down}}.Encode(), nil)
}

// Probe has the resolver run the checks of a target now.
func (c *Client) Probe(ctx context.Context, target string) (*Probes, error) {
	return call[Probes](ctx, c, http.MethodPost, "/v1/probe", PostProbe{target})
}

// Guard returns the names of others that are kept.
func (c *Client) Guard(ctx context.Context) (*Guard, error) {
	return call[Guard](ctx, c, http.MethodGet, "/v1/guard", nil)
}

// Forget drops what is kept of a name.
func (c *Client) Forget(ctx context.Context, name string) (*Guard, error) {
	return call[Guard](ctx, c, http.MethodDelete, "/v1/guard/"+url.PathEscape(name), nil)
}

// Accept makes what a name's DNS says now the truth.
func (c *Client) Accept(ctx context.Context, name string) (*Guard, error) {
	return call[Guard](ctx, c, http.MethodPost, "/v1/guard/"+url.PathEscape(name), nil)
}

// Compare asks what a failover.yaml would change.
func (c *Client) Compare(ctx context.Context, yaml []byte) (*Compared, error) {
	return call[Compared](ctx, c, http.MethodPost, "/v1/check", yaml)
}

// escape keeps the slashes of a target, which are part of the path.
func escape(target string) string {
	return (&url.URL{Path: target}).EscapedPath()
}

// call makes one request, and makes it again when the resolver wants it later.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (*T, error) {
	text, isText := body.([]byte)
	if body != nil && !isText {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
	}
	for tries := 1; ; tries++ {
		out := new(T)
		wait, err := c.once(ctx, method, path, text, out)
		switch {
		case err == nil:
			return out, nil
		case wait == 0 || tries == maxTries:
			return nil, err
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// How often, and after how long at most, a request is made again that the resolver
// wants later: a script that drains a hundred endpoints is no attack.
const (
	maxTries = 60
	maxWait  = 5 * time.Second
)

// once makes a request. wait is after how long it may be made again, 0 if it is done.
func (c *Client) once(ctx context.Context, method, path string, body []byte, into any) (wait time.Duration, err error) {
	var send io.Reader
	if body != nil {
		send = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, send)
	if err != nil {
		return 0, fmt.Errorf("request: %w", err)
	}
	c.sign(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusTooManyRequests {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // without one it is done
		wait = min(max(0, time.Duration(seconds)*time.Second), maxWait)
	}
	return wait, c.decode(resp, into)
}

// sign adds the token.
func (c *Client) sign(r *http.Request) {
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
}

func (c *Client) decode(resp *http.Response, into any) error {
	d := json.NewDecoder(io.LimitReader(resp.Body, maxReply))
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case kind == "application/problem+json":
		p := new(Problem)
		if err := d.Decode(p); err != nil {
			return c.stranger(resp)
		}
		return c.tell(p)
	case resp.StatusCode != http.StatusOK || kind != "application/json":
		return c.stranger(resp)
	}
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s sent a reply that this version does not understand: %w", c.said, err)
	}
	return nil
}

// tell says what a problem means for whoever typed the command.
func (c *Client) tell(p *Problem) error {
	switch {
	case p.Status == http.StatusUnauthorized && c.token == "":
		return fmt.Errorf("%s wants a token: name the file that holds it with --token-file", c.said)
	case len(p.Services) > 0:
		return fmt.Errorf("%w: %s", p, nameList(p.Services, "--dry-run --json has all"))
	}
	return p
}

func (c *Client) stranger(resp *http.Response) error {
	return fmt.Errorf("what answers at %s is no resolver (HTTP status %d): give its address with --admin", c.said, resp.StatusCode)
}

// unreachable says what is wrong when nobody answers.
func (c *Client) unreachable(err error) error {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, files.ErrDistrusted):
		return fmt.Errorf("%s is refused: %w", c.said, distrusted(err))
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be used by this user: try as root, or as a member of the socket's group", c.said)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("no resolver answers at %s: is it running? give its address with --admin or in %s (%w)", c.said, EnvAddr, op.Err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s accepts and then says nothing for %d s: its log may tell more, and a file in overrides.d of its state directory drains without it", c.said, writeTimeout/time.Second)
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("cannot talk to %s: %w", c.said, err)
}

// distrusted returns the part of an error that names the file.
func distrusted(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path
	}
	return err
}
