package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// queue is a listener that gives what it is given, and errors.
type queue chan any

func (q queue) Accept() (net.Conn, error) {
	switch v := (<-q).(type) {
	case net.Conn:
		return v, nil
	case error:
		return nil, v
	default:
		return nil, net.ErrClosed
	}
}

func (q queue) Close() error   { close(q); return nil }
func (q queue) Addr() net.Addr { return &net.TCPAddr{} }

// seated puts the server's end of a new connection into its place, and returns the client's.
func seated(t *testing.T, p *places) (client, server net.Conn) {
	t.Helper()
	client, end := net.Pipe()
	t.Cleanup(func() { _ = client.Close() })
	p.Listener.(queue) <- end
	server, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// gone reports whether the other end of a connection was closed.
func gone(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
}

// TestTheIdlestGoes holds that the connection that is silent for longest gives its place, and
// that places are free again when connections end.
func TestTheIdlestGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bound(make(queue, 1), 3, 0, "test")
		var clients, servers []net.Conn
		for range 3 {
			c, s := seated(t, p)
			clients, servers = append(clients, c), append(servers, s)
			<-time.NewTimer(time.Second).C // of the bubble
		}
		go func() { _, _ = clients[0].Write([]byte{1}) }()
		if _, err := servers[0].Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		seated(t, p)
		for i, want := range []bool{false, true, false} {
			if gone(clients[i]) != want {
				t.Errorf("connection %d is gone: %v, want %v", i, !want, want)
			}
		}
		_ = servers[0].Close()
		_ = servers[0].Close()
		seated(t, p)
		if gone(clients[2]) {
			t.Error("a connection had to go for a place that was free")
		}
		if len(p.taken) != 3 || len(p.counts) != 1 || *p.counts[p.clientOf(servers[0])] != 3 {
			t.Errorf("%d places taken, by %d clients", len(p.taken), len(p.counts))
		}
	})
}

// TestWhoHasMostGivesUp holds, on real sockets, that a client with many connections takes no
// place from one that has few, however long that one is silent.
func TestWhoHasMostGivesUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := bound(l, 4, 0, "test")
	defer p.Close() //nolint:errcheck // the test is over
	from := func(ip string) net.Conn {
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	few := from("127.0.0.2")
	for range 20 {
		from("127.0.0.3")
	}
	_ = few.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, err := few.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client with one connection: %v", err)
	}
	if len(p.taken) != 4 || len(p.counts) != 2 {
		t.Errorf("%d places taken, by %d clients", len(p.taken), len(p.counts))
	}
}

// TestWithoutDescriptors holds that a process that may open no more files gives up the idlest
// connection and goes on, without turning in a circle.
func TestWithoutDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bound(make(queue, 3), 0, 0, "test")
		old, _ := seated(t, p)
		begun := time.Now()
		p.Listener.(queue) <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
		seated(t, p)
		if d := time.Since(begun); d != retry || !gone(old) {
			t.Errorf("after %v, the idlest is gone: %v", d, gone(old))
		}
		p.Listener.(queue) <- net.ErrClosed
		if _, err := p.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// TestASlowReader holds that a client which takes something again and again keeps its
// connection, however long a large reply takes.
func TestASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bound(make(queue, 1), 0, 3*time.Second, "test")
		client, server := seated(t, p)
		go func() {
			for range 10 {
				<-time.NewTimer(2 * time.Second).C
				_, _ = client.Read(make([]byte, 10))
			}
		}()
		if n, err := server.Write(make([]byte, 100)); n != 100 || err != nil {
			t.Errorf("%d octets: %v", n, err)
		}
	})
}

// TestAReplyThatNobodyReads holds that a connection ends whose client makes no room.
func TestAReplyThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := bound(make(queue, 1), 0, 3*time.Second, "test")
		client, server := seated(t, p)
		begun := time.Now()
		if _, err := server.Write([]byte("reply")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if !gone(client) || len(p.taken) != 0 {
			t.Error("the connection is alive")
		}
	})
}
