package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// clients ask the resolver for the service, each from an address of its own
// where the system lets it.
type clients struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	tally  *tally
}

// patience is how long a client waits for an answer.
const patience = time.Second

func newClients(ctx context.Context, s *stage) (*clients, error) {
	ctx, cancel := context.WithCancel(ctx)
	c := &clients{cancel: cancel, tally: newTally(s.regions)}
	for i := range s.Clients {
		conn, err := dial(i, s.server.Addr("udp"))
		if err != nil {
			c.stop()
			return nil, fmt.Errorf("a client cannot ask: %w", err)
		}
		offset := s.Pace.Ask * time.Duration(i) / time.Duration(s.Clients)
		c.wg.Go(func() { c.ask(ctx, conn, offset, s.Pace.Ask) })
	}
	return c, nil
}

// dial binds 127.0.10.1 and so on, so that the resolver sees many clients. Where
// loopback is one address only, they are one client to it.
func dial(i int, to string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 10, byte(1+i))}}
	c, err := d.Dial("udp", to)
	if err != nil {
		c, err = net.Dial("udp", to)
	}
	return c, err
}

// stop ends the clients. What they asked last goes unanswered, and does not
// count.
func (c *clients) stop() {
	c.cancel()
	c.wg.Wait()
}

func (c *clients) ask(ctx context.Context, conn net.Conn, offset, every time.Duration) {
	defer func() { _ = conn.Close() }()
	free := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // wakes a read
	defer free()
	if !pause(ctx, offset) {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		ip, ttl, err := once(conn)
		if ctx.Err() != nil {
			return
		}
		c.tally.add(ip, ttl, err, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// pause waits, and reports whether ctx lasted that long.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// once asks for the service's address.
func once(conn net.Conn) (netip.Addr, uint32, error) {
	id := uint16(rand.Uint32())
	m := dnsmessage.Message{
		Header: dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(service + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}},
	}
	buf, err := m.Pack()
	if err != nil {
		return netip.Addr{}, 0, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return netip.Addr{}, 0, err
	}
	if _, err := conn.Write(buf); err != nil {
		return netip.Addr{}, 0, err
	}
	buf = make([]byte, 1232)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return netip.Addr{}, 0, err
		}
		if err := m.Unpack(buf[:n]); err == nil && m.ID == id {
			return addressIn(&m)
		}
	}
}

func addressIn(m *dnsmessage.Message) (netip.Addr, uint32, error) {
	if m.RCode != dnsmessage.RCodeSuccess {
		return netip.Addr{}, 0, errors.New(m.RCode.String())
	}
	for _, rr := range m.Answers {
		if a, ok := rr.Body.(*dnsmessage.AResource); ok {
			return netip.AddrFrom4(a.A), rr.Header.TTL, nil
		}
	}
	return netip.Addr{}, 0, errors.New("no address")
}
