package admin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// Act is what to do about something that is wrong: a command, or a page to read.
type Act struct {
	About string `json:"about"`          // what is wrong, or what it gives
	Do    string `json:"do,omitempty"`   // a command, as it is typed
	Read  string `json:"read,omitempty"` // a section of docs/operations.md
}

// acts says what to do next, the most urgent first. What heals by itself has no act.
func (p *page) acts(s *Status) []Act {
	out, done := []Act{}, map[string]bool{}
	for _, add := range [...]func(*Status) []Act{p.writerActs, p.panicActs, p.brokenActs, p.backupActs, p.freezeActs, p.failbackActs, p.limitActs, p.shareActs, p.selfActs, p.regionActs} {
		for _, a := range add(s) {
			if !done[a.Do] { // one act may help several
				out = append(out, a)
			}
			done[a.Do] = a.Do != ""
		}
	}
	return out
}

// mostActs is how many acts are shown; the others are there when these are done.
const mostActs = 5

// line is an act as it may be pasted into a shell: what is no command is a comment.
func (a *Act) line() string {
	out := strings.TrimSpace(a.Do + "  # " + a.About)
	if a.Read != "" {
		out += " (" + a.Read + " in docs/operations.md)"
	}
	return out
}

// actLines says what to do, a line each.
func (s *Status) actLines() (out []string) {
	for i := range s.Acts[:min(len(s.Acts), mostActs)] {
		out = append(out, s.Acts[i].line())
	}
	if n := len(s.Acts) - mostActs; n > 0 {
		out = append(out, fmt.Sprintf("... and %d more, in --json", n))
	}
	return out
}

// writerActs are for single writers that moved because the region that they belong to fails.
func (p *page) writerActs(s *Status) (out []Act) {
	for n := range s.Services {
		if v := &s.Services[n]; v.Writer && v.Elsewhere && !v.Refused && v.Cause != "" {
			out = append(out, Act{About: "stop what still writes elsewhere: " + v.Name + ", a single writer, is answered from " + strings.Join(v.Using, ", ") + " now"})
		}
	}
	return out
}

// askFirst names whom to ask before an override is lifted, and why it was made.
func (p *page) askFirst(target string) string {
	for i := range p.overrides {
		if o := &p.overrides[i]; people(o.Target) == target {
			return "; ask " + o.Owner + " first: " + o.Reason
		}
	}
	return ""
}

// panicActs are for services that have nothing healthy.
func (p *page) panicActs(s *Status) (out []Act) {
	broken := map[string]bool{} // of brokenActs
	for i := range s.Broken {
		broken[s.Broken[i].Service] = true
	}
	for i := range s.AtRisk {
		r := &s.AtRisk[i]
		switch {
		case !r.Panic, broken[r.Service]:
		case r.stuck(): // of freezeActs
		case r.Lift != "":
			out = append(out, Act{About: r.Service + " has a healthy endpoint there" + p.askFirst(r.Lift), Do: "resolver undrain " + r.Lift})
		default:
			out = append(out, Act{About: r.Service + " has nothing healthy: see what its checks meet", Do: "resolver probe " + r.Service, Read: "DetourServicePanic"})
		}
	}
	return out
}

// brokenActs are for services that fail wherever they run.
func (*page) brokenActs(s *Status) (out []Act) {
	for i := range s.Broken {
		b := &s.Broken[i]
		out = append(out, Act{About: "moving does not help " + b.Service + ": ask who runs it, and see what its checks meet", Do: "resolver probe " + b.Service})
	}
	return out
}

// backupActs are for services that lost their backup to a drain.
func (p *page) backupActs(s *Status) (out []Act) {
	for i := range s.AtRisk {
		if r := &s.AtRisk[i]; r.Lost && !r.Panic && r.Lift != "" {
			out = append(out, Act{About: "gives " + r.Service + " a backup" + p.askFirst(r.Lift), Do: "resolver undrain " + r.Lift})
		}
	}
	return out
}

// freezeActs are for freezes that keep services where they should not be.
func (p *page) freezeActs(*Status) (out []Act) {
	for f := range p.freezes {
		if !p.holdsBack(&p.freezes[f]) {
			continue
		}
		do := strings.TrimSpace("resolver unfreeze " + people(p.freezes[f].Target))
		out = append(out, Act{About: "lets all that it holds leave what fails; ask " + p.freezes[f].Owner + " first: " + p.freezes[f].Reason, Do: do, Read: "DetourFreezeOn"})
	}
	return out
}

// holdsBack reports whether a freeze keeps a service from moving now.
func (p *page) holdsBack(f *steer.Freeze) bool {
	for i := range p.plan().Services {
		if i := int32(i); p.pub.State(i).Pending && f.Holds(p.plan(), i) { // #nosec G115 -- an index of services
			return true
		}
	}
	return false
}

// failbackActs are for what waits for an operator to go back.
func (p *page) failbackActs(*Status) (out []Act) {
	var names []string
	region := ""
	for x := range p.returns() {
		if x.Manual && !x.IfUp {
			names, region = append(names, x.Service), x.Region
		}
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return []Act{{About: region + " is up again: once it may take " + names[0] + " back", Do: "resolver failback " + names[0]}}
	}
	return []Act{{About: fmt.Sprintf("%s is up again: once it may take them back, each of %s", region, fewNames(names)), Do: "resolver failback NAME"}}
}

// limitActs are for what the resolver would do, but for its bounds.
func (*page) limitActs(s *Status) (out []Act) {
	for _, region := range s.Cap.Refused {
		out = append(out, Act{About: "takes " + region + " out if it is truly down: as many regions as allowed are out already", Do: "resolver drain " + region + " --reason R", Read: "DetourRefusedMoves"})
	}
	if s.Brake.On {
		out = append(out, Act{About: "look at this machine's own network first", Read: "DetourBrakeOn"})
	}
	return out
}

// shareActs are for what is between this resolver and the others.
func (*page) shareActs(s *Status) (out []Act) {
	if s.Sharing == nil {
		return nil
	}
	for i := range s.Sharing.Splits {
		sp := &s.Sharing.Splits[i]
		out = append(out, Act{About: "zones use different regions of " + sp.Service, Do: sp.Command})
	}
	return out
}

// selfActs are for what is wrong with the resolver itself.
func (p *page) selfActs(s *Status) (out []Act) {
	add := func(is bool, a Act) {
		if is {
			out = append(out, a)
		}
	}
	sum := &p.sum
	add(!sum.Reload.OK && sum.Reload.Error != "", Act{About: "shows every fault of the file that was refused", Do: "resolver check " + s.Config.Path, Read: "DetourConfigRejected"})
	add(sum.StateLost != "" || sum.EventsLost != "", Act{About: "the state directory cannot be written", Read: "DetourStateNotWritten"})
	add(sum.StateForgot != "", Act{About: "compare what operators decided with what should be in force", Do: "resolver overrides"})
	add(s.Checks.Overdue > 0, Act{About: "checks are late: too many for this machine", Read: "DetourProbesOverdue"})
	add(s.Checks.Total > 0 && s.Checks.Unknown == s.Checks.Total && s.At.Sub(p.started) >= settling, Act{About: "nothing is known: look at this machine's own network", Read: "DetourSelfChecksFailing"})
	add(slices.ContainsFunc(p.listings, func(l engine.Listing) bool { return l.Problem != "" }), Act{About: "a catalog does not answer", Read: "DetourCatalogAway"})
	add(s.Guard != nil && s.Guard.StandingIn+s.Guard.Lost > 0, Act{About: "shows which names of others fail, and what stands in", Do: "resolver guard list"})
	return out
}

// regionActs are for regions that fail: what left them needs nothing, but may be kept away
// if most fails there.
func (p *page) regionActs(s *Status) (out []Act) {
	for i := range s.Regions {
		r := &s.Regions[i]
		switch {
		case !r.fails() || p.isDrained(r.Name):
		case r.Serving < r.Services && (r.Down || r.mostFails()):
			out = append(out, Act{About: "keeps services away until you trust it again; until then it is no backup either", Do: "resolver drain " + r.Name + " --reason R"})
		default:
			out = append(out, Act{About: "shows what failed there, and since when", Do: "resolver events --target " + r.Name})
		}
	}
	return out
}

func (p *page) isDrained(region string) bool {
	return slices.ContainsFunc(p.overrides, func(o steer.Override) bool { return o.Target == region && o.Kind == steer.Drain })
}
