package failover

import (
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// maxName is the room for a name in presentation form that needs no escapes. One of
// 255 octets may take up to 1,008 characters (RFC 1035 section 5.1), which is rare.
const maxName = 256

// lower writes name in lower case (RFC 4343: ASCII only), with its last dot, to buf if
// it fits.
func lower(buf *[maxName]byte, name string) []byte {
	b := buf[:]
	if len(name) >= maxName {
		b = make([]byte, len(name)+1)
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b[i] = c
	}
	n := len(name)
	if n == 0 || b[n-1] != '.' {
		b[n] = '.'
		n++
	}
	return b[:n]
}

// clientAddr returns who asked, IPv4 in its own form and without a zone. What
// has no address, such as a test's writer, is the unspecified one.
func clientAddr(w dns.ResponseWriter) netip.Addr {
	switch a := w.RemoteAddr().(type) {
	case *net.UDPAddr:
		return plain(a.AddrPort().Addr())
	case *net.TCPAddr:
		return plain(a.AddrPort().Addr())
	case nil:
		return netip.IPv4Unspecified()
	default:
		ap, err := netip.ParseAddrPort(a.String())
		if err != nil {
			return netip.IPv4Unspecified()
		}
		return plain(ap.Addr())
	}
}

func plain(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Zone() != "" {
		return a.WithZone("")
	}
	return a
}
