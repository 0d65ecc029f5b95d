package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestTargets(t *testing.T) {
	for _, tt := range []struct{ addr, reason string }{
		// Addresses of clouds.
		{"100.100.100.200", "metadata"},
		{"::ffff:100.100.100.200", "metadata"},
		{"100.100.100.201", ""},
		{"192.0.0.192", "metadata"},
		{"192.0.0.193", ""},
		{"169.254.42.42", "metadata"},
		{"169.254.170.23", "metadata"},
		{"169.254.0.23", "metadata"},
		{"fd00:42::42", "metadata"},
		{"fd00:42::43", ""},
		{"fd00:ec2::23", "metadata"},
		{"fd00:ec2::253", "platform"},
		{"fd20:ce::254", "metadata"},
		{"fd00:c1::a9fe:a9fe", "metadata"},
		{"fd00:a9fe:a9fe::1", "metadata"},
		{"fd00:100::100:200", "metadata"},
		{"fe80::a9fe:a9fe%eth0", "metadata"},
		// Documentation is for examples.
		{"192.0.2.1", ""},
		{"198.51.100.1", ""},
		{"203.0.113.1", ""},
		{"2001:db8::1", ""},
		{"3fff::1", ""},
		// Reserved.
		{"240.0.0.1", "reserved"},
		{"254.255.255.255", "reserved"},
		{"255.255.255.255", "broadcast"},
		// IPv4 addresses that IPv6 addresses carry.
		{"::127.0.0.1", "IPv6 form of 127.0.0.1, a loopback"},
		{"::0.0.0.2", "unspecified"},
		{"::240.0.0.1", "reserved"},
		{"::192.0.2.1", ""},
		{"::1", "a loopback"},
		{"::ffff:0:127.0.0.1", "loopback"},
		{"::ffff:0:192.0.2.1", ""},
		{"64:ff9b::169.254.169.254", "metadata"},
		{"64:ff9b::10.0.0.1", ""},
		{"64:ff9b::192.0.2.1", ""},
		{"64:ff9b::255.255.255.255", "broadcast"},
		{"64:ff9b:1::127.0.0.1", "translator"},
		{"64:ff9b:1::192.0.2.1", "translator"},
		{"64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "translator"},
		{"64:ff9b:2::1", ""},
		{"2002:7f00:1::1", "loopback"},
		{"2002:a9fe:a9fe::", "metadata"},
		{"2002:6464:64c8:1::1", "metadata"},
		{"2002:c000:201::1", ""},
		{"2002:c000:201::5efe:7f00:1", "loopback"},
		{"2001:0:c000:201:0:0:80ff:fffe", "loopback"},      // the client is 127.0.0.1
		{"2001:0:7f00:1:0:0:3fff:fdfe", "loopback"},        // the server is
		{"2001:0:c000:201:0:0:3fff:fdfe", ""},              // both are documentation
		{"2001:db8::5efe:127.0.0.1", "loopback"},           // ISATAP
		{"2001:db8::200:5efe:169.254.169.254", "metadata"}, // of a global address
		{"fd12::5efe:192.0.2.1", ""},
		{"fd12::5eff:127.0.0.1", ""},
	} {
		reason, refused := Targets{}.Forbidden(netip.MustParseAddr(tt.addr))
		if refused != (tt.reason != "") || !strings.Contains(reason, tt.reason) {
			t.Errorf("%s: %q, %v; want %q", tt.addr, reason, refused, tt.reason)
		}
	}
}

func TestTargetsAllowed(t *testing.T) {
	allow := Targets{Allow: prefixes("127.0.0.0/8", "100.100.100.200/32", "fd00:42::42/128", "64:ff9b:1::/96")}
	region := func(networks ...string) Targets {
		return Targets{Regions: []Region{{Name: "a/b"}, {Name: "a/c", Networks: prefixes(networks...)}}}
	}
	for _, tt := range []struct {
		name    string
		targets Targets
		addr    string
		refused bool
	}{
		{"allowed", allow, "100.100.100.200", false},
		{"allowed and carried", allow, "2002:6464:64c8::1", false},
		{"allowed loopback carried by NAT64", allow, "64:ff9b::127.0.0.1", false},
		{"allowed loopback carried by Teredo", allow, "2001:0:7f00:1:0:0:80ff:fffe", false},
		{"allowed loopback, compatible", allow, "::127.0.0.1", false},
		{"allowed translator", allow, "64:ff9b:1::192.0.2.1", false},
		{"not allowed and carried", allow, "2002:a9fe:a9fe::1", true},
		{"another translator", allow, "64:ff9b:1:1::192.0.2.1", true},
		{"reserved, in the networks of a region", region("240.0.0.0/8"), "240.0.0.1", false},
		{"reserved and carried", region("240.0.0.0/8"), "2002:f000:1::1", false},
		{"reserved, in no networks", region("240.0.0.0/8"), "241.0.0.1", true},
		{"loopback in the networks of a region", region("127.0.0.0/8"), "127.0.0.1", true},
		{"broadcast in the networks of a region", region("240.0.0.0/4"), "255.255.255.255", true},
		{"translator of a region", region("64:ff9b:1::/96"), "64:ff9b:1::192.0.2.1", false},
		{"translator of a region, to loopback", region("64:ff9b:1::/96"), "64:ff9b:1::127.0.0.1", true},
		{"translator of a region, /64", region("64:ff9b:1:1::/64"), "64:ff9b:1:1:7f:0:100:0", true},
		{"translator of a region, /48", region("64:ff9b:1::/48"), "64:ff9b:1:7f00:0:100:808:808", true},
	} {
		if reason, refused := tt.targets.Forbidden(netip.MustParseAddr(tt.addr)); refused != tt.refused {
			t.Errorf("%s: %s: %q, %v", tt.name, tt.addr, reason, refused)
		}
	}
}

// TestTargetsOwnAdmin: no address of this machine leads a probe to our admin API.
func TestTargetsOwnAdmin(t *testing.T) {
	of := func(text string) Targets {
		targets := mustParse(t, text).Targets()
		targets.Local = func(a netip.Addr) bool {
			return a.IsLoopback() || a == netip.MustParseAddr("192.0.2.7") || a == netip.MustParseAddr("2001:db8::7")
		}
		return targets
	}
	all := of("admin: {listen: '0.0.0.0:8053', token_file: /t, tls: {cert_file: /c, key_file: /k}}\nprobes: {allow_targets: [127.0.0.0/8]}\n")
	one := of("admin: {listen: '127.0.0.1:8053'}\n")
	socket := of("admin: {listen: 'unix:///run/admin.sock'}\n")
	off := of("admin: off\n")
	for _, tt := range []struct {
		name    string
		targets Targets
		to      string
		refused bool
	}{
		{"an address of this machine", all, "192.0.2.7:8053", true},
		{"another form of it", all, "[::ffff:192.0.2.7]:8053", true},
		{"carried", all, "[64:ff9b::192.0.2.7]:8053", true},
		{"its IPv6 address", all, "[2001:db8::7]:8053", true},
		{"allowed, but ours", all, "127.0.0.1:8053", true},
		{"allowed", all, "127.0.0.1:443", false},
		{"another port", all, "192.0.2.7:443", false},
		{"no port", all, "192.0.2.7:0", false},
		{"another machine", all, "192.0.2.8:8053", false},
		{"listens on loopback", one, "192.0.2.7:8053", true},
		{"a socket", socket, "192.0.2.7:8053", false},
		{"off", off, "192.0.2.7:8053", false},
	} {
		if reason, refused := tt.targets.Refuses(netip.MustParseAddrPort(tt.to)); refused != tt.refused {
			t.Errorf("%s: %s: %q, %v", tt.name, tt.to, reason, refused)
		}
	}
}

// TestTargetsOfAFile: literals are held against the whole of a file, whatever its
// order.
func TestTargetsOfAFile(t *testing.T) {
	const service = "monitors: {web: {type: tcp, port: 1}}\nservices: {a.example.org: {monitors: [web], pools: [a/b: ['%']]}}\nself: {checks: ['tcp://192.0.2.1:1']}\n"
	for addr, want := range map[string]bool{
		"240.1.2.3": true, "2002:f001:203::1": true, "64:ff9b:1::7f00:1": false, "2002:7f00:1::": false, "100.100.100.200": false,
	} {
		_, err := Parse("f.yaml", []byte(strings.Replace(service, "%", addr, 1)+"regions: {a/b: {networks: [240.0.0.0/8, '64:ff9b:1::/96']}}\n"))
		if (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if _, err := Parse("f.yaml", []byte("self: {checks: ['tcp://[::7f00:1]:1']}\n")); err == nil {
		t.Error("a self-check goes to loopback")
	}
}

// FuzzCarried: no form of an address that is forbidden is allowed.
func FuzzCarried(f *testing.F) {
	for _, a := range []string{"127.0.0.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "240.0.0.1", "192.0.2.1"} {
		v4 := netip.MustParseAddr(a).As4()
		f.Add(v4[:], []byte("0123456789abcdef"), byte(0))
	}
	f.Fuzz(func(t *testing.T, v4, rest []byte, form byte) {
		if len(v4) != 4 || len(rest) != 16 {
			return
		}
		a := netip.AddrFrom4([4]byte(v4))
		v6 := carry(a, [16]byte(rest), form)
		if _, bad := (Targets{}).Forbidden(a); !bad {
			return
		}
		if _, bad := (Targets{}).Forbidden(v6); !bad {
			t.Errorf("%s is forbidden, and %s is not", a, v6)
		}
		ours := Targets{Regions: []Region{{Networks: []netip.Prefix{localNAT64}}}}
		if _, bad := ours.Forbidden(v6); !bad {
			t.Errorf("with a translator of a region: %s is forbidden, and %s is not", a, v6)
		}
	})
}

// carry returns an IPv6 form of an IPv4 address, with any bits where the form leaves
// them open.
func carry(a netip.Addr, b [16]byte, form byte) netip.Addr {
	v4 := a.As4()
	put := func(prefix string, at ...int) netip.Addr {
		p := netip.MustParsePrefix(prefix)
		head := p.Addr().As16()
		copy(b[:p.Bits()/8], head[:])
		for i, k := range at {
			b[k] = v4[i]
		}
		return netip.AddrFrom16(b)
	}
	forms := []func() netip.Addr{
		func() netip.Addr { return put("::ffff:0:0/96", 12, 13, 14, 15) },
		func() netip.Addr { return put("::/96", 12, 13, 14, 15) },
		func() netip.Addr { return put("::ffff:0:0:0/96", 12, 13, 14, 15) },
		func() netip.Addr { return put("64:ff9b::/96", 12, 13, 14, 15) },
		func() netip.Addr { return put("64:ff9b:1::/48", 6, 7, 9, 10) },
		func() netip.Addr { return put("64:ff9b:1::/48", 7, 9, 10, 11) },
		func() netip.Addr { return put("64:ff9b:1::/48", 9, 10, 11, 12) },
		func() netip.Addr { return put("64:ff9b:1::/48", 12, 13, 14, 15) },
		func() netip.Addr { return put("2002::/16", 2, 3, 4, 5) },
		func() netip.Addr { return put("2001::/32", 4, 5, 6, 7) },
		func() netip.Addr {
			for i := range v4 {
				v4[i] = ^v4[i]
			}
			return put("2001::/32", 12, 13, 14, 15)
		},
		func() netip.Addr {
			copy(b[8:], []byte{b[8] & 3, 0, 0x5e, 0xfe})
			return put("::/0", 12, 13, 14, 15)
		},
	}
	return forms[int(form)%len(forms)]()
}

func TestCarriedHasEveryForm(t *testing.T) {
	v4 := netip.MustParseAddr("192.0.2.77")
	for form := range byte(12) {
		v6 := carry(v4, [16]byte([]byte("0123456789abcdef")), form)
		if got := carried(v6, 0); form > 0 && !slices.Contains(got, v4) {
			t.Errorf("form %d: %s carries %v", form, v6, got)
		}
	}
}
