package failover

import (
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// maxName is the longest name that a service can have, and some. A name that is
// longer in presentation form is made of escapes, and nobody's but the next
// plugin's.
const maxName = 256

// lower writes name in lower case to buf (RFC 4343: ASCII only), with its last
// dot. It reports false for a name that does not fit, which no service has.
func lower(buf *[maxName]byte, name string) ([]byte, bool) {
	if len(name) >= maxName {
		return nil, false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	n := len(name)
	if n == 0 || buf[n-1] != '.' {
		buf[n] = '.'
		n++
	}
	return buf[:n], true
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
