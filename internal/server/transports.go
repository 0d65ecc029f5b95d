package server

import (
	"github.com/coredns/caddy"

	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/transport"
	"github.com/detour-dns/detour/internal/unexported"
)

// mostPlaces is how many connections a listener of TCP or TLS holds, unless the process may
// open few files: all listeners have half of those.
const mostPlaces = 4000

// inFront puts our transports in front of the servers that Caddy is about to make for an
// instance, which is the only moment between their making and their start.
type inFront struct {
	caddy.Context
	of *caddy.Context // where the instance has it
}

// putInFront is called once all directives of an instance are set up.
func putInFront(inst *caddy.Instance) {
	context := unexported.Field[caddy.Context](inst, "context")
	*context = inFront{*context, context}
}

func (f inFront) MakeServers() ([]caddy.Server, error) {
	*f.of = f.Context // plugins expect CoreDNS's own when they start
	servers, err := f.Context.MakeServers()
	if err != nil {
		return nil, err
	}
	return transport.Wrap(servers, min(mostPlaces, files.MostOpen()/2/max(1, len(servers)))), nil
}
