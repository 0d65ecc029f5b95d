package server

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// client asks over UDP at a steady pace, each query with its own id, and counts
// the answers.
type client struct {
	conn           net.Conn
	sent, answered atomic.Int64
}

func (c *client) run(stop <-chan struct{}, every time.Duration) {
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1500)
		for {
			if _, err := c.conn.Read(buf); err != nil {
				return
			}
			c.answered.Add(1)
		}
	})
	query, err := new(dns.Msg).SetQuestion("x.", dns.TypeTXT).Pack()
	if err != nil {
		panic(err)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, err := c.conn.Write(query); err == nil {
				c.sent.Add(1)
			}
		case <-stop:
			wg.Wait()
			return
		}
	}
}

// No query over UDP is lost while the Corefile is reloaded.
func TestReloadLosesNoQuery(t *testing.T) {
	port := freePort(t)
	path := write(t, says(port, "one", "errors\ncache"))
	s := start(t, Options{Corefile: path})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	clients := make([]*client, 8)
	for i := range clients {
		conn, err := net.Dial("udp", s.Addr("udp"))
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = &client{conn: conn}
		wg.Go(func() { clients[i].run(stop, time.Millisecond) })
	}
	var sent, answered int64
	total := func() (sent, answered int64) {
		for _, c := range clients {
			sent += c.sent.Load()
			answered += c.answered.Load()
		}
		return sent, answered
	}
	for i := range 30 {
		_, before := total()
		wait(t, wait10, "more answers", func() bool { _, now := total(); return now >= before+100 })
		rewrite(t, path, says(port, fmt.Sprint("word", i), "errors\ncache"))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	deadline := time.NewTimer(2 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-tick.C:
			sent, answered = total()
			waiting = answered < sent
		case <-deadline.C:
			waiting = false
		}
	}
	for _, c := range clients {
		_ = c.conn.Close()
	}
	wg.Wait()
	sent, answered = total()
	t.Logf("%d queries during 30 reloads, %d unanswered", sent, sent-answered)
	if answered != sent {
		t.Errorf("%d of %d queries were not answered", sent-answered, sent)
	}
}
