package agree

import (
	"fmt"
	"testing"
	"time"

	"github.com/detour-dns/detour/internal/health"
)

var t0 = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

// fleet is several observers of one check, stepped once a second. What one of
// them holds, the others know a second later, for as long as the store lives.
type fleet struct {
	t       *testing.T
	second  int
	members []*member
	frozen  int // the store answers nobody since this second, 0: it does
	mute    int // nobody writes for so many seconds
}

type member struct {
	name, zone string
	mine       health.View
	gone       bool // dead, and its session has ended
	cutOff     int  // cannot reach the store since this second, 0: it can
	sick       bool // most of its self-checks fail
	braked     bool
	strange    bool // is heard, but judges this check otherwise: it has no voice
	state      State
	said       health.Verdict // what the store holds of it
	reads      []Voice        // its last good read
	heard      int            // others that were there in it
	readAt     int
}

// newFleet makes observers of the given zones, all of which have long seen Up.
func newFleet(t *testing.T, zones ...string) *fleet {
	f := &fleet{t: t}
	for i, z := range zones {
		f.members = append(f.members, &member{name: fmt.Sprint("r", i+1), zone: z})
	}
	f.see(health.Up, f.members...)
	f.run(60)
	return f
}

func (f *fleet) now() time.Time { return t0.Add(time.Duration(f.second) * time.Second) }

// see makes observers come to a local verdict now.
func (f *fleet) see(v health.Verdict, who ...*member) {
	for _, m := range who {
		if m.mine.Verdict == health.Up && v == health.Down {
			m.mine.Ejected = m.mine.Ejected.Add(f.now())
		}
		m.mine.Verdict, m.mine.Since, m.mine.WasUp = v, f.now(), true
		if m.mine.Cause = health.CauseNone; v == health.Down {
			m.mine.Cause = health.CauseTimeout
		}
	}
}

func (f *fleet) run(seconds int) {
	for range seconds {
		for _, m := range f.members {
			f.read(m)
		}
		for _, m := range f.members {
			if !m.gone {
				m.state.Step(f.input(m), f.now())
			}
		}
		for _, m := range f.members {
			if !f.away(m) && f.mute == 0 {
				m.said = m.mine.Verdict
			}
		}
		f.mute = max(0, f.mute-1)
		f.second++
	}
}

func (f *fleet) away(m *member) bool { return m.gone || f.frozen != 0 || m.cutOff != 0 }

func (f *fleet) read(m *member) {
	if f.away(m) {
		return
	}
	m.reads, m.heard, m.readAt = nil, 0, f.second
	for _, o := range f.members {
		if o == m || o.gone {
			continue
		}
		m.heard++
		if !o.braked && o.strange == m.strange && o.said != health.Unknown {
			m.reads = append(m.reads, Voice{o.zone, o.said, health.CauseTimeout})
		}
	}
}

func (f *fleet) input(m *member) Input {
	age := time.Duration(f.second-m.readAt) * time.Second
	return Input{
		Mine: m.mine, Others: m.reads, Zone: m.zone, Braked: m.braked, Sound: !m.sick,
		Contact: ContactAt(age, m.heard > 0),
	}
}

// word is what steering sees: up, down, doubtful or unknown.
func (m *member) word() string {
	if v := m.state.View(); v.Verdict == health.Down && v.Elsewhere {
		return "doubtful"
	}
	return m.state.View().Verdict.String()
}

// want compares what each member sees.
func (f *fleet) want(when string, words ...string) {
	f.t.Helper()
	for i, m := range f.members {
		if !m.gone && m.word() != words[i] {
			f.t.Errorf("%s: %s in %s sees %s, want %s", when, m.name, m.zone, m.word(), words[i])
		}
	}
}

// until returns after how many seconds m no longer sees Up.
func (f *fleet) until(m *member) int {
	for n := range 3600 {
		if m.word() != "up" {
			return n
		}
		f.run(1)
	}
	f.t.Fatalf("%s in %s sees up for ever", m.name, m.zone)
	return 0
}
