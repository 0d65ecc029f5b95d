package admin

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
)

// answerElsewhere is the answer of a name that is no service.
const answerElsewhere = "elsewhere"

// maxNameText is the longest text of a name: 255 octets (RFC 1035), all escaped.
const maxNameText = 4 * 255

// explainOther says who answers for a name that is no service, nil if it is one, or no name.
func (s *Server) explainOther(pub *engine.Published, err error, name, kind string, client netip.Addr, now time.Time) *Explanation {
	var p *Problem
	if !errors.As(err, &p) || p.Status != http.StatusNotFound || name == "" || len(name) > maxNameText {
		return nil
	}
	if _, bad := config.Control(name); bad {
		return nil
	}
	full := strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	if _, ours, _ := pub.Plan.Steer.Lookup([]byte(full)); ours {
		return nil
	}
	out := &Explanation{
		Name: people(full), Type: strings.ToUpper(kind), Client: client.String(), Generation: pub.Gen, Addresses: []string{}, Answer: answerElsewhere,
	}
	if out.Type == "" {
		out.Type = "A"
	}
	first := "it is no service of failover.yaml"
	if near := nearest(people(full), serviceNames(pub.Plan.Config)); len(near) > 0 {
		first += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	out.Steps = append(append([]string{first}, s.others(full)...), guardSteps(full, now)...)
	return out
}

// guardSteps says what the guards know of a name.
func guardSteps(name string, now time.Time) []string {
	k := keepers()
	if k == nil {
		return nil
	}
	kept := k.Of(name)
	if len(kept) == 0 {
		return []string{"guard keeps nothing of it"}
	}
	r := &kept[0]
	text := "guard keeps " + count(len(r.Members), "address", "addresses") + " of it"
	switch {
	case r.Standing:
		text += ", which stand in since " + clock(r.Since, now) + ": " + r.Failing
	case r.Failing != "":
		text += ", and nothing stands in although it fails since " + clock(r.Since, now) + " (" + r.Failing + "): " + r.Refusal
	default:
		text += "; its answers are good"
	}
	return []string{text}
}
