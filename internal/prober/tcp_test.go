package prober

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

func TestTCP(t *testing.T) {
	r := want(t, Spec{Type: "tcp"}, "", serve(t, hold), health.CauseNone)
	if names(r) != "dial " {
		t.Errorf("steps %v", r.Steps)
	}
	want(t, Spec{Type: "tcp"}, "", closedPort(t), health.CauseRefused)
}

func TestTCPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	want(t, Spec{Type: "tcp"}, "", addrPort(l.Addr()), health.CauseNone)
	_ = l.Close()
	want(t, Spec{Type: "tcp"}, "", addrPort(l.Addr()), health.CauseRefused)
	want(t, Spec{Type: "tcp"}, "", netip.MustParseAddrPort("[fe80::1%nowhere]:1"), health.CauseNoRoute)
}

// Without file descriptors no endpoint is down.
func TestNoDescriptors(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := before
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skipf("no limits here: %v", err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	for _, kind := range []string{"tcp", "https", "grpc", "dns", "icmp"} {
		want(t, Spec{Type: kind}, "", netip.MustParseAddrPort("127.0.0.1:9"), health.CauseDescriptors)
	}
}

func TestTCPOverDialer(t *testing.T) {
	called := 0
	env := Env{Control: func(string, string, syscall.RawConn) error { called++; return nil }}
	p := newProber(t, Spec{Type: "tcp"}, env)
	to := serve(t, hold)
	if r := p.Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port()}); !r.Cause.OK() || called != 1 {
		t.Errorf("cause %s, control called %d times", r.Cause, called)
	}
	to = closedPort(t)
	if r := p.Probe(t.Context(), Target{Addr: to.Addr(), Port: to.Port()}); r.Cause != health.CauseRefused {
		t.Errorf("cause %s", r.Cause)
	}
}

// fullListener returns a listener that drops SYNs: its backlog is full.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(
		syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0),
	); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*syscall.SockaddrInet4).Port))
	for range 8 {
		c, err := net.DialTimeout("tcp", to.String(), 100*time.Millisecond)
		if err != nil {
			return to
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Skip("this system accepts more than a listener's backlog")
	return to
}

func TestTCPSilence(t *testing.T) {
	to := fullListener(t)
	before := runtime.NumGoroutine()
	begin := time.Now()
	want(t, Spec{Type: "tcp", Timeout: brief, Attempts: 3}, "", to, health.CauseTimeout)
	if took := time.Since(begin); took < brief || took > brief*5/4 {
		t.Errorf("took %s", took)
	}
	leftNothing(t, before)
}

func TestTCPCancel(t *testing.T) {
	to := fullListener(t)
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 1500 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		begin := time.Now()
		r := newProber(t, Spec{Type: "tcp"}, Env{}).Probe(ctx, Target{Addr: to.Addr(), Port: to.Port()})
		cancel()
		if late := time.Since(begin) - after; r.Cause != health.CauseLate || late > 200*time.Millisecond {
			t.Errorf("canceled after %s: cause %s, %s late", after, r.Cause, late)
		}
	}
}

// TestExplain holds what a failed connect means.
func TestExplain(t *testing.T) {
	to := netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		errno  syscall.Errno
		routed bool
		cause  health.Cause
	}{
		{syscall.ECONNREFUSED, true, health.CauseRefused},
		{syscall.ETIMEDOUT, true, health.CauseTimeout},
		{syscall.ENETUNREACH, true, health.CauseUnreachable},
		{syscall.ENETUNREACH, false, health.CauseNoRoute},
		{syscall.EHOSTUNREACH, true, health.CauseUnreachable},
		{syscall.EHOSTUNREACH, false, health.CauseNoRoute},
		{syscall.EINVAL, false, health.CauseNoRoute},
		{syscall.EAFNOSUPPORT, false, health.CauseNoRoute},
		{syscall.EADDRNOTAVAIL, false, health.CauseNoRoute},
		{syscall.EADDRNOTAVAIL, true, health.CausePorts},
		{syscall.EADDRINUSE, true, health.CausePorts},
		{syscall.ENOBUFS, true, health.CausePorts},
		{syscall.EMFILE, true, health.CauseDescriptors},
		{syscall.ENFILE, true, health.CauseDescriptors},
		{syscall.EPERM, true, health.CausePermission},
		{syscall.EACCES, true, health.CausePermission},
		{syscall.ECONNRESET, true, health.CauseReset},
	} {
		d := newDialer(Env{})
		d.route = func(netip.Addr) error {
			if tc.routed {
				return nil
			}
			return syscall.ENETUNREACH
		}
		err := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", tc.errno)}
		cause, detail := d.explain(err, to)
		if cause != tc.cause || detail == "" || strings.Contains(detail, "192.0.2.1") {
			t.Errorf("%v, route %v: %s %q, want %s", tc.errno, tc.routed, cause, detail, tc.cause)
		}
	}
}

func TestClean(t *testing.T) {
	long := strings.Repeat("é", 200)
	for in, out := range map[string]string{
		"":                         "",
		"503 Out\r\nSet: \x1b[31m": "503 Out  Set:  [31m",
		"bad\xff\u202eutf":         "bad  utf",
		long:                       strings.Repeat("é", 60),
		"x" + long:                 "x" + strings.Repeat("é", 59),
	} {
		if got := clean(in); got != out {
			t.Errorf("clean(%q) = %q, want %q", in, got, out)
		}
	}
}
