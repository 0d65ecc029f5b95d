package admin

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/plan"
)

// explainType explains what a question of some type is answered.
func (s *Server) explainType(pub *engine.Published, name, kind string, client netip.Addr, now time.Time) (*Explanation, error) {
	switch kind = strings.ToUpper(kind); kind {
	case "", "A", "AAAA":
		return s.explain(pub, name, kind == "AAAA", client, now)
	case "HTTPS", "SVCB":
		return s.explainRecord(pub, name, kind, client, now)
	case "SRV":
		return s.explainSRV(pub, name, client, now)
	}
	return nil, problem(http.StatusBadRequest, "type %s is not steered: explain A, AAAA, HTTPS, SVCB or SRV", quote(kind))
}

// explainSRV explains what is answered at an SRV owner. Who names the service means
// its first one.
func (s *Server) explainSRV(pub *engine.Published, name string, client netip.Addr, now time.Time) (*Explanation, error) {
	full := strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	for i := range pub.Plan.Config.Services {
		svc := &pub.Plan.Config.Services[i]
		for _, label := range svc.SRV {
			owner := plan.SRVOwner(svc, label)
			if full != owner && full != svc.Name {
				continue
			}
			out, err := s.explainRecord(pub, svc.Name, "SRV", client, now)
			if err == nil {
				out.Name = people(owner)
			}
			return out, err
		}
	}
	return nil, problem(http.StatusNotFound, "no service answers SRV at %s: its srv: in failover.yaml says where", quote(name))
}

// explainRecord explains a record that leads to a service: one decision for each
// family, of the same client and the same chance, gives the addresses in it or
// beside it.
func (s *Server) explainRecord(pub *engine.Published, name, kind string, client netip.Addr, now time.Time) (*Explanation, error) {
	seed := rand.Uint64()
	out, err := s.explainSeed(pub, name, false, client, now, seed)
	if err != nil {
		return nil, err
	}
	six, err := s.explainSeed(pub, name, true, client, now, seed)
	if err != nil {
		return nil, err
	}
	svc, _ := pub.Plan.Config.Service(out.Service)
	last := len(out.Steps) - 1
	out.Type, out.Record = kind, record(svc, kind, append(slices.Clone(out.Addresses), six.Addresses...))
	out.Steps = append(out.Steps[:last:last], "A: "+out.Steps[last], "AAAA: "+six.Steps[len(six.Steps)-1])
	if out.Record == "" {
		out.Answer, out.Addresses = "nodata", []string{}
		why := "the service declares neither port nor alpn"
		if kind == "SRV" {
			why = "neither the service nor an instance that is answered has a port"
		}
		out.Steps = append(out.Steps, why+": NODATA")
		return out, nil
	}
	out.Answer, out.Addresses = "record", append(out.Addresses, six.Addresses...)
	out.Steps = append(out.Steps, kind+": "+out.Record+", with the addresses of both, TTL "+fmt.Sprint(out.TTL))
	return out, nil
}

// record writes what a record says besides addresses, "" if there is none. Several are
// separated by "; ".
func record(s *config.Service, kind string, answered []string) string {
	if kind == "SRV" {
		return srvRecords(s, answered)
	}
	if s.Port == 0 && len(s.ALPN) == 0 {
		return ""
	}
	out := "1 ."
	if len(s.ALPN) > 0 {
		out += " alpn=" + strings.Join(s.ALPN, ",")
	}
	if s.Port != 0 && (s.Port != httpsPort || kind == "SVCB") {
		out += fmt.Sprintf(" port=%d", s.Port)
	}
	return out
}

// srvRecords writes the SRV records that go with the addresses that are answered.
func srvRecords(s *config.Service, answered []string) string {
	all := plan.Instances(s)
	if all == nil && s.Port != 0 {
		return fmt.Sprintf("0 0 %d %s", s.Port, s.Name)
	}
	var out []string
	for _, in := range all {
		for _, p := range in.Ports {
			if slices.Contains(answered, in.Addr.String()) {
				out = append(out, fmt.Sprintf("0 %d %d %s", p.Weight, p.Number, in.Owner))
			}
		}
	}
	return strings.Join(out, "; ")
}

// httpsPort is the port that an HTTPS record need not say.
const httpsPort = 443
