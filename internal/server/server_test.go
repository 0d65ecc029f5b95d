package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestServesAndStops(t *testing.T) {
	s := start(t, Options{Text: []byte(says("0", "one", "") + "tls://example.org:0 {\n bind 127.0.0.1\n whoami\n}\n")})
	for _, network := range []string{"udp", "tcp"} {
		if got := txt(network, s.Addr(network)); got != "one" {
			t.Errorf("%s: %s", network, got)
		}
	}
	if n := len(s.Addrs()); n != 3 {
		t.Errorf("listens on %v, want udp, tcp and tls", s.Addrs())
	}
	if name, text := s.Corefile(); name != builtIn || len(text) == 0 {
		t.Errorf("Corefile %q: %s", name, text)
	}
	addr := s.Addr("tcp")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := txt("tcp", addr); got == "one" {
		t.Error("answers after it stopped")
	}
	if err := s.Reload(); err == nil {
		t.Error("reloaded after it stopped")
	}
}

func TestOneServerAtATime(t *testing.T) {
	start(t, Options{Text: []byte(says("0", "one", ""))})
	if _, err := Start(Options{Text: []byte(says("0", "two", ""))}); err == nil {
		t.Error("a second server started")
	}
}

func TestFaultyCorefileDoesNotStart(t *testing.T) {
	_, err := Start(Options{Text: []byte(".:0 {\n forwrd .\n forward\n}\n")})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("%v", err)
	}
	if running.Load() != nil {
		t.Error("the failed server holds the process")
	}
}

// A port that another process has with SO_REUSEPORT too is taken: without a
// word, each would get a share of the queries.
func TestTakenPort(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, 15, 1) })
		}}
		addr := "127.0.0.1:" + freePort(t)
		if network == "udp" {
			pc, err := lc.ListenPacket(t.Context(), network, addr)
			if err != nil {
				t.Fatal(err)
			}
			closing(t, pc)
		} else {
			l, err := lc.Listen(t.Context(), network, addr)
			if err != nil {
				t.Fatal(err)
			}
			closing(t, l)
		}
		_, port, _ := net.SplitHostPort(addr)
		_, err := Start(Options{Text: []byte(says(port, "one", ""))})
		if err == nil {
			t.Fatalf("%s: started on a taken port", network)
		}
		for _, want := range []string{network + " " + addr + " is taken by ", fmt.Sprintf("(process %d)", os.Getpid()), "`bind`"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", network, want, err)
			}
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("not EADDRINUSE: %v", err)
		}
	}
}

func TestAddressOfAnother(t *testing.T) {
	_, err := Start(Options{Text: []byte(".:5301 {\n bind 192.0.2.99\n whoami\n}\n")})
	if err == nil || !strings.Contains(err.Error(), "no such address") {
		t.Errorf("%v", err)
	}
}

// The port of `health` is opened by the plugin; its error is as clear.
func TestTakenPortOfAPlugin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closing(t, l)
	_, err = Start(Options{Text: []byte(says("0", "one", "health "+l.Addr().String()))})
	if err == nil || !strings.Contains(err.Error(), "tcp "+l.Addr().String()+" is taken by ") {
		t.Errorf("%v", err)
	}
}

// While `health` announces the end, queries are answered, whatever the plugins.
func TestAnswersDuringLameduck(t *testing.T) {
	port := freePort(t)
	backend := "grpc://" + says(port, "one", "")
	front := ".:0 {\n bind 127.0.0.1\n shed\n grpc . 127.0.0.1:" + port + "\n health 127.0.0.1:0 {\n lameduck 1s\n }\n}\n"
	s := start(t, Options{Text: []byte(front + backend)})
	addr := s.Addr("udp")
	wait(t, wait10, "an answer", func() bool { return txt("udp", addr) == "one" })
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	wait(t, wait10, "lameduck", func() bool { return strings.Contains(logged.String(), "lameduck") })
	for range 20 {
		if got := txt("udp", addr); got != "one" {
			t.Fatalf("during lameduck: %s", got)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A Corefile that is checked, and refused, changes nothing of what /ready says.
func TestCheckKeepsReadiness(t *testing.T) {
	port, ready := freePort(t), freePort(t)
	text := says(port, "one", "erratic\nready 127.0.0.1:"+ready)
	path := write(t, text)
	s := start(t, Options{Corefile: path})
	status := func() int {
		r, err := http.Get("http://127.0.0.1:" + ready + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		return r.StatusCode
	}
	if got := status(); got != http.StatusServiceUnavailable {
		t.Fatalf("before: %d, while erratic is not ready", got)
	}
	rewrite(t, path, text+".:0 {\n forwrd\n}\n")
	if err := s.Reload(); err == nil {
		t.Error("reloaded")
	}
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("after: %d", got)
	}
}

func TestVersion(t *testing.T) {
	v := Version()
	if v.Detour == "" || v.Go == "" || v.CoreDNS == "" {
		t.Errorf("%+v", v)
	}
}
