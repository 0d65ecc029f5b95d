package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// packets are what hostile clients send: noise, noise behind a good header, and
// good queries with bytes changed or cut off.
func packets(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	good, err := new(dns.Msg).SetQuestion("x.example.", dns.TypeTXT).SetEdns0(1232, true).Pack()
	if err != nil {
		panic(err)
	}
	out := make([][]byte, 0, n)
	for i := range n {
		b := append([]byte{}, good...)
		switch i % 4 {
		case 0:
			b = noise(r, r.IntN(600))
		case 1:
			b = append(b[:12], noise(r, r.IntN(100))...)
		case 2:
			b = b[:r.IntN(len(b))]
		default:
			for range 1 + r.IntN(6) {
				b[r.IntN(len(b))] = byte(r.Uint32())
			}
		}
		out = append(out, b)
	}
	return out
}

func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func hostileServer(t *testing.T) *Server {
	t.Helper()
	return start(t, Options{Text: []byte(says("0", "one", "errors\ncache\nloadbalance\nrewrite name a. b.\nminimal\nany\nwhoami"))})
}

func TestMalformedUDP(t *testing.T) {
	s := hostileServer(t)
	goroutines, files := settled(t)
	c, err := net.Dial("udp", s.Addr("udp"))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range packets(20_000) {
		if _, err := c.Write(b); err != nil && i == 0 {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	wait(t, wait10, "an answer", func() bool { return txt("udp", s.Addr("udp")) == "one" })
	assertSettled(t, goroutines, files)
}

func TestMalformedTCP(t *testing.T) {
	s := hostileServer(t)
	goroutines, files := settled(t)
	for i, b := range packets(2_000) {
		c, err := net.Dial("tcp", s.Addr("tcp"))
		if err != nil {
			t.Fatal(err)
		}
		length := len(b)
		if i%5 == 0 {
			length = i * 31 % 65536 // a length that is not that of what follows
		}
		_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(length)), b...))
		_ = c.Close()
	}
	if got := txt("tcp", s.Addr("tcp")); got != "one" {
		t.Error(got)
	}
	assertSettled(t, goroutines, files)
}

// descriptors is how many files this process may open.
func descriptors(t *testing.T) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return int(min(l.Cur, 1<<20))
}

// Clients that open connections and send a byte now and then hold nobody else
// up, survive a reload of the server, and leave nothing when they go.
func TestSlowConnections(t *testing.T) {
	s := hostileServer(t)
	goroutines, files := settled(t)
	many := min(10_000, (descriptors(t)-2_000)/2) // both ends are in this process
	conns := make([]net.Conn, 0, many)
	for range many {
		c, err := net.Dial("tcp", s.Addr("tcp"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := c.Write([]byte{0}); err != nil { // half of a length
			t.Fatal(err)
		}
	}
	begun := time.Now()
	for _, network := range []string{"udp", "tcp"} {
		if got := txt(network, s.Addr(network)); got != "one" {
			t.Errorf("beside %d slow connections, %s: %s", many, network, got)
		}
	}
	if d := time.Since(begun); d > time.Second {
		t.Errorf("two answers took %v", d)
	}
	if err := s.Reload(); err != nil {
		t.Error(err)
	}
	if got := txt("tcp", s.Addr("tcp")); got != "one" {
		t.Errorf("after a reload: %s", got)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	assertSettled(t, goroutines, files)
}
