package lab

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// verdict is on what a client of Detour saw of one scene.
type verdict struct {
	t   *testing.T
	id  string
	row *stub
}

// between returns what was seen in the seconds [from, to).
func (v *verdict) between(from, to int) []saw {
	v.row.mu.Lock()
	defer v.row.mu.Unlock()
	n := len(v.row.seconds)
	return slices.Clone(v.row.seconds[min(max(from, 0), n):min(to, n)])
}

// only demands that nothing but these letters were seen in [from, to).
func (v *verdict) only(from, to int, letters ...byte) {
	v.t.Helper()
	for i, s := range v.between(from, to) {
		if !slices.Contains(letters, s.letter) {
			v.t.Errorf("%s: second %d is %c, in [%d, %d) only %s may be: %s\n%v", v.id, from+i, s.letter, from, to, letters, short(v.row.letters()), s.msg)
			return
		}
	}
}

// each demands something of every reply in [from, to).
func (v *verdict) each(from, to int, what string, f func(*dns.Msg) bool) {
	v.t.Helper()
	for i, s := range v.between(from, to) {
		if s.msg == nil || !f(s.msg) {
			v.t.Errorf("%s: second %d lacks %s:\n%v", v.id, from+i, what, s.msg)
			return
		}
	}
}

// fresh demands that an address that is in the answers since a second is seen so
// many seconds later, and from then on.
func (v *verdict) fresh(ip string, since, within int) {
	v.t.Helper()
	for i, s := range v.between(since, since+within+slack) {
		if s.msg != nil && slices.Contains(given(s.msg, v.row.qtype), ip) {
			v.t.Logf("%s: the truth was seen %d s after it was back", v.id, i)
			return
		}
	}
	v.t.Errorf("%s: %s is not seen within %d s: %s", v.id, ip, within, short(v.row.letters()))
}

// waits demands that in [from, to) at most so many replies took longer than
// half a second, and none longer than 1.8 s.
func (v *verdict) waits(from, to, most int) {
	v.t.Helper()
	var slow []time.Duration
	for _, s := range v.between(from, to) {
		if s.took > 500*time.Millisecond {
			slow = append(slow, s.took.Round(time.Millisecond))
		}
	}
	if len(slow) > most || len(slow) > 0 && slices.Max(slow) > 1900*time.Millisecond {
		v.t.Errorf("%s: the client waited %v, want %d times at most and no longer than 1.8 s", v.id, slow, most)
	}
}

// shape demands of every reply that it is one.
func (v *verdict) shape() {
	v.t.Helper()
	for i, s := range v.between(0, len(v.row.letters())) {
		if s.msg == nil {
			continue
		}
		if fault := misshapen(s.msg, v.row.name, v.row.qtype); fault != "" {
			v.t.Errorf("%s: second %d: %s:\n%v", v.id, i, fault, s.msg)
			return
		}
	}
}

func TestLetters(t *testing.T) {
	f := fact{good: setOf([]string{"192.0.2.1", "192.0.2.2"}), hijacked: setOf([]string{evil})}
	var got strings.Builder
	for _, say := range []reply{
		addresses(5, "192.0.2.1", "192.0.2.2"), chained(5, "edge.example", addresses(5, "192.0.2.1")), addresses(5, "192.0.2.1", "192.0.2.3"),
		addresses(5, "192.0.2.1", evil), nodata("example."), nxdomain("example."), servfail(), chained(5, "edge.example", nodata("example.")), addresses(5, aws6(1)),
	} {
		m := say(new(dns.Msg).SetQuestion("api.example.", dns.TypeA).SetEdns0(1232, false), 0)
		got.WriteByte(letter(m, dns.TypeA, f))
		if fault := misshapen(m, "api.example", dns.TypeA); fault != "" {
			t.Errorf("%s:\n%v", fault, m)
		}
	}
	if s := short(got.String()); s != "G2 S1 H1 N2 F1 N2" {
		t.Errorf("read as %s", s)
	}
	m := chained(5, "edge.example", addresses(5, "192.0.2.1"))(new(dns.Msg).SetQuestion("api.example.", dns.TypeA).SetEdns0(1232, false), 0)
	slices.Reverse(m.Answer)
	if misshapen(m, "api.example", dns.TypeA) == "" {
		t.Error("a CNAME after its target is fine")
	}
}
