package prober

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"

	"github.com/detour-dns/detour/internal/health"
)

// mayPing skips a test where this user may not send echo requests.
func mayPing(t *testing.T, to netip.Addr) {
	t.Helper()
	c, _, err := pingConn(to)
	if err != nil {
		t.Skipf("no icmp here: %v", err)
	}
	_ = c.Close()
}

func TestICMP(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		t.Run(a, func(t *testing.T) {
			to := netip.MustParseAddr(a)
			mayPing(t, to.Unmap())
			if r := want(t, Spec{Type: "icmp"}, "", netip.AddrPortFrom(to, 0), health.CauseNone); names(r) != "reply " {
				t.Errorf("steps %v", r.Steps)
			}
		})
	}
}

func TestICMPPermission(t *testing.T) {
	p := &icmpKind{d: newDialer(Env{})}
	for _, err := range []error{os.ErrPermission, os.NewSyscallError("socket", errors.Join(os.ErrPermission))} {
		if o := p.broken(err, &attempt{start: time.Now()}); o.cause != health.CausePermission {
			t.Errorf("%v: cause %s", err, o.cause)
		}
	}
}

func TestEchoMatch(t *testing.T) {
	e := newEcho(false, false)
	packet := func(kind icmp.Type, seq int, data []byte) []byte {
		b, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: 1, Seq: seq, Data: data}}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := packet(ipv4.ICMPTypeEchoReply, e.seq, e.data)
	if !e.answeredBy(good) {
		t.Error("the reply is not taken")
	}
	for name, b := range map[string][]byte{
		"request":  packet(ipv4.ICMPTypeEcho, e.seq, e.data),
		"sequence": packet(ipv4.ICMPTypeEchoReply, e.seq+1, e.data),
		"data":     packet(ipv4.ICMPTypeEchoReply, e.seq, make([]byte, 20)),
		"short":    good[:3],
		"empty":    nil,
	} {
		if e.answeredBy(b) {
			t.Errorf("%s: taken for the reply", name)
		}
	}
	e.raw = true
	header := make([]byte, 24)
	header[0] = 0x46
	if !e.answeredBy(append(header, good...)) || e.answeredBy(header[:10]) || e.answeredBy(header[:22]) {
		t.Error("IPv4 header of a raw socket")
	}
}
