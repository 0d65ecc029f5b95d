package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Ports of servers beside the one at port 53.
const (
	barePort   = "54" // no cache
	crashPort  = "1053"
	damagePort = "2053"
)

// names are the guarded names of the scenes in a zone.
func guardedNames() []string {
	var out []string
	for _, n := range []string{
		"young.s1", "api.s2", "db.s1", "pool", "half.s3", "quiet.s4", "api.s5", "bogus.s5", "www.s13", "old", "new", "moved", "six", "drain", "fine", "nord", "ecs", "cd",
	} {
		out = append(out, n+"."+region)
	}
	return out
}

// TestGuard plays the outages of the past side by side, for Detour and for what
// CoreDNS can do alone, and prints what a client saw each second.
func TestGuard(t *testing.T) {
	s := newStage(t)
	t.Parallel()
	a := brief
	u := s.upstream(0)
	blocks := []block{
		{zone: ".", port: "53", names: guardedNames(), upstreams: []string{u}},
		{zone: "s3.example", port: "53", names: []string{"api.s3.example"}, upstreams: []string{u, s.upstream(1)}},
		{zone: "s4.example", port: "53", names: []string{"api.s4.example"}, upstreams: []string{s.upstream(3)}},
		{zone: "s14.example", port: "53", names: []string{"api.s14.example"}, upstreams: []string{u, s.upstream(4)}},
		{zone: "s15.example", port: "53", names: []string{"api.s15.example"}, also: "change", upstreams: []string{u}},
		{zone: "kept.example", port: "53", names: []string{"api.kept.example"}, keep: fmt.Sprintf("proven %[1]ds unproven %[1]ds", kept), upstreams: []string{u}},
		{zone: ".", port: barePort, names: []string{"bogus.s5." + region}, uncached: true, upstreams: []string{u}},
	}
	ours := s.detour("main", blocks...)
	s.baseline("main", blocks...)
	s.resolvConf()
	s.negatives(a)
	s.liars(a)
	s.failures(a)
	s.chains(a)
	s.hijacks(a, ours)
	s.deletion(a)
	s.expiry(a)
	s.renumbering("new."+region, 20, acts{fault: 100, repair: a.repair, end: a.end}, []string{aws(33), aws(34)}, []string{aws(35), aws(36)})
	s.renumbering("moved."+region, a.fault-30, a, []string{gcp(55), gcp(56)}, []string{gcp(57), gcp(58)})
	s.others(a)
	s.withdrawal(a)
	s.draining(a)
	s.peace(a)
	s.damaged(a)
	for _, port := range []string{"53", barePort, damagePort} {
		s.ready("res", port)
	}
	s.ready(stock, "53")
	s.play(a.end)
	s.manners(a, ours.out.String())
	if t.Failed() {
		t.Logf("Detour said:\n%s", tail(ours.out.String()))
	}
}

// crash starts the pair of processes that is killed in mid-outage, with its scenes.
func (s *stage) crash(a acts) *guarded {
	blocks := []block{
		{zone: ".", port: crashPort, names: []string{"api.s1." + region}, upstreams: []string{s.upstream(0)}},
		{zone: "s26.example", port: crashPort, names: []string{"api.s26.example"}, upstreams: []string{s.upstream(5)}},
	}
	ours := s.detour("crash", blocks...)
	s.crashing(a, ours, s.baseline("crash", blocks...))
	return ours
}

// damaged is a process whose state is spoiled again and again while it is down. It
// must start and answer each time, and be right again after the repair.
func (s *stage) damaged(a acts) {
	sc := &scene{id: "S26", what: "kill -9, state damaged", name: "cut.s26." + region, port: damagePort, alone: true}
	g := s.detour("damage", block{zone: ".", port: damagePort, names: []string{sc.name}, upstreams: []string{s.upstream(0)}})
	at := a.restart
	for _, d := range damages {
		sc.steps = append(sc.steps, step{at, func() { g.spoil(d) }})
		at += 8
	}
	sc.judge = func(v *verdict) {
		v.only(0, a.restart-1, sawGood)
		for i := range damages {
			v.only(a.restart+i*8+5, a.restart+i*8+7, sawGood, sawNegative)
		}
	}
	s.emptied(sc, a, nodata(region), []string{aws(50)}, []string{aws(51)})
}

// damages of a state file.
var damages = []struct {
	what string
	do   func([]byte) []byte
}{
	{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
	{"cut within a page", func(b []byte) []byte { return b[:min(len(b), 4096+100)] }},
	{"empty", func([]byte) []byte { return nil }},
	{"noise", func(b []byte) []byte { return []byte(strings.Repeat("noise", len(b)/5)) }},
}

// spoil kills the process, damages every file of its state, and starts it again.
func (g *guarded) spoil(d struct {
	what string
	do   func([]byte) []byte
},
) {
	g.kill()
	files, err := filepath.Glob(filepath.Join(g.dir, "*"))
	if err != nil || len(files) == 0 {
		g.s.t.Errorf("state %s: no file in %s", d.what, g.dir)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(f, d.do(text), 0o600)
		}
		if err != nil {
			g.s.t.Error(err)
		}
	}
	g.again()
}

// TestGuardSoak is the outage of October 2025: the name is empty for a minute, or with
// DETOUR_SOAK for ten, both processes are killed in the middle, and then the truth
// is back.
func TestGuardSoak(t *testing.T) {
	s := newStage(t)
	t.Parallel()
	a := brief
	if os.Getenv("DETOUR_SOAK") != "" {
		a = acts{fault: 70, restart: 370, repair: 670, end: 720}
	}
	crash := s.crash(a)
	s.ready("res", crashPort)
	s.ready(stock, crashPort)
	s.play(a.end)
	s.manners(a, crash.out.String())
	if t.Failed() {
		t.Logf("Detour said:\n%s", tail(crash.out.String()))
	}
}
