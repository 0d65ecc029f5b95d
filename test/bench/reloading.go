package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// restarts is how often the Corefile is reloaded, by ours and by stock CoreDNS.
const restarts = 20

// reloading measures P6: what clients notice of reloads under 5,000 queries a second.
func (b *bench) reloading() error {
	if err := certificate(b.dir); err != nil {
		return err
	}
	back, err := startBackends()
	if err != nil {
		return err
	}
	defer back.close()
	path, err := b.services("reload", names, fmt.Sprintf("monitors: {web: {type: tcp, port: %d, interval: 1h}}\ndefaults: {ttl: {settled: 100s}}", back.port),
		"aws/us-east-1", "gcp/europe-west1")
	if err != nil {
		return err
	}
	p := ports{5301, 5311, 5321}
	s := server{bin: b.ours, args: serveArgs, port: p.plain, free: true, block: b.blocks(p, "  failover "+path+"\n")}
	if err := s.start(b.dir); err != nil {
		return err
	}
	defer s.stop()
	if err := b.reloadServices(p, path); err != nil {
		return err
	}
	ours, err := b.reloadCorefile(&s, p)
	if err != nil {
		return err
	}
	return b.compareReloads(ours)
}

// reloadServices edits failover.yaml again and again, and waits each time until
// the edit is seen in answers.
func (b *bench) reloadServices(p ports, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	l, err := b.startLoad(p)
	if err != nil {
		return err
	}
	for i := range b.reloads {
		if err := l.edit(path, string(text), i%2 == 0); err != nil {
			l.end()
			return err
		}
	}
	l.end()
	for _, t := range []struct {
		name string
		t    *tally
	}{{"UDP", &l.udp}, {"TCP", &l.tcp}, {"DoT", &l.tls}, {"DoH", &l.https}} {
		b.rows = append(b.rows, row{
			ID: "P6", What: fmt.Sprintf("%d reloads of failover.yaml, 10,000 services, %s", b.reloads, t.name), Ours: t.t.String(),
			Other: "target", Target: "0 lost, 0 wrong", Met: t.t.lost.Load() == 0 && t.t.wrong.Load() == 0 && t.t.asked.Load() > 0,
		})
	}
	return nil
}

// edit gives all services a longer TTL than in the text, or takes it back, and
// returns when it is seen in an answer.
func (l *load) edit(path, text string, longer bool) error {
	if longer {
		text = strings.Replace(text, "settled: 100s", "settled: 1000s", 1)
	}
	if err := replace(path, text); err != nil {
		return err
	}
	for start := time.Now(); (l.udp.ttl.Load() > 100) != longer; time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			return errors.New("an edit of failover.yaml is not taken")
		}
	}
	return nil
}

// replace writes a file as editors and kubelets do: beside the old one, then in its place.
func replace(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// reloadCorefile has a server reload its Corefile again and again.
func (b *bench) reloadCorefile(s *server, p ports) (*load, error) {
	l, err := b.startLoad(p)
	if err != nil {
		return nil, err
	}
	defer l.end()
	time.Sleep(time.Second)
	for range restarts {
		if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			return nil, err
		}
		time.Sleep(1500 * time.Millisecond)
	}
	return l, nil
}

// compareReloads does the same with stock CoreDNS and appends the rows.
func (b *bench) compareReloads(ours *load) error {
	if err := b.zone(); err != nil {
		return err
	}
	p := ports{5302, 5312, 5322}
	s := server{bin: b.stock, args: stockArgs, port: p.plain, free: true, block: b.blocks(p, "  file "+b.dir+"/reload.db bench.test\n")}
	if err := s.start(b.dir); err != nil {
		return err
	}
	defer s.stop()
	stock, err := b.reloadCorefile(&s, p)
	if err != nil {
		return err
	}
	b.rows = append(b.rows,
		row{
			ID: "P6", What: fmt.Sprintf("%d reloads of the Corefile, UDP", restarts), Ours: ours.udp.String(),
			Other: stock.udp.String() + " (stock file)", Target: "0 lost", Met: ours.udp.lost.Load()+ours.udp.wrong.Load() == 0,
		},
		row{
			ID: "P6", What: fmt.Sprintf("%d reloads of the Corefile, connections", restarts), Ours: fmt.Sprintf("%d lost", ours.lost()),
			Other: fmt.Sprintf("%d lost (stock file)", stock.lost()), Target: "not more", Met: ours.lost() <= stock.lost(),
		})
	return nil
}

// zone writes what stock CoreDNS needs to answer the same.
func (b *bench) zone() error {
	var out strings.Builder
	out.WriteString("$ORIGIN bench.test.\n@ 3600 IN SOA ns1 host 1 7200 1800 86400 30\n@ 3600 IN NS ns1\nns1 3600 IN A 127.0.0.1\n")
	for i := range names {
		fmt.Fprintf(&out, "s%05d 30 IN A 127.1.%d.%d\n", i, i>>8, i&255)
	}
	return os.WriteFile(b.dir+"/reload.db", []byte(out.String()), 0o600)
}
