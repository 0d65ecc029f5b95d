package admin

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// getExplain decides for one client, by the code that answers, and says why.
func (s *Server) getExplain(r *http.Request) (any, error) {
	q := r.URL.Query()
	client, err := clientOf(q.Get("client"))
	if err != nil {
		return nil, err
	}
	pub := s.eng.Load()
	out, err := s.explainType(pub, q.Get("name"), q.Get("type"), client, time.Now())
	if other := s.explainOther(pub, err, q.Get("name"), q.Get("type"), client, time.Now()); other != nil {
		return other, nil
	}
	if err == nil {
		err = s.addElsewhere(pub, out)
	}
	if err == nil && q.Get("all") != "" {
		err = s.addSays(pub, out)
	}
	return out, err
}

// addElsewhere adds which checks of the service only other resolvers probe.
func (s *Server) addElsewhere(pub *engine.Published, out *Explanation) error {
	i, err := serviceIndex(pub, out.Service)
	if err != nil {
		return err
	}
	for _, x := range s.eng.Elsewhere(i) {
		out.Steps = append(out.Steps, elsewhere(x))
	}
	return nil
}

// elsewhere says who probes a check that this resolver does not.
func elsewhere(x engine.Elsewhere) string {
	by := strings.Join(x.By, ", ")
	if by == "" {
		by = "nobody who is heard now"
	}
	return fmt.Sprintf("%s %s: check %s is not probed from here, but by %s; what these agree on counts", x.Region, x.Endpoint, x.Monitor, by)
}

// addSays adds what the observers say of the service.
func (s *Server) addSays(pub *engine.Published, out *Explanation) error {
	i, err := serviceIndex(pub, out.Service)
	if err != nil {
		return err
	}
	out.Says = sayings(s.eng.Says(i))
	now, _ := s.eng.Sharing()
	mine := hash(pub.Hash())
	for _, o := range now.Observers {
		if !o.Self {
			out.Others = append(out.Others, Answering{o.Name, o.Zone, o.Decision, o.Decision == mine})
		}
	}
	if len(out.Says) == 0 {
		return problem(http.StatusConflict, "this resolver shares with no other: add share: to failover.yaml, or ask without all")
	}
	return nil
}

func (s *Server) explain(pub *engine.Published, name string, v6 bool, client netip.Addr, now time.Time) (*Explanation, error) {
	return s.explainSeed(pub, name, v6, client, now, rand.Uint64())
}

// explainSeed explains the decision that chance gives.
func (s *Server) explainSeed(pub *engine.Published, name string, v6 bool, client netip.Addr, now time.Time, seed uint64) (*Explanation, error) {
	if name == "" {
		return nil, problem(http.StatusBadRequest, "say which name: /v1/explain?name=shop.example.org")
	}
	full := strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	i, ok, _ := pub.Plan.Steer.Lookup([]byte(full))
	if !ok { // a wildcard may be asked for by its own name
		var err error
		if i, err = serviceIndex(pub, name); err != nil {
			return nil, err
		}
	}
	spread := s.few() || slices.ContainsFunc(pub.Plan.Config.Forwarders, func(p netip.Prefix) bool { return p.Contains(client) })
	x := pub.Explain(steer.Query{
		Service: i, V6: v6, Client: client, Minute: uint32(now.Unix() / 60), Seed: seed, Spread: spread,
	}, now)
	out := &Explanation{
		Name: people(full), Service: people(pub.Plan.Steer.Services[i].Name), Type: "A", Client: client.String(),
		Home: x.Home, Reason: x.Decision.Reason.String(), TTL: x.Decision.TTL, Panic: x.Decision.Panic,
		Spread: spread, Generation: pub.Gen, Addresses: []string{}, Steps: x.Steps, Answer: "addresses",
	}
	if v6 {
		out.Type = "AAAA"
	}
	if x.Decision.Pool >= 0 {
		out.Region = pub.Plan.Steer.Regions[x.Decision.Region].Name
	}
	for _, a := range x.Addrs {
		out.Addresses = append(out.Addresses, a.String())
	}
	switch {
	case x.Decision.Refuse && !x.Decision.NoData:
		out.Answer = "servfail"
	case len(x.Addrs) == 0:
		out.Answer = "nodata"
	}
	return out, nil
}

// clientOf reads the client that is asked for; without one it is this machine.
func clientOf(s string) (netip.Addr, error) {
	if s == "" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return a, problem(http.StatusBadRequest, "client %s is not an address: write it such as 10.20.3.4", quote(s))
	}
	return a.Unmap(), nil
}
