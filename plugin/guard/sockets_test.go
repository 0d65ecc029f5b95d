package guard

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/test/kit"
)

// The tests of this file prove on real sockets, on addresses of the loopback network.

const socketConf = "guard api.cloud.example {\n state off\n allow_targets 127.0.0.0/8\n}"

// ground is a guard whose proofs go to real sockets, all of them on one port.
type ground struct {
	*world
	port uint16
}

func newGround(t *testing.T) *ground {
	w := newWorld(t, socketConf, newScript())
	t.Cleanup(w.at.leave)
	w.g.opts.dial = nil
	var err error
	if w.g.prove, err = newProver(&w.g.opts); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close() //nolint:errcheck // only its port was wanted
	w.g.prove.port = netip.MustParseAddrPort(free.Addr().String()).Port()
	return &ground{w, w.g.prove.port}
}

// at serves connections to an address until the test ends, or stop is called.
func (g *ground) at(ip string, handle func(net.Conn)) (stop func()) {
	g.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, g.port))
	if err != nil {
		g.Skipf("needs all of 127.0.0.0/8: %v", err)
	}
	stop = func() { _ = l.Close() }
	g.Cleanup(stop)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // it is over
				handle(c)
			}()
		}
	}()
	return stop
}

func shakes(conf *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		if s := tls.Server(c, conf); s.Handshake() == nil {
			_, _ = s.Read(make([]byte, 1))
		}
	}
}

func shows(c *tls.Certificate) func(net.Conn) {
	return shakes(&tls.Config{Certificates: []tls.Certificate{*c}})
}

func speaks(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = c.Write([]byte(text)); _, _ = io.Copy(io.Discard, c) }
}

func resets(c net.Conn) {
	_, _ = c.Read(make([]byte, 1))
	_ = c.(*net.TCPConn).SetLinger(0)
}

func says0(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// TestWhatAFailedProofMeans is the table of docs/guard.md.
func TestWhatAFailedProofMeans(t *testing.T) {
	g := newGround(t)
	mine := g.ca.issue(t, "api.cloud.example")
	ended := g.ca.Issue(t, kit.Leaf{Names: []string{"api.cloud.example"}, Ends: time.Now().Add(-time.Hour)})
	mutual := func(version uint16) func(net.Conn) {
		return shakes(&tls.Config{Certificates: []tls.Certificate{*mine}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: version})
	}
	for i, c := range []struct {
		name   string
		handle func(net.Conn) // nil: nothing listens
		want   guard.Proof
		why    guard.Reason
	}{
		{"its certificate", shows(mine), guard.Proven, guard.NoReason},
		{"its certificate, and wants one of ours, TLS 1.2", mutual(tls.VersionTLS12), guard.Proven, guard.NoReason},
		{"its certificate, and wants one of ours, TLS 1.3", mutual(tls.VersionTLS13), guard.Proven, guard.NoReason},
		{"by a wildcard", shows(g.ca.issue(t, "*.cloud.example")), guard.Unproven, guard.NoReason},
		{"another's", shows(g.ca.issue(t, "shop.other.example")), guard.Contradicts, guard.OtherName},
		{"a forged one", shows(newAuthority(t).issue(t, "api.cloud.example")), guard.Contradicts, guard.Untrusted},
		{"an expired one", shows(&ended), guard.Proven, guard.NoReason}, // if it is as the last good one
		{"unrecognized_name", speaks("\x15\x03\x01\x00\x02\x02\x70"), guard.Contradicts, guard.Unrecognized},
		{"handshake_failure", speaks("\x15\x03\x01\x00\x02\x02\x28"), guard.Mute, guard.Alert},
		{"SSH", speaks("SSH-2.0-OpenSSH_9.9\r\n"), guard.Contradicts, guard.OtherText},
		{"HTTP", speaks("HTTP/1.1 400 Bad Request\r\n\r\n"), guard.Contradicts, guard.OtherText},
		{"a reset", resets, guard.Mute, guard.Closing},
		{"a close", func(net.Conn) {}, guard.Mute, guard.Closing},
		{"silence", says0, guard.Mute, guard.Speechless},
		{"refused", nil, guard.Contradicts, guard.Refusing},
	} {
		ip := fmt.Sprintf("127.0.1.%d", i+1)
		if c.handle != nil {
			g.at(ip, c.handle)
		}
		w := g.g.prove.ask(api, addr(t, ip))
		if w.Proof != c.want || w.Why != c.why || (w.Ended > 0) != (c.name == "an expired one") {
			t.Errorf("%s: %v (%v), want %v (%v)", c.name, w.Proof, w.Why, c.want, c.why)
		}
	}
}

// TestSilenceIsHeard holds that a machine whose queue of connections is full is silent,
// and that while nobody answers that is held against us: on real sockets.
func TestSilenceIsHeard(t *testing.T) {
	g := newGround(t)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd) //nolint:errcheck // a test's
	at := &syscall.SockaddrInet4{Port: int(g.port), Addr: [4]byte{127, 0, 2, 1}}
	if err := syscall.Bind(fd, at); err != nil {
		t.Skipf("needs all of 127.0.0.0/8: %v", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 3 { // nobody accepts: then SYNs are dropped
		if c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.2.1:%d", g.port), 50*time.Millisecond); err == nil {
			defer c.Close() //nolint:errcheck // a test's
		}
	}
	e := g.learned("127.0.2.1")
	g.g.proveMember(e, false, addr(t, "127.0.2.1"))
	if m, _ := e.known.Member(false, addr(t, "127.0.2.1")); m.Proof != guard.Silent {
		t.Fatalf("%v: %v", m.Proof, m.Why)
	}
	now := guard.At(time.Now())
	if _, why := e.known.Stand(false, &g.g.opts.rules, now, g.at2().hush(now)); why != guard.Stands {
		t.Errorf("nobody answers, so it is us: %v", why)
	}
	for range 2 {
		g.at2().note(guard.Proven, now)
	}
	if _, why := e.known.Stand(false, &g.g.opts.rules, now, g.at2().hush(now)); why != guard.Quiet {
		t.Errorf("others answer: %v", why)
	}
}

func (g *ground) at2() *bureau { return g.world.at }

// learned makes a name known by these addresses, which proved themselves, and fail.
func (g *ground) learned(ips ...string) *entry {
	e := g.g.table.entry(api)
	e.mu.Lock()
	defer e.mu.Unlock()
	a := &guard.Answer{TTL: 5}
	for _, ip := range ips {
		a.Addrs = append(a.Addrs, addr(g.T, ip))
	}
	now := guard.At(time.Now())
	for i := range 4 {
		e.known.Learn(false, a, now.Add(time.Duration(i-4)*30*time.Second))
	}
	for _, ip := range a.Addrs {
		e.known.Prove(false, ip, guard.Proven, now.Add(-time.Minute))
	}
	e.known.Fail(false, guard.NoData, now)
	return e
}

// TestOneIsReassigned holds that of three addresses the one that speaks SSH by now is
// out after two proofs, and that the one that resets stands behind the one that is well.
func TestOneIsReassigned(t *testing.T) {
	g := newGround(t)
	g.at("127.0.3.1", shows(g.ca.issue(t, "api.cloud.example")))
	g.at("127.0.3.2", speaks("SSH-2.0-OpenSSH_9.9\r\n"))
	g.at("127.0.3.3", resets)
	e := g.learned("127.0.3.1", "127.0.3.2", "127.0.3.3")
	begun := time.Now()
	for _, ip := range []string{"127.0.3.1", "127.0.3.2", "127.0.3.3"} {
		g.g.proveMember(e, false, addr(t, ip))
	}
	if d := time.Since(begun); d > guard.Twice {
		t.Errorf("that took %v", d)
	}
	m := g.ask(api, dns.TypeA)
	g.want(m, dns.RcodeSuccess, "127.0.3.1", "127.0.3.3")
	if first, _ := address(m.Answer[0]); first != addr(t, "127.0.3.1") || m.Answer[0].Header().Ttl != faint {
		t.Errorf("%v", m.Answer)
	}
}
