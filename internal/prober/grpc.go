package prober

import (
	"context"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/detour-dns/detour/internal/health"
)

// grpcKind passes when grpc.health.v1 says SERVING. It connects and shakes hands
// itself, so those faults have the same causes as everywhere, and lends the
// finished connection to the library for one call.
type grpcKind struct {
	d       *dialer
	s       *secure // nil without TLS
	service string
}

func newGRPC(s Spec, d *dialer) (kind, error) {
	p := &grpcKind{d: d, service: s.Service}
	if !s.UseTLS {
		return p, nil
	}
	var err error
	p.s, err = newSecure(s, d, "h2")
	return p, err
}

func (p *grpcKind) try(ctx context.Context, a *attempt) outcome {
	c, o := p.d.open(ctx, "tcp", a)
	if c == nil {
		return o
	}
	defer c.abort()
	creds := insecure.NewCredentials()
	if p.s == nil {
		return p.call(ctx, &watched{Conn: c}, creds, a)
	}
	tc, o := p.s.shake(c, a)
	if tc == nil {
		return o
	}
	state := tc.ConnectionState()
	o = p.call(ctx, &watched{Conn: tc}, shaken{creds, credentials.TLSInfo{
		State:          state,
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}}, a)
	o.expiry = expiry(state.PeerCertificates)
	return o
}

// call asks for the service's health over c.
func (p *grpcKind) call(ctx context.Context, c *watched, creds credentials.TransportCredentials, a *attempt) outcome {
	scheme := "http"
	if p.s != nil {
		scheme = "https"
	}
	cc, err := grpc.NewClient("passthrough:///"+a.target.addrPort().String(),
		grpc.WithTransportCredentials(creds),
		grpc.WithAuthority(hostPort(a.target, scheme)),
		grpc.WithContextDialer(c.lend),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(), grpc.WithNoProxy(), grpc.WithIdleTimeout(0),
		grpc.WithUserAgent("detour-probe"), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxBody)),
	)
	if err != nil {
		return a.end(health.CauseProtocol, "no grpc client: "+innermost(err))
	}
	defer func() { _ = cc.Close() }()
	// The server is not told the deadline: it would answer "deadline exceeded" at
	// the last moment, and silence must not look like an answer.
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	reply, err := grpc_health_v1.NewHealthClient(cc).Check(call, &grpc_health_v1.HealthCheckRequest{Service: p.service})
	a.mark("reply")
	if err != nil {
		return c.explain(ctx, status.Code(err), a)
	}
	if s := reply.GetStatus(); s != grpc_health_v1.HealthCheckResponse_SERVING {
		return a.end(health.CauseGRPC, s.String())
	}
	return a.end(health.CauseNone, "")
}

// shaken gives the library a connection whose handshake is done.
type shaken struct {
	credentials.TransportCredentials
	info credentials.TLSInfo
}

func (s shaken) ClientHandshake(_ context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c, s.info, nil
}

func (s shaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (s shaken) Clone() credentials.TransportCredentials { return s }

// watched is a connection that remembers what the peer did: the library turns
// every end of a connection into the same status.
type watched struct {
	net.Conn
	mu    sync.Mutex
	lent  bool
	first []byte // the beginning of what the peer sent, at most a frame's length and type
	err   error  // the connection's first error
}

var errLent = errors.New("one connection is all a probe makes")

// Where a frame of HTTP/2 has its type, and the type of the frame that comes first.
const (
	frameType     = 3
	frameSettings = 4
)

// http2 reports whether what the peer sent, if anything, begins as HTTP/2 must.
func (w *watched) http2() bool {
	return len(w.first) <= frameType || w.first[frameType] == frameSettings
}

// lend is a dialer that hands out the connection once.
func (w *watched) lend(context.Context, string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lent {
		return nil, errLent
	}
	w.lent = true
	return w, nil
}

// Read implements net.Conn.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.note(b[:n], err)
	return n, err
}

// Write implements net.Conn.
func (w *watched) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.note(nil, err)
	return n, err
}

func (w *watched) note(heard []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first = append(w.first, heard[:min(len(heard), frameType+1-len(w.first))]...)
	if w.err == nil {
		w.err = err
	}
}

// explain tells what a failed call means.
func (w *watched) explain(ctx context.Context, code codes.Code, a *attempt) outcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return a.end(health.CauseTimeout, "connected, then no reply")
	case code != codes.Unavailable:
		return a.end(health.CauseGRPC, "rpc error "+code.String())
	case !w.http2():
		return a.end(health.CauseProtocol, "not HTTP/2")
	case w.err != nil && !errors.Is(w.err, net.ErrClosed):
		cause, detail := tlsCause(w.err)
		if cause == health.CauseTimeout {
			detail = "connected, then no reply"
		}
		return a.end(cause, detail)
	}
	return a.end(health.CauseGRPC, "rpc error "+code.String())
}
