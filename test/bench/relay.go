package main

import (
	"bytes"
	"net"
	"sync/atomic"
)

// relay stands between observers and their store and counts what passes: every
// byte of both directions, headers included, and every request by what it is for.
type relay struct {
	l     net.Listener
	to    string
	bytes atomic.Int64
	asked [len(asks)]atomic.Int64
}

// What is asked of the store.
const (
	readOp = iota
	readWho
	readCtl
	writeKeys
	renewal
)

// crowdKeys is where the observers of this bench meet.
const crowdKeys = "/v1/kv/detour/bench/v1/"

// asks is how requests begin. A client sends the next one only when it has the
// answer, so that each begins with a read of its own.
var asks = [...][]byte{
	readOp: []byte("GET " + crowdKeys + "op/"), readWho: []byte("GET " + crowdKeys + "who/"), readCtl: []byte("GET " + crowdKeys + "ctl/"),
	writeKeys: []byte("PUT /v1/txn"), renewal: []byte("PUT /v1/session/renew/"),
}

func startRelay(to string) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{l: l, to: to}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r, nil
}

func (r *relay) serve(from net.Conn) {
	defer from.Close() //nolint:errcheck // it was all sent
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // it was all sent
	go func() {
		r.pass(from, to, func([]byte) {})
		_ = from.Close()
	}()
	r.pass(to, from, r.count)
}

// pass copies until one side ends.
func (r *relay) pass(to, from net.Conn, see func([]byte)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		r.bytes.Add(int64(n))
		see(buf[:n])
		if _, e := to.Write(buf[:n]); err != nil || e != nil {
			return
		}
	}
}

func (r *relay) count(chunk []byte) {
	for i, a := range asks {
		if bytes.HasPrefix(chunk, a) {
			r.asked[i].Add(1)
		}
	}
}

// passed is what had passed at some time.
type passed struct {
	bytes float64
	asked [len(asks)]float64
}

func (r *relay) now() (p passed) {
	p.bytes = float64(r.bytes.Load())
	for i := range r.asked {
		p.asked[i] = float64(r.asked[i].Load())
	}
	return p
}

// since returns what passed since then, divided by d.
func (r *relay) since(then passed, d float64) passed {
	p := r.now()
	p.bytes = (p.bytes - then.bytes) / d
	for i := range p.asked {
		p.asked[i] = (p.asked[i] - then.asked[i]) / d
	}
	return p
}
