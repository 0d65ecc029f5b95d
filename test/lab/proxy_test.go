package lab

import (
	"net"
	"sync/atomic"
	"time"
)

// proxy passes on connections, each piece of them so much later.
type proxy struct {
	delay atomic.Int64 // ns, each way
}

// listenIn opens a listener in a namespace.
func (l *lab) listenIn(place, addr string) (ln net.Listener) {
	l.t.Helper()
	err := l.inside(place, func() (err error) {
		ln, err = net.Listen("tcp", addr)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// proxied listens in a place and passes on to an address that it reaches from
// there.
func (l *lab) proxied(place, addr, to string) *proxy {
	l.t.Helper()
	p, ln := &proxy{}, l.listenIn(place, addr)
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				out, err := l.dialIn(place, "tcp", to)
				if err != nil {
					_ = in.Close()
					return
				}
				go p.pass(out, in)
				p.pass(in, out)
			}()
		}
	}()
	return p
}

// piece is what was read at a time, or the end of it.
type piece struct {
	data []byte
	at   time.Time
}

// pass copies until either side ends, and keeps the time between what it reads.
func (p *proxy) pass(to, from net.Conn) {
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{buf[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	}()
	for x := range pieces {
		<-time.After(time.Until(x.at.Add(time.Duration(p.delay.Load()))))
		if _, err := to.Write(x.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range pieces { //nolint:revive // the reader must end
	}
}
