package server

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/prometheus/client_golang/prometheus"
)

func TestReload(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", ""))
	s := start(t, Options{Corefile: path})
	rewrite(t, path, says(port, "two", ""))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := txt("udp", s.Addr("udp")); got != "two" {
		t.Error(got)
	}
	if name, text := s.Corefile(); name != path || !strings.Contains(string(text), "two") {
		t.Errorf("%s: %s", name, text)
	}
}

// A server that is replaced or stopped before its goroutines ran must not begin
// to serve afterwards.
func TestNoServerOutlivesItsReload(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "start", ""))
	s := start(t, Options{Corefile: path})
	if n := len(sockets(s.instance())); n != 2 {
		t.Fatalf("%d sockets, want udp and tcp", n)
	}
	for i := range 200 {
		word := fmt.Sprint("word", i)
		rewrite(t, path, says(port, word, ""))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		network := []string{"udp", "tcp"}[i%2]
		if got := txt(network, s.Addr(network)); got != word {
			t.Fatalf("%s: %s after the reload to %s", network, got, word)
		}
	}
}

// An unchanged Corefile is reloaded all the same when someone asks: what it
// names may have changed.
func TestReloadOfTheUnchanged(t *testing.T) {
	s := start(t, Options{Text: []byte(says("0", "one", ""))})
	before, addr := s.instance(), s.Addr("udp")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if s.instance() == before {
		t.Error("the instance is the same")
	}
	if s.Addr("udp") != addr {
		t.Errorf("listened on %s, now on %s", addr, s.Addr("udp"))
	}
}

func TestBadCorefileKeepsTheOld(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", ""))
	s := start(t, Options{Corefile: path})
	before := s.instance()
	rewrite(t, path, says(port, "two", "forwrd .\nforward"))
	err := s.Reload()
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"unknown directive \"forwrd\"", "forward: too few", "has 2 faults; what was in use stays in use"} {
		if strings.Count(logged.String(), want) != 1 {
			t.Errorf("not once in the log: %s", want)
		}
	}
	if got := txt("tcp", s.Addr("tcp")); got != "one" || s.instance() != before {
		t.Errorf("serves %s", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || txt("udp", s.Addr("udp")) != "one" {
		t.Errorf("without a file: %v", err)
	}
}

// Stock `reload` watches; the server checks and applies.
func TestFileChange(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", "reload 2s 0s"))
	s := start(t, Options{Corefile: path})
	rewrite(t, path, says(port, "two", "reload 2s 0s\nforwrd ."))
	wait(t, wait10, "the fault in the log", func() bool { return strings.Contains(logged.String(), "did you mean forward?") })
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Errorf("with a bad Corefile: %s", got)
	}
	rewrite(t, path, says(port, "three", "reload 2s 0s"))
	wait(t, wait10, "the new answer", func() bool { return txt("udp", s.Addr("udp")) == "three" })
	rewrite(t, path, says(port, "four", "reload 2s 0s"))
	wait(t, wait10, "the newer answer", func() bool { return txt("udp", s.Addr("udp")) == "four" })
	if n := strings.Count(logged.String(), "did you mean forward?"); n != 1 {
		t.Errorf("the fault is in the log %d times", n)
	}
}

// A file that a Corefile imports is watched with it, and checked like it.
func TestImportedFileChange(t *testing.T) {
	port := freePort(t)
	path := write(t, "import zone.conf\n")
	zone := filepath.Join(filepath.Dir(path), "zone.conf")
	rewrite(t, zone, says(port, "one", "reload 2s 0s"))
	s := start(t, Options{Corefile: path})
	rewrite(t, zone, says(port, "two", "reload 2s 0s\nforwrd ."))
	wait(t, wait10, "the fault in the log", func() bool { return strings.Contains(logged.String(), zone+":") })
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Errorf("with a bad file: %s", got)
	}
	rewrite(t, zone, says(port, "two", "reload 2s 0s"))
	wait(t, wait10, "the new answer", func() bool { return txt("udp", s.Addr("udp")) == "two" })
}

// What was wrong outside of the Corefile may go away without a change of it.
func TestRefusedIsTriedAgain(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", "reload 2s 0s"))
	s := start(t, Options{Corefile: path})
	list := filepath.Join(t.TempDir(), "resolv.conf")
	rewrite(t, path, says(port, "two", "reload 2s 0s\nforward . "+list))
	wait(t, wait10, "the fault in the log", func() bool { return strings.Contains(logged.String(), "there is no file "+list) })
	rewrite(t, list, "nameserver 192.0.2.1\n")
	wait(t, wait10, "the new answer", func() bool { return txt("udp", s.Addr("udp")) == "two" })
}

// A new address that is taken is found before anything is replaced.
func TestReloadOntoATakenPort(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", ""))
	s := start(t, Options{Corefile: path})
	other := freePort(t)
	closing(t, hold(t, "127.0.0.1:"+other))
	rewrite(t, path, says(port, "two", "")+says(other, "two", ""))
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("%v", err)
	}
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Error(got)
	}
	more := freePort(t)
	rewrite(t, path, says(port, "three", "")+strings.Replace(says(port, "", ""), "bind 127.0.0.1", "bind 127.0.0.2", 1)+says(more, "three", ""))
	if err := s.Reload(); err != nil {
		t.Errorf("a further address on our own port, and a free port: %v", err)
	}
	if got := txt("udp", "127.0.0.1:"+more); got != "three" {
		t.Error(got)
	}
}

// Stock's metrics tell of our reloads.
func TestReloadMetrics(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", ""))
	s := start(t, Options{Corefile: path})
	failed, _ := reloadMetrics(t)
	rewrite(t, path, says(port, "two", "forwrd"))
	if err := s.Reload(); err == nil {
		t.Fatal("reloaded")
	}
	if now, _ := reloadMetrics(t); now != failed+1 {
		t.Errorf("%v failures, then %v", failed, now)
	}
	for _, word := range []string{"three", "four"} {
		rewrite(t, path, says(port, word, ""))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	now := s.applied
	if _, versions := reloadMetrics(t); !slices.Contains(versions, hex.EncodeToString(now[:])) {
		t.Errorf("versions %v, want %x", versions, now)
	}
}

func reloadMetrics(t *testing.T) (failed float64, versions []string) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "coredns_reload_failed_total":
				failed += m.GetCounter().GetValue()
			case "coredns_reload_version_info":
				versions = append(versions, m.GetLabel()[1].GetValue())
			}
		}
	}
	return failed, versions
}

// Nothing must ever lead stock `reload` to a Corefile.
func TestLoader(t *testing.T) {
	t.Chdir(t.TempDir())
	rewrite(t, "Corefile", ".:53 {\n whoami\n}\n")
	load := func() {
		t.Helper()
		if in, err := caddy.LoadCaddyfile("dns"); err == nil {
			t.Errorf("loaded: %s", in.Body())
		}
	}
	load()
	s := start(t, Options{Text: []byte(says("0", "one", ""))})
	load()
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Error(got)
	}
}

// An instance that someone else replaced, as stock `reload` would, is the one
// that is reloaded and stopped.
func TestReplacedByOthers(t *testing.T) {
	s := start(t, Options{Text: []byte(says("0", "one", ""))})
	for range 100 { // an instance that is stopped before it serves never ends
		if txt("udp", s.Addr("udp")) == "one" && txt("tcp", s.Addr("tcp")) == "one" {
			break
		}
	}
	old := s.instance()
	next, err := old.Restart(old.Caddyfile())
	if err != nil {
		t.Fatal(err)
	}
	if s.instance() != next {
		t.Fatal("the server does not know the new instance")
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Error(got)
	}
}
