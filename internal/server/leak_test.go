package server

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

const wait10 = 10 * time.Second

// settled returns the goroutines and the open files once they stand still.
func settled(t *testing.T) (goroutines, files int) {
	t.Helper()
	same := 0
	wait(t, wait10, "a quiet process", func() bool {
		runtime.GC()
		g, f := runtime.NumGoroutine(), openFiles()
		if g == goroutines && f == files {
			same++
		} else {
			goroutines, files, same = g, f, 0
		}
		return same >= 20
	})
	return goroutines, files
}

// busy is a block with plugins that begin things: listeners, timers, clients.
func busy(t *testing.T, port, word string) string {
	t.Helper()
	hosts := write(t, "192.0.2.1 a.example\n")
	return says(port, word, strings.Join([]string{
		"health 127.0.0.1:" + freePort(t), "ready 127.0.0.1:" + freePort(t), "prometheus 127.0.0.1:" + freePort(t),
		"pprof 127.0.0.1:" + freePort(t), "errors", "cache", "loadbalance",
		"hosts " + hosts + " {\n fallthrough\n }", "forward . 127.0.0.1:1", "reload 2s",
	}, "\n"))
}

func TestReloadsLeaveNothing(t *testing.T) {
	port := freePort(t)
	path := write(t, busy(t, port, "one"))
	s := start(t, Options{Corefile: path})
	reload := func() {
		t.Helper()
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	reload()
	goroutines, files := settled(t)
	for range 50 {
		reload()
	}
	assertSettled(t, goroutines, files)
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Error(got)
	}
}

func TestFailedReloadsLeaveNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closing(t, taken)
	_, takenPort, _ := net.SplitHostPort(taken.Addr().String())
	port := freePort(t)
	good := busy(t, port, "one")
	path := write(t, good)
	s := start(t, Options{Corefile: path})
	bad := []string{
		strings.Replace(good, "loadbalance", "loadbalnce", 1),            // found by the check
		good + says(takenPort, "two", ""),                                // found before the start
		good + says(freePort(t), "two", "health "+taken.Addr().String()), // found by the plugin, half way
	}
	fail := func() {
		t.Helper()
		for _, text := range bad {
			rewrite(t, path, text)
			if err := s.Reload(); err == nil {
				t.Fatalf("reloaded:\n%s", text)
			}
		}
	}
	fail()
	goroutines, files := settled(t)
	for range 17 {
		fail()
	}
	assertSettled(t, goroutines, files)
	for _, network := range []string{"udp", "tcp"} {
		if got := txt(network, s.Addr(network)); got != "one" {
			t.Errorf("%s: %s", network, got)
		}
	}
}

func assertSettled(t *testing.T, goroutines, files int) {
	t.Helper()
	var g, f int
	ok := func() bool {
		runtime.GC()
		g, f = runtime.NumGoroutine(), openFiles()
		return g <= goroutines+2 && f <= files+2
	}
	deadline := time.NewTimer(wait10)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			buf := make([]byte, 1<<20)
			t.Fatalf("goroutines %d -> %d, files %d -> %d\n%s", goroutines, g, files, f, buf[:runtime.Stack(buf, true)])
		}
	}
}
