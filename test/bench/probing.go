package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"time"
)

// The load of P4: 20,001 checks, a third of them in each region.
const (
	probedServices = 6667
	probeInterval  = 10 * time.Second
	probeTimeout   = 2 * time.Second
	silentBound    = probeInterval + 3*probeTimeout + 300*time.Millisecond // of a verdict after silence, fall 3
	tolerated      = time.Second
)

// probing measures what it costs to watch: P4, P4b and P4c.
func (b *bench) probing() error {
	if err := b.watching(); err != nil {
		return err
	}
	return b.watchingHTTPS()
}

// watching probes 20,001 addresses over TCP, and then a third of them is silent
// from one moment to the next.
func (b *bench) watching() error {
	back, err := startBackends()
	if err != nil {
		return err
	}
	defer back.close()
	s, err := b.watcher("tcp", probedServices, fmt.Sprintf("monitors: {web: {type: tcp, port: %d, interval: %s, timeout: %s, attempts: %d}}",
		back.port, probeInterval, probeTimeout, allow()), "aws/us-east-1", "azure/westeurope", "gcp/europe-west1")
	if err != nil {
		return err
	}
	defer s.stop()
	quiet, err := s.use(30*time.Second, nil)
	if err != nil {
		return err
	}
	if n := s.metric(`checks{verdict="up"}`); n != 3*probedServices {
		return fmt.Errorf("%v of %d checks are up", n, 3*probedServices)
	}
	b.load("P4", "20,000 TCP checks every 10 s, processor", quiet.share, 15, "% of a core")
	b.load("P4", "20,000 TCP checks every 10 s, memory", quiet.memory, 120, "MB")
	return b.silencing(s, back)
}

// silencing is the second half of watching (P4b).
func (b *bench) silencing(s *server, back *backends) error {
	back.reset()
	start := time.Now()
	if err := silence(3, back.port); err != nil {
		return err
	}
	var settled time.Duration
	loud, err := s.use(30*time.Second, func() {
		if settled == 0 && s.metric(`checks{verdict="down"}`) == probedServices {
			settled = time.Since(start)
		}
	})
	if err != nil {
		return err
	}
	if settled == 0 {
		fmt.Fprintf(os.Stderr, "P4b: only %v of %d checks are down\n", s.metric(`checks{verdict="down"}`), probedServices)
		settled = time.Since(start)
	}
	n, longest := back.longest(1, 2)
	if n != 2*probedServices {
		return fmt.Errorf("%d of %d addresses were probed beside the silent ones", n, 2*probedServices)
	}
	b.load("P4b", "a third goes silent: until all of it is Down", settled.Seconds(), (silentBound + tolerated).Seconds(), "s")
	b.load("P4b", "the same: longest time between two probes of another", longest.Seconds(), (probeInterval + tolerated).Seconds(), "s")
	b.load("P4b", "the same: processor", loud.share, 40, "% of a core")
	b.load("P4b", "the same: memory", loud.memory, 250, "MB")
	return nil
}

// silence drops what comes in for a third of the backends.
func silence(net, port int) error {
	for _, rule := range [][]string{
		{"add", "table", "ip", "bench"},
		{"add", "chain", "ip", "bench", "in", "{", "type", "filter", "hook", "input", "priority", "0", ";", "}"},
		{"add", "rule", "ip", "bench", "in", "ip", "daddr", fmt.Sprintf("127.%d.0.0/16", net), "tcp", "dport", strconv.Itoa(port), "drop"},
	} {
		if err := run("nft", rule...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) watchingHTTPS() error {
	port, stop, err := startHTTPS(b.dir)
	if err != nil {
		return err
	}
	defer stop()
	s, err := b.watcher("https", 500, fmt.Sprintf("monitors: {web: {type: https, port: %d, interval: 5s, ca_file: %s/cert.pem}}", port, b.dir),
		"aws/us-east-1", "gcp/europe-west1")
	if err != nil {
		return err
	}
	defer s.stop()
	u, err := s.use(20*time.Second, nil)
	if err != nil {
		return err
	}
	if n := s.metric(`checks{verdict="up"}`); n != 1000 {
		return fmt.Errorf("%v of 1,000 https checks are up", n)
	}
	b.load("P4c", "1,000 https checks every 5 s, processor", u.share, 25, "% of a core")
	return nil
}

// watcher starts our server on a file of services and waits until the first round
// of probes is over.
func (b *bench) watcher(name string, n int, head string, regions ...string) (*server, error) {
	path, err := b.services(name, n, head, regions...)
	if err != nil {
		return nil, err
	}
	s := &server{bin: b.ours, args: serveArgs, port: 5301, block: watchingBlock(path)}
	if err := s.spawn(b.dir); err != nil {
		return nil, err
	}
	time.Sleep(probeInterval + 5*time.Second) // the second round is spread over the interval: only then it is steady
	return s, nil
}

func watchingBlock(path string) string {
	return ". {\n  bind 127.0.0.1\n  failover " + path + "\n  prometheus 127.0.0.1:9301\n  ready 127.0.0.1:9302\n}\n"
}

// usage is what a process used: processor time in percent of one core, and at most
// so much memory.
type usage struct{ share, memory float64 }

// use watches a server for some time, and looks at it twice a second.
func (s *server) use(d time.Duration, look func()) (usage, error) {
	before, err := cpu(s.cmd.Process.Pid)
	if err != nil {
		return usage{}, err
	}
	start, most := time.Now(), 0.0
	for time.Since(start) < d {
		time.Sleep(500 * time.Millisecond)
		most = max(most, memory(s.cmd.Process.Pid))
		if look != nil {
			look()
		}
	}
	after, err := cpu(s.cmd.Process.Pid)
	return usage{100 * float64(after-before) / float64(time.Since(start)), most}, err
}

// metric reads one of the server's own series, -1 if there is none.
func (s *server) metric(series string) float64 {
	resp, err := http.Get("http://127.0.0.1:9301/metrics")
	if err != nil {
		return -1
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return -1
	}
	m := regexp.MustCompile(`(?m)^coredns_failover_` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return -1
	}
	return v
}

// load appends a row whose figure must not be above a limit.
func (b *bench) load(id, what string, v, limit float64, unit string) {
	fmt.Fprintf(os.Stderr, "%s %s: %.1f %s\n", id, what, v, unit)
	b.rows = append(b.rows, row{
		ID: id, What: what, Ours: fmt.Sprintf("%.1f %s", v, unit), Other: "target", Ratio: fmt.Sprintf("%.2f", v/limit),
		Target: fmt.Sprintf("<= %g %s", limit, unit), Met: v <= limit,
	})
}
