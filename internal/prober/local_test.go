package prober

import (
	"net"
	"net/netip"
	"testing"
)

func TestLocal(t *testing.T) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range list {
		if a := netip.MustParsePrefix(l.String()).Addr(); !Local(a) {
			t.Errorf("%s is not local", a)
		}
	}
	for addr, want := range map[string]bool{"127.0.0.2": true, "::1": true, "::ffff:127.0.0.1": true, "203.0.113.77": false, "2001:db8:77::1": false} {
		if Local(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: want %v", addr, want)
		}
	}
}
