package guard

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/detour-dns/detour/internal/guard"
)

// calm is how long answers must be good until a failure is over: backends that lie
// now and then make one story, not a hundred.
const calm = time.Minute

// tale is what people are told of one failure of a name.
type tale struct {
	since  guard.Stamp // when something began to stand in, 0 = nothing does
	last   guard.Stamp // when the name failed last
	warned guard.Stamp // of a refused change
	mute   bool        // told that nothing stands in any more
}

// follow tells the beginning, and that nothing stands in any more. The entry is
// locked.
func (t *tale) follow(n *news, e *entry, r *guard.Rules, now guard.Stamp) {
	if !e.known.Failing() {
		return
	}
	t.last = now
	stands := e.standing.Load()
	switch {
	case stands && t.since == 0:
		t.since = e.known.Since()
		n.add(begins, e.name, " fails: %s; answering with what was kept: %s", because(&e.known), kept(&e.known, r, now))
	case stands && t.mute:
		t.mute = false
		n.add(returns, e.name, ": kept addresses stand in again: %s", kept(&e.known, r, now))
	case !stands && t.since != 0 && !t.mute:
		t.mute = true
		n.add(lost, e.name, " still fails (%s), and nothing stands in any more: %s; its DNS is passed on as it is", because(&e.known), e.refusal)
	}
}

// because says how the name's DNS fails.
func because(n *guard.Name) string {
	var out []string
	for _, v6 := range []bool{false, true} {
		if k := n.Of(v6); k.Bad != 0 {
			out = append(out, fmt.Sprintf("%s for %s", k.Why, family(v6)))
		}
	}
	return strings.Join(out, ", ")
}

// kept says what stands in.
func kept(n *guard.Name, r *guard.Rules, now guard.Stamp) string {
	var out []string
	for _, v6 := range []bool{false, true} {
		s, why := n.Stand(v6, r, now, false)
		if why != guard.Stands {
			continue
		}
		how := "not proven"
		if s.Proven {
			how = "proven"
		}
		out = append(out, fmt.Sprintf("%d %s, last seen %s ago, %s", len(s.Addrs), family(v6), ago(now.Sub(s.Newest)), how))
	}
	return strings.Join(out, "; ")
}

// over reports whether a failure is told to its end.
func (t *tale) over(now guard.Stamp) bool { return now.Sub(t.last) > calm }

// end tells the end.
func (t *tale) end(n *news, e *entry) {
	if t.since != 0 && !e.known.Failing() {
		n.add(ends, e.name, " is well again: its DNS failed for %s", ago(t.last.Sub(t.since)))
	}
	*t = tale{}
}

// proof tells that a member's identity turned, once that is decided. The entry is
// locked.
func (t *tale) proof(n *news, e *entry, v6 bool, ip netip.Addr, doubtful bool) {
	m, known := e.known.Member(v6, ip)
	if !known || doubtful {
		return
	}
	switch m.Proof {
	case guard.Refuted:
		n.add(proofs, e.name, ": %s is left out, it is not this name's any more: %s", ip, m.Why)
	case guard.Silent, guard.Mute:
		n.add(proofs, e.name, ": %s does not prove that it is still this name's, and stands behind the others: %s", ip, m.Why)
	case guard.Proven:
		if m.Expired {
			n.add(proofs, e.name, ": %s proves itself with a certificate that has expired", ip)
		}
	case guard.Unproven, guard.Contradicts:
	}
}

// refused tells at most once a minute which addresses were not believed.
func (t *tale) refused(n *news, name string, ips []netip.Addr, now guard.Stamp) {
	if t.warned != 0 && now.Sub(t.warned) < time.Minute {
		return
	}
	t.warned = now
	n.add(refuses, name, ": its DNS says %s now, which does not prove to be this name's: refused, the kept addresses stay (if it is right: resolver guard accept %s)",
		join(ips), strings.TrimSuffix(name, "."))
}

func join(ips []netip.Addr) string {
	var out []string
	for _, ip := range ips {
		out = append(out, ip.String())
	}
	return strings.Join(out, ", ")
}

// ago says how long ago something was, in the largest unit that fits.
func ago(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
