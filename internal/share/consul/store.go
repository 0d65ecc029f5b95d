package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/detour-dns/detour/internal/share"
)

// Store is one Consul datacenter.
type Store struct {
	Name       string // for people; "" = "consul <Datacenter>", or "consul <Address>"
	Datacenter string // "" = that of the agent. Sessions need an agent of this very datacenter
	Address    string // http://host:port, https://host:port or unix:///path; without a scheme https if there is a CA or a certificate
	TokenFile  string // "" = no token. This file and those below are read at each connect
	CAFile     string // "" = the system's
	CertFile   string // "" = no client certificate
	KeyFile    string
	ServerName string // to verify, "" = the address's host
}

// store is what is known of one datacenter.
type store struct {
	s      *Share
	at     Store
	to     *url.URL
	log    *slog.Logger
	kick   chan struct{} // there is something to write
	bytes  atomic.Int64
	writes atomic.Int64

	connecting sync.Mutex // guards the next three
	client     *api.Client
	via        *transport
	token      string // the last one, which no error may show

	session string // the keeper's; "" = none

	putting sync.Mutex    // held while records are written for Put
	useKick chan struct{} // there is another use to write

	// What follows is guarded by Share.mu.
	written written
	usedAs  writtenUse
	parts   [numParts]part // what was read, by prefix
	kept    kept           // what was read of what guards keep
	trouble [2]bool        // reading, writing: whether that is known to fail
}

func newStore(s *Share, at Store) (*store, error) {
	text := at.Address
	if !strings.Contains(text, "://") {
		scheme := "http://"
		if at.CAFile != "" || at.CertFile != "" {
			scheme = "https://"
		}
		text = scheme + text
	}
	to, err := url.Parse(text)
	if err != nil || to.User != nil || (to.Scheme == "unix") != (to.Host == "") || to.Scheme != "http" && to.Scheme != "https" && to.Scheme != "unix" {
		return nil, fmt.Errorf("address of Consul in datacenter %q: write http://host:port, https://host:port or unix:///path", at.Datacenter)
	}
	switch {
	case at.Name != "":
	case at.Datacenter != "":
		at.Name = "consul " + at.Datacenter
	default:
		at.Name = "consul " + to.Host + to.Path
	}
	return &store{s: s, at: at, to: to, log: s.log.With("store", at.Name), kick: make(chan struct{}, 1), useKick: make(chan struct{}, 1)}, nil
}

// use calls f with a client and makes its error fit to be shown. After an error the
// next use connects anew, with what the files hold then.
func (st *store) use(ctx context.Context, limit time.Duration, f func(context.Context, *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client, via, err := st.connect()
	if err == nil {
		err = f(ctx, client)
	}
	if err == nil {
		return nil
	}
	st.disconnect(via)
	st.connecting.Lock()
	defer st.connecting.Unlock()
	return fmt.Errorf("%s: %w", st.at.Name, tidy(err, st.token))
}

// ErrDenied is in an error if a token may not do what was asked: to ask again helps
// only when somebody changed its policies.
var ErrDenied = errors.New("not allowed")

// denied is in what a server says then.
const denied = "Permission denied"

// commit does all operations or none. Where none was done, why says what the server
// had against the first that it refused.
func (st *store) commit(ctx context.Context, ops api.TxnOps) (done bool, why string, err error) {
	err = st.use(ctx, writeTimeout, func(ctx context.Context, c *api.Client) error {
		ok, resp, _, err := c.Txn().Txn(ops, (&api.QueryOptions{}).WithContext(ctx))
		if done = ok && err == nil; !done && err == nil {
			why = firstError(resp)
		}
		return err
	})
	if strings.Contains(why, denied) {
		st.hangUp() // the token file may hold another one by now
	}
	if why != "" {
		st.connecting.Lock()
		defer st.connecting.Unlock()
		why = tidy(errors.New(why), st.token).Error()
	}
	return done, why, err
}

// firstError returns what a server had against the first operation that it refused, "" if
// it does not say.
func firstError(resp *api.TxnResponse) string {
	if resp == nil || len(resp.Errors) == 0 || resp.Errors[0] == nil {
		return ""
	}
	return resp.Errors[0].What
}

func (st *store) connect() (*api.Client, *transport, error) {
	st.connecting.Lock()
	defer st.connecting.Unlock()
	if st.client != nil {
		return st.client, st.via, nil
	}
	client, via, err := newClient(&st.at, st.to, &st.bytes)
	if err != nil {
		return nil, nil, err
	}
	st.client, st.via, st.token = client, via, via.token
	return client, via, nil
}

// disconnect drops a connection unless another one took its place.
func (st *store) disconnect(via *transport) {
	st.connecting.Lock()
	defer st.connecting.Unlock()
	if via != nil && st.via == via {
		via.base.CloseIdleConnections()
		st.client, st.via = nil, nil
	}
}

// What may fail of a store.
const (
	reading = iota
	writing
)

// note keeps whether something fails, and says so when that changes. The caller
// holds Share.mu.
func (st *store) note(what int, err error) {
	was := st.trouble[what]
	st.trouble[what] = err != nil
	did := [...]string{"read", "written"}[what]
	switch {
	case err != nil && !was && st.s.ctx.Err() == nil:
		st.log.Warn("what resolvers share is not "+did+" here", "error", err)
	case err == nil && was:
		st.log.Info("what resolvers share is " + did + " here again")
	}
}

// status tells others how the store is. The caller holds Share.mu.
func (st *store) status() share.Store {
	out := share.Store{Name: st.at.Name, Writes: int(st.writes.Load()), Bytes: st.bytes.Load()}
	for i := range st.parts {
		out.Odd += st.parts[i].odd
	}
	for _, p := range []*part{&st.parts[inWho], &st.parts[inOp]} {
		if p.err != nil {
			out.Error = p.err.Error()
		}
	}
	out.At = st.parts[inOp].at
	if who := st.parts[inWho].at; who.Before(out.At) {
		out.At = who
	}
	return out
}
