package plan

import (
	"encoding/hex"
	"math"
	"net/netip"

	"github.com/detour-dns/detour/config"
)

// Instance is an endpoint that SRV says with its own ports.
type Instance struct {
	Owner string // its name, to which SRV points: "0a580001.addr.web.example.org."
	Addr  netip.Addr
	Ports []config.Port // none if neither the catalog nor the file says one
}

// Instances returns the endpoints of a service, if SRV is answered for it and a catalog
// says ports of any of them: then each has a record and a name of its own, for a
// client must find the address that goes with a port (RFC 2782). The names are made
// as Consul makes them. One without a port of its own has the service's.
func Instances(s *config.Service) (out []Instance) {
	if len(s.SRV) == 0 || !hasPorts(s) {
		return nil
	}
	for i := range s.Pools {
		for j := range s.Pools[i].Endpoints {
			out = append(out, instanceOf(s, &s.Pools[i].Endpoints[j]))
		}
	}
	return out
}

// instanceOf is an endpoint of a catalog, which is an address.
func instanceOf(s *config.Service, e *config.Endpoint) Instance {
	in := Instance{Owner: hex.EncodeToString(e.Address.AsSlice()) + ".addr." + s.Name, Addr: e.Address, Ports: e.Ports}
	if len(in.Owner) > maxOwner {
		in.Owner = s.Name // at which its address is one of several
	}
	if len(in.Ports) == 0 && s.Port != 0 {
		in.Ports = []config.Port{{Number: s.Port, Weight: uint16(min(e.Weight, math.MaxUint16))}} // #nosec G115 -- bounded
	}
	return in
}

// maxOwner is the length of the longest name as text with its last dot (RFC 1035 section
// 2.3.4): 255 octets on the wire have one more than that.
const maxOwner = 254

func hasPorts(s *config.Service) bool {
	for i := range s.Pools {
		for j := range s.Pools[i].Endpoints {
			if len(s.Pools[i].Endpoints[j].Ports) > 0 {
				return true
			}
		}
	}
	return false
}
