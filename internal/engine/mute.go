package engine

import (
	"maps"
	"time"

	"github.com/detour-dns/detour/internal/agree"
	"github.com/detour-dns/detour/internal/share"
)

// rank notes since when each observer is known here. An observer keeps its rank
// while it is away for less than agree.Forget, as at a restart. This one comes after
// all that it found when it started: so all of a zone rank alike.
func (n *council) rank(r share.Read, now time.Time) {
	begins := len(n.first) == 0
	heard := make(map[string]bool, len(r.Others))
	for i := range r.Others {
		id := r.Others[i].ID()
		heard[id] = true
		if _, known := n.first[id]; !known {
			n.first[id] = now
		}
	}
	if begins {
		n.first[n.id] = now.Add(1)
	}
	for id := range n.first {
		since, away := n.absent[id]
		switch {
		case heard[id] || id == n.id:
			delete(n.absent, id)
		case !away:
			n.absent[id] = now
		case now.Sub(since) > agree.Forget:
			delete(n.absent, id)
			delete(n.first, id)
		}
	}
	n.mute()
}

// mute finds who has no voice.
func (n *council) mute() {
	if len(n.expect) == 0 {
		n.muted = nil
		return
	}
	var all []agree.Seniority
	for id, since := range n.first {
		if _, away := n.absent[id]; !away {
			all = append(all, agree.Seniority{ID: id, Zone: share.ZoneOf(id), Since: since})
		}
	}
	muted := agree.Mute(all, n.expect)
	if !maps.Equal(muted, n.muted) {
		n.doubted = true // everything is counted anew
	}
	n.muted = muted
}
