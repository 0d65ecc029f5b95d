package guard

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// history is a random life of a name, and what a slow and simple observer knows of
// each of its addresses.
type history struct {
	*testing.T
	r    *rand.Rand
	n    Name
	now  Stamp
	bad  [2]Stamp // since when a family fails
	seen [2]map[Addr]*sighting
}

// sighting is what good answers and proofs said of an address.
type sighting struct {
	at      []Stamp
	proven  bool
	refuted bool
}

func (s *sighting) fit() bool {
	return !s.refuted && (s.proven || len(s.at) >= 3 && s.at[len(s.at)-1].Sub(s.at[0]) >= time.Minute)
}

// TestHistories holds over thousands of random lives that what stands in is always
// a few of the addresses that good answers held three times over a minute, or that
// proved themselves; never a refuted one, never for too long.
func TestHistories(t *testing.T) {
	stood := 0
	for seed := range uint64(3000) {
		h := &history{T: t, r: rand.New(rand.NewPCG(seed, 7)), now: noon}
		h.seen = [2]map[Addr]*sighting{{}, {}}
		for range 60 + h.r.IntN(200) {
			h.step()
			stood += h.check()
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if stood < 3000 {
		t.Errorf("something stood in only %d times: this test looks at nothing", stood)
	}
}

func (h *history) step() {
	v6 := h.r.IntN(4) == 0
	switch h.r.IntN(12) {
	case 0, 1, 2, 3, 4:
		h.learn(v6, h.usual(v6))
	case 5:
		h.learn(v6, h.hostile(v6))
	case 6, 7, 8:
		h.n.Fail(v6, 1+Failure(h.r.IntN(int(Shrink))), h.now)
		if i := family(v6); h.bad[i] == 0 {
			h.bad[i] = h.now
		}
	case 9, 10:
		h.prove(v6)
	default:
		h.other(v6)
	}
	h.now = h.now.Add(h.pause())
}

func (h *history) pause() time.Duration {
	switch h.r.IntN(20) {
	case 0:
		return time.Duration(h.r.IntN(30)) * time.Hour
	case 1, 2:
		return time.Duration(h.r.IntN(20)) * time.Minute
	}
	return time.Duration(h.r.IntN(40_000)) * time.Millisecond
}

func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

func (h *history) ip(v6 bool, n int) Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{192, byte(n >> 8), 2, byte(n)})
}

// usual is an answer of a rotating pool.
func (h *history) usual(v6 bool) *Answer {
	first := h.r.IntN(4) * 3
	a := &Answer{TTL: uint32(h.r.IntN(300))}
	for i := range 1 + h.r.IntN(4) {
		a.Addrs = append(a.Addrs, h.ip(v6, first+i))
	}
	if h.r.IntN(2) == 0 {
		a.Chain = []string{"edge.example."}
	}
	return a
}

// hostile is an answer of a liar: many strangers, private addresses, an absurd TTL
// or chain.
func (h *history) hostile(v6 bool) *Answer {
	a := &Answer{TTL: h.r.Uint32()}
	for range h.r.IntN(MaxMembers + 1) {
		a.Addrs = append(a.Addrs, h.ip(v6, 256+h.r.IntN(300)))
	}
	slices.SortFunc(a.Addrs, Addr.Compare)
	a.Addrs = slices.Compact(a.Addrs)
	if h.r.IntN(3) == 0 {
		a.Addrs = append(a.Addrs, addrs("10.0.0.1", "fd00::1")[family(v6)])
	}
	for range h.r.IntN(30) {
		a.Chain = append(a.Chain, "loop.example.")
	}
	return a
}

func (h *history) learn(v6 bool, a *Answer) {
	if h.n.Learn(v6, a, h.now) == Refused {
		return
	}
	i := family(v6)
	h.bad[i] = 0
	for _, ip := range a.Addrs {
		s := h.of(v6, ip)
		s.at, s.refuted = append(s.at, h.now), false // its own DNS says so
	}
}

func (h *history) of(v6 bool, ip Addr) *sighting {
	i := family(v6)
	if h.seen[i][ip] == nil {
		h.seen[i][ip] = &sighting{}
	}
	return h.seen[i][ip]
}

func (h *history) prove(v6 bool) {
	k := h.n.Of(v6)
	if len(k.Members) == 0 {
		return
	}
	ip := k.Members[h.r.IntN(len(k.Members))].IP
	p := Proof(h.r.IntN(int(Mute) + 1))
	h.n.Begun(v6, ip, h.now, 0)
	h.n.Prove(v6, ip, p, h.now)
	switch s := h.of(v6, ip); p {
	case Proven:
		s.proven, s.refuted = true, false
	case Refuted:
		s.proven, s.refuted = false, true
	case Unproven, Silent, Mute, Contradicts:
	}
}

// other is what happens rarely: a restart, a family that is withdrawn, an operator.
func (h *history) other(v6 bool) {
	switch h.r.IntN(4) {
	case 0, 1:
		h.n = h.n.Clone()
		h.n.Mend(h.now)
	case 2:
		if h.n.Withdrawn() {
			h.seen[family(true)], h.bad[family(true)] = map[Addr]*sighting{}, 0
		}
	case 3:
		if h.r.IntN(10) == 0 {
			h.n.Accept(0)
			h.seen, h.bad = [2]map[Addr]*sighting{{}, {}}, [2]Stamp{}
		}
	}
}

// check compares what stands in with what the observer knows, and returns how many
// families stand in.
func (h *history) check() (stood int) {
	r := rules()
	r.Demand = TLS
	for _, v6 := range []bool{false, true} {
		i := family(v6)
		s, why := h.n.Stand(v6, r, h.now, h.r.IntN(2) == 0)
		if k := h.n.Of(v6); len(k.Members) > MaxMembers || len(k.Chain) > MaxChain {
			h.Errorf("%d members, %d CNAMEs", len(k.Members), len(k.Chain))
		}
		if why != Stands {
			if len(s.Addrs) > 0 {
				h.Errorf("%v, and %v", why, s.Addrs)
			}
			continue
		}
		stood++
		if len(s.Addrs) < 1 || len(s.Addrs) > MaxAnswer || h.bad[i] == 0 || h.now.Sub(h.bad[i]) > 24*time.Hour {
			h.Errorf("%d addresses, failing for %v", len(s.Addrs), h.now.Sub(h.bad[i]))
		}
		for j, ip := range s.Addrs {
			switch o := h.of(v6, ip); {
			case !o.fit():
				h.Errorf("%s stands in: %+v, %+v", ip, o, h.n.Of(v6).find(ip))
			case !o.proven && (!h.n.Proves || !h.n.Of(v6).find(ip).isFaint()) && h.now.Sub(h.bad[i]) > 15*time.Minute:
				h.Errorf("%s stands in unproven for %v", ip, h.now.Sub(h.bad[i]))
			case slices.Contains(s.Addrs[:j], ip), ip.Is6() != v6:
				h.Errorf("%v stands in", s.Addrs)
			case Private(ip) != (h.n.Of(v6).Kind == PrivateKind):
				h.Errorf("%s stands in, and is of another kind", ip)
			}
		}
	}
	return stood
}
