package config

import "net/netip"

// Prefixes of IPv6 addresses that carry an IPv4 address.
var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	localNAT64     = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	compatible     = netip.MustParsePrefix("::/96")           // RFC 4291 2.5.5.1
	translated     = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765
	sixToFour      = netip.MustParsePrefix("2002::/16")       // RFC 3056
	teredo         = netip.MustParsePrefix("2001::/32")       // RFC 4380
)

// nat64Forms are where a prefix of each length has the four bytes of an IPv4
// address (RFC 6052 2.2). Byte 8 is never one of them.
var nat64Forms = []struct {
	length int
	at     [4]int
}{
	{48, [4]int{6, 7, 9, 10}},
	{56, [4]int{7, 9, 10, 11}},
	{64, [4]int{9, 10, 11, 12}},
	{96, [4]int{12, 13, 14, 15}},
}

// carried returns the IPv4 addresses to which a tunnel or a translator may deliver
// what is sent to a. Of an address in the local-use NAT64 prefix nobody but its
// network knows the form: it is each one whose prefix is at least of that length.
// IPv4 addresses in IPv6 form are to be unmapped before.
func carried(a netip.Addr, length int) (all []netip.Addr) {
	if !a.Is6() {
		return nil
	}
	b := a.As16()
	take := func(i, j, k, l int) { all = append(all, netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]})) }
	switch {
	case wellKnownNAT64.Contains(a), compatible.Contains(a), translated.Contains(a):
		take(12, 13, 14, 15)
	case sixToFour.Contains(a):
		take(2, 3, 4, 5)
	case teredo.Contains(a): // the server's, and the client's with its bits inverted
		take(4, 5, 6, 7)
		all = append(all, netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
	case localNAT64.Contains(a):
		for _, f := range nat64Forms {
			if f.length >= length {
				take(f.at[0], f.at[1], f.at[2], f.at[3])
			}
		}
	}
	if b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe { // ISATAP, RFC 5214 6.1
		take(12, 13, 14, 15)
	}
	return all
}

// Carried returns the IPv4 addresses that an IPv6 address may stand for, whatever
// networks there are. IPv4 addresses in IPv6 form are to be unmapped before.
func Carried(a netip.Addr) []netip.Addr { return carried(a, 0) }

// refuseTarget faults an address that probes must not go to.
func (d *decoder) refuseTarget(v value, a netip.Addr) {
	if reason, ok := d.cfg.Targets().Forbidden(a); ok {
		d.fault(v, "%s is never probed, it is %s: use another address, or list it in probes.allow_targets", a, reason)
	}
}
