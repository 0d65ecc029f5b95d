package prober

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/detour-dns/detour/internal/health"
)

// checker answers health checks as its function says.
type checker struct {
	grpc_health_v1.UnimplementedHealthServer
	check func(ctx context.Context) error
}

func (c checker) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, c.check(ctx)
}

func serveGRPC(t *testing.T, h grpc_health_v1.HealthServer, opts ...grpc.ServerOption) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	if h != nil {
		grpc_health_v1.RegisterHealthServer(s, h)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return addrPort(l.Addr())
}

func TestGRPC(t *testing.T) {
	h := grpchealth.NewServer()
	h.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	to := serveGRPC(t, h)
	if r := want(t, Spec{Type: "grpc"}, "shop.example", to, health.CauseNone); names(r) != "dial reply " {
		t.Errorf("steps %v", r.Steps)
	}
	if r := want(t, Spec{Type: "grpc", Service: "shop"}, "", to, health.CauseGRPC); r.Detail != "NOT_SERVING" {
		t.Errorf("detail %q", r.Detail)
	}
	if r := want(t, Spec{Type: "grpc", Service: "bank"}, "", to, health.CauseGRPC); r.Detail != "rpc error NotFound" {
		t.Errorf("detail %q", r.Detail)
	}
	if r := want(t, Spec{Type: "grpc"}, "", serveGRPC(t, nil), health.CauseGRPC); r.Detail != "rpc error Unimplemented" {
		t.Errorf("detail %q", r.Detail)
	}
	want(t, Spec{Type: "grpc"}, "", closedPort(t), health.CauseRefused)
}

// An RPC status is an answer, also when it sounds like silence.
func TestGRPCStatus(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled} {
		to := serveGRPC(t, checker{check: func(context.Context) error { return status.Error(code, "secret") }})
		if r := want(t, Spec{Type: "grpc"}, "", to, health.CauseGRPC); r.Detail != "rpc error "+code.String() {
			t.Errorf("detail %q", r.Detail)
		}
	}
}

func TestGRPCBroken(t *testing.T) {
	s := Spec{Type: "grpc"}
	want(t, s, "", serve(t, func(c net.Conn) { reset(c) }), health.CauseReset)
	want(t, s, "", serve(t, func(net.Conn) {}), health.CauseReset)
	web := serve(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); hold(c) })
	want(t, s, "", web, health.CauseProtocol)
	s.Timeout, s.Attempts = brief, 3
	want(t, s, "", serve(t, hold), health.CauseTimeout)
	never := checker{check: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	want(t, s, "", serveGRPC(t, never), health.CauseTimeout)
}

func TestGRPCOverTLS(t *testing.T) {
	ca := newAuthority(t)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	authority := make(chan string, 4)
	h := checker{check: func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		authority <- md.Get(":authority")[0]
		return nil
	}}
	to := serveGRPC(t, h, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(t, "shop.example", end)}})))
	s := Spec{Type: "grpc", UseTLS: true, Verify: true, CAFile: ca.file}
	r := want(t, s, "shop.example", to, health.CauseNone)
	if !r.Expiry.Equal(end) || names(r) != "dial handshake reply " {
		t.Errorf("expiry %s, steps %v", r.Expiry, r.Steps)
	}
	if got := <-authority; got != hostPort(Target{Host: "shop.example", Port: to.Port()}, "https") {
		t.Errorf("authority %q", got)
	}
	want(t, s, "bank.example", to, health.CauseTLSName)
	want(t, s, "shop.example", serveGRPC(t, h), health.CauseTLS)
}

func TestGRPCLeavesNothing(t *testing.T) {
	to := serve(t, hold)
	before := runtime.NumGoroutine()
	for range 5 {
		want(t, Spec{Type: "grpc", Timeout: 100 * time.Millisecond, Attempts: 2}, "", to, health.CauseTimeout)
	}
	leftNothing(t, before)
}
