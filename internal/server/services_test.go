package server

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// services is a failover file with one service, checked on a listener of ours.
func services(state, addr, port string) string {
	return fmt.Sprintf(`version: 1
monitors: {up: {type: tcp, port: %s, interval: 1s, timeout: 500ms}}
services:
  shop.example.org:
    monitors: [up]
    pools: [{aws/us-east-1: [%s]}, {gcp/europe-west1: [127.0.0.9]}]
probes: {allow_targets: [127.0.0.0/8]}
admin: off
state: {dir: %s}
`, port, addr, state)
}

// address asks for the A record of the service.
func address(addr string) string {
	m := new(dns.Msg).SetQuestion("shop.example.org.", dns.TypeA)
	in, _, err := (&dns.Client{Timeout: time.Second}).Exchange(m, addr)
	switch {
	case err != nil:
		return err.Error()
	case len(in.Answer) != 1:
		return dns.RcodeToString[in.Rcode]
	}
	return in.Answer[0].(*dns.A).A.String()
}

func TestServices(t *testing.T) {
	target := hold(t, "127.0.0.1:0")
	closing(t, target)
	_, up, _ := net.SplitHostPort(target.Addr().String())
	closing(t, hold(t, "127.0.0.2:"+up))
	dir := t.TempDir()
	yaml := filepath.Join(dir, "f.yaml")
	rewrite(t, yaml, services(dir, "127.0.0.1", up))
	port := freePort(t)
	corefile := func(word string) string { return says(port, word, "errors\ncache\nfailover "+yaml) }
	path := write(t, corefile("one"))
	s := start(t, Options{Corefile: path})
	if got := address(s.Addr("udp")); got != "127.0.0.1" {
		t.Fatalf("at the start: %s", got)
	}

	// Both files change, one of them is bad: neither is taken.
	rewrite(t, yaml, services(dir, "127.0.0.300", up))
	rewrite(t, path, corefile("two"))
	var faults Faults
	if err := s.Reload(); !errors.As(err, &faults) || faults[0].File != yaml || faults[0].Col == 0 {
		t.Errorf("%v", err)
	}
	if got := txt("udp", s.Addr("udp")) + " " + address(s.Addr("udp")); got != "one 127.0.0.1" {
		t.Errorf("after a refusal: %s", got)
	}

	rewrite(t, yaml, services(dir, "127.0.0.2", up))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := txt("udp", s.Addr("udp")); got != "two" {
		t.Errorf("after a reload: %s", got)
	}
	wait(t, wait10, "the new address", func() bool { return address(s.Addr("udp")) == "127.0.0.2" })
}

func TestReloadsWithServicesLeaveNothing(t *testing.T) {
	target := hold(t, "127.0.0.1:0")
	closing(t, target)
	_, up, _ := net.SplitHostPort(target.Addr().String())
	dir := t.TempDir()
	yaml := filepath.Join(dir, "f.yaml")
	rewrite(t, yaml, services(dir, "127.0.0.1", up))
	port := freePort(t)
	good := busy(t, port, "one")
	good = strings.Replace(good, "loadbalance", "loadbalance\nfailover "+yaml, 1)
	path := write(t, good)
	s := start(t, Options{Corefile: path})
	both := func() {
		t.Helper()
		rewrite(t, path, strings.Replace(good, "loadbalance", "loadbalnce", 1))
		if err := s.Reload(); err == nil {
			t.Fatal("reloaded")
		}
		rewrite(t, path, good)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	both()
	goroutines, files := settled(t)
	for range 50 {
		both()
	}
	assertSettled(t, goroutines, files)
	if got := address(s.Addr("udp")); got != "127.0.0.1" {
		t.Error(got)
	}
}
