package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNetworksContain(t *testing.T) {
	private := Networks{Private: true}
	some := Networks{Prefixes: prefixes("192.0.2.0/24", "2001:db8::/32")}
	tests := []struct {
		networks Networks
		addr     string
		want     bool
	}{
		{private, "127.0.0.1", true},
		{private, "10.1.2.3", true},
		{private, "172.31.255.255", true},
		{private, "172.32.0.0", false},
		{private, "192.168.0.1", true},
		{private, "100.127.0.1", true},
		{private, "100.128.0.1", false},
		{private, "169.254.1.1", true},
		{private, "::1", true},
		{private, "fd12::1", true},
		{private, "fe80::1%eth0", true},
		{private, "::ffff:10.0.0.1", true},
		{private, "8.8.8.8", false},
		{private, "2001:db8::1", false},
		{some, "192.0.2.1", true},
		{some, "::ffff:192.0.2.1", true},
		{some, "2001:db8::1", true},
		{some, "10.0.0.1", false},
		{Networks{}, "10.0.0.1", false},
	}
	for _, tt := range tests {
		if got := tt.networks.Contains(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%+v.Contains(%s) = %v", tt.networks, tt.addr, got)
		}
	}
	if private.Contains(netip.Addr{}) {
		t.Error("the zero Addr is in private")
	}
}

func TestRecursion(t *testing.T) {
	const regions = "regions: {aws/us-east-1: {networks: [192.0.2.0/24]}}\n"
	inRegion, private, stranger := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("8.8.8.8")
	for text, want := range map[string][3]bool{
		"":                         {true, true, false},
		"recursion: []":            {false, false, false},
		"recursion: [private]":     {true, true, false},
		"recursion: [8.0.0.0/8]":   {false, false, true},
		"recursion: [0.0.0.0/0]":   {true, true, true},
		"recursion: [192.0.2.1]":   {true, false, false},
		"recursion: ['192.0.2.1']": {true, false, false},
	} {
		r := mustParse(t, regions+text).Recursion
		if got := [3]bool{r.Contains(inRegion), r.Contains(private), r.Contains(stranger)}; got != want {
			t.Errorf("%q: own region, private, stranger = %v, want %v", text, got, want)
		}
	}
}

func TestForbidden(t *testing.T) {
	tests := []struct{ addr, reason string }{
		{"192.0.2.1", ""},
		{"10.0.0.1", ""},
		{"2001:db8::1", ""},
		{"fd00::1", ""},
		{"64:ff9b::c000:201", ""},
		{"0.0.0.0", "unspecified"},
		{"0.1.2.3", "unspecified"},
		{"::", "unspecified"},
		{"127.0.0.53", "loopback"},
		{"::1", "loopback"},
		{"::ffff:127.0.0.1", "loopback"},
		{"64:ff9b::7f00:1", "loopback"},
		{"169.254.169.254", "metadata"},
		{"::ffff:169.254.169.254", "metadata"},
		{"64:ff9b::a9fe:a9fe", "metadata"},
		{"fd00:ec2::254", "metadata"},
		{"168.63.129.16", "platform"},
		{"169.254.1.1", "link-local"},
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "link-local"},
		{"224.0.0.251", "multicast"},
		{"ff02::1%eth0", "multicast"},
		{"255.255.255.255", "broadcast"},
	}
	for _, tt := range tests {
		reason, refused := Targets{}.Forbidden(netip.MustParseAddr(tt.addr))
		if refused != (tt.reason != "") || !strings.Contains(reason, tt.reason) {
			t.Errorf("Forbidden(%s) = %q, %v; want %q", tt.addr, reason, refused, tt.reason)
		}
	}
	if _, refused := (Targets{}).Forbidden(netip.Addr{}); !refused {
		t.Error("the zero Addr is allowed")
	}
	allow := prefixes("127.0.0.0/8", "fe80::/10")
	for addr, want := range map[string]bool{"127.0.0.1": false, "::ffff:127.0.0.1": false, "fe80::1%eth0": false, "::1": true} {
		if _, refused := (Targets{Allow: allow}).Forbidden(netip.MustParseAddr(addr)); refused != want {
			t.Errorf("with %v: Forbidden(%s) = %v", allow, addr, refused)
		}
	}
}
