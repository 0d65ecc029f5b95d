package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/state"
)

// guarding compares a chain with a guard and without one (P10).
func (b *bench) guarding() error {
	if err := b.prepare(); err != nil {
		return err
	}
	if err := b.writeGuarded(); err != nil {
		return err
	}
	list := "  guard {\n    file " + filepath.Join(b.dir, "guarded.txt") + "\n    proof age\n    state off\n  }\n"
	up := server{bin: b.ours, args: serveArgs, port: 5303, free: true, block: ". {\n  bind 127.0.0.1\n  file " + b.dir + "/cloud.db cloud.example\n}\n"}
	if err := up.start(b.dir); err != nil {
		return err
	}
	defer up.stop()
	for _, v := range []struct{ what, queries, below string }{
		{"guard, names that it does not guard", "others.txt", "  file " + b.dir + "/other.db other.test\n"},
		{"guard, healthy names that it does, below the cache", "cloud.txt", "  cache 30\n  forward . 127.0.0.1:5303\n"},
		{"guard, healthy names that it does, over forward, no cache", "cloud.txt", "  forward . 127.0.0.1:5303\n"},
	} {
		chain := ". {\n  bind 127.0.0.1\n%s" + v.below + "}\n"
		with := server{bin: b.ours, args: serveArgs, port: 5301, block: fmt.Sprintf(chain, list)}
		without := server{bin: b.ours, args: serveArgs, port: 5302, block: fmt.Sprintf(chain, "")}
		if err := b.compare("P10", v.what, &with, &without, v.queries, "1.03", max(b.pairs, 20), "same without guard"); err != nil {
			return err
		}
	}
	return nil
}

// writeGuarded writes names of others: a zone, questions, and a list to guard.
func (b *bench) writeGuarded() error {
	var zone, questions, list strings.Builder
	zone.WriteString("$ORIGIN cloud.example.\n@ 3600 IN SOA ns1 host 1 7200 1800 86400 30\n@ 3600 IN NS ns1\nns1 3600 IN A 127.0.0.1\n")
	for i := range names {
		fmt.Fprintf(&zone, "n%05d 30 IN A 192.0.2.%d\n", i, i&255)
		fmt.Fprintf(&questions, "n%05d.cloud.example A\n", i*7919%names)
		fmt.Fprintf(&list, "n%05d.cloud.example\n", i)
	}
	for name, text := range map[string]string{"cloud.db": zone.String(), "cloud.txt": questions.String(), "guarded.txt": list.String()} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// generation is more than it takes a start to show that it went well.
const generation = 15 * time.Second

// kept is how many names are kept at most.
const kept = 100_000

// keeping starts a guard that kept 100,000 names, with a dead upstream, and
// measures when it answers for one, and its memory then (P10).
func (b *bench) keeping() error {
	if err := b.build(); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "kept")
	if err := fillKept(dir, 5301); err != nil {
		return err
	}
	var list strings.Builder
	for i := range kept {
		fmt.Fprintf(&list, "k%06d.cloud.example\n", i)
	}
	file := filepath.Join(b.dir, "kept.txt")
	if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
		return err
	}
	empty := &server{bin: b.ours, args: serveArgs, port: 5301, free: true, block: ". {\n  bind 127.0.0.1\n  guard k000000.cloud.example {\n    state off\n  }\n  forward . 127.0.0.1:1\n}\n"}
	if err := empty.start(b.dir); err != nil {
		return err
	}
	base := memory(empty.cmd.Process.Pid)
	empty.stop()
	block := ". {\n  bind 127.0.0.1\n  guard {\n    file " + file + "\n    proof age\n    keep unproven 24h\n    state " + dir + "\n  }\n  forward . 127.0.0.1:1\n}\n"
	var times, sizes []float64
	for range 3 {
		s := &server{bin: b.ours, args: serveArgs, port: 5301, block: block, free: true}
		took, size, err := b.answersAfterStart(s)
		if err != nil {
			return err
		}
		times, sizes = append(times, took.Seconds()), append(sizes, size)
	}
	b.load("P10", "start until a kept name is answered, upstream dead, 100,000 kept names", median(times), 2, "s")
	added := median(sizes) - base
	b.rows = append(b.rows, row{
		ID: "P10", What: "memory that 100,000 kept names add", Ours: fmt.Sprintf("%.0f MB", added),
		Other: fmt.Sprintf("%.0f MB (RSS in all, %.0f MB with one name)", median(sizes), base), Ratio: fmt.Sprintf("%.2f", added/150),
		Target: "<= 150 MB", Met: added <= 150,
	})
	return nil
}

func fillKept(dir string, port int) error {
	s, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // written
	now := guard.At(time.Now())
	var records []state.Record
	for i := range kept {
		n := guard.Name{V4: guard.Kept{Kind: guard.PublicKind, Good: now, TTL: 60, Chain: []string{fmt.Sprintf("k%06d.edge.example.", i)}}}
		for j := range 3 {
			n.V4.Members = append(n.V4.Members, guard.Member{IP: netip.AddrFrom4([4]byte{198, 18 + byte(j), byte(i >> 8), byte(i)}), First: now.Add(-time.Hour), Last: now, Times: 3})
		}
		records = append(records, state.Record{Bucket: state.Guarded, Key: fmt.Sprintf(".:%d/ k%06d.cloud.example.", port, i), Value: n})
	}
	return s.Write(records...)
}

// answersAfterStart returns how long after its start a server answers for a kept
// name, and its memory in MB a moment later.
func (b *bench) answersAfterStart(s *server) (time.Duration, float64, error) {
	start := time.Now()
	if err := s.spawn(b.dir); err != nil {
		return 0, 0, err
	}
	defer s.stop()
	m := new(dns.Msg).SetQuestion("k054321.cloud.example.", dns.TypeA)
	c := &dns.Client{Timeout: 5 * time.Second}
	for time.Since(start) < time.Minute {
		r, _, err := c.Exchange(m, net.JoinHostPort("127.0.0.1", fmt.Sprint(s.port)))
		if err == nil && len(r.Answer) > 0 {
			took := time.Since(start)
			time.Sleep(generation) // it writes what to go back to, once
			if err := s.idle(); err != nil {
				return 0, 0, err
			}
			return took, memory(s.cmd.Process.Pid), nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 0, 0, errors.New("the kept name is not answered")
}
