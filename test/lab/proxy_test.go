package lab

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// proxy passes on connections, each piece of them so much later.
type proxy struct {
	delay atomic.Int64 // ns, each way
}

// listenIn opens a listener in a namespace: a thread enters it and is thrown away.
func (l *lab) listenIn(place, addr string) net.Listener {
	l.t.Helper()
	var ln net.Listener
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, oerr := os.Open(filepath.Join("/run/netns", l.prefix+place))
		if oerr != nil {
			err = oerr
			return
		}
		defer ns.Close() //nolint:errcheck // only read
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
			ln, err = net.Listen("tcp", addr)
		}
	}()
	<-done
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
