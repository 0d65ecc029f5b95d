package admin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/detour-dns/detour/config"
)

// saying opens a connection that says something and then nothing, and another one
// when that is closed.
func saying(t *testing.T, srv *Server, text string, began func()) {
	var d net.Dialer
	for t.Context().Err() == nil {
		c, err := d.DialContext(t.Context(), srv.cfg.Listen.Scheme, srv.Addr())
		if err != nil {
			return
		}
		stop := func() { _ = c.Close() }
		_, _ = io.WriteString(c, text)
		began()
		free := make(chan struct{})
		go func() {
			defer close(free)
			_, _ = io.Copy(io.Discard, c)
		}()
		select {
		case <-free:
		case <-t.Context().Done():
		}
		stop()
		<-free
	}
}

// promptly asks for the status, which is to come within a time.
func promptly(t *testing.T, c *Client, within time.Duration) {
	t.Helper()
	at := time.Now()
	if _, err := c.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(at); took > within {
		t.Errorf("a status took %v", took)
	} else {
		t.Log("a status took", took)
	}
}

// However many connect and never end what they say, who asks is answered at once,
// and no more connections are open than there may be.
func TestSlowClients(t *testing.T) {
	const head = "PUT /v1/freeze HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	for name, text := range map[string]string{
		"nothing": "", "half a header": head, "half a body": head + "Content-Length: 100\r\n\r\n{",
		"one question": "GET /v1/freeze HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			srv := newSystem(t, fleet).listen(t, config.Admin{})
			c := client(t, srv)
			var slow, began sync.WaitGroup
			began.Add(1000)
			t.Cleanup(slow.Wait) // after the test's context has ended
			for range 1000 {
				slow.Go(func() { saying(t, srv, text, sync.OnceFunc(began.Done)) })
			}
			began.Wait() // a client that shares a processor with a thousand that begin is slow itself
			for range 2 {
				promptly(t, c, 3*time.Second) // a second, on a machine that does nothing else
			}
		})
	}
}

// Who asked is not let go, however long the answer takes: who comes then waits.
func TestFullOfThoseWhoAsked(t *testing.T) {
	below, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(below, 2)
	done := make(chan struct{})
	srv := &http.Server{ConnState: connState, ConnContext: withPeer, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-done
		w.WriteHeader(http.StatusNoContent)
	})}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close() //nolint:errcheck // a test's
	var all []*bufio.Reader
	for range 3 {
		c, err := net.Dial("tcp", below.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // a test's
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		all = append(all, bufio.NewReader(c))
	}
	pass := time.NewTimer(4 * grace)
	<-pass.C
	close(done)
	for i, r := range all {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Errorf("connection %d: %v", i, err)
			continue
		}
		_ = resp.Body.Close()
	}
}

// asking asks for nothing there is, ten times a second, and connects again when it is
// let go.
func asking(t *testing.T, srv *Server, began func()) {
	var d net.Dialer
	beat := time.NewTicker(grace / 2)
	defer beat.Stop()
	for t.Context().Err() == nil {
		c, err := d.DialContext(t.Context(), srv.cfg.Listen.Scheme, srv.Addr())
		if err != nil {
			return
		}
		for in := bufio.NewReader(c); ; <-beat.C {
			_, _ = io.WriteString(c, "GET /v1/none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil || t.Context().Err() != nil {
				break
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			began()
			if resp.Close {
				break
			}
		}
		_ = c.Close()
	}
}

// Who asks again and again, on as many connections as there may be, keeps nobody out.
func TestWhoAsksAgainKeepsNobodyOut(t *testing.T) {
	srv := newSystem(t, fleet).listen(t, config.Admin{Listen: loopback()})
	c := client(t, srv)
	var busy, began sync.WaitGroup
	began.Add(maxConns)
	t.Cleanup(busy.Wait)
	for range maxConns {
		busy.Go(func() { asking(t, srv, sync.OnceFunc(began.Done)) })
	}
	began.Wait()
	for range 3 {
		promptly(t, c, 4*time.Second) // half a second, on a machine that does nothing else
		c.http.CloseIdleConnections()
	}
}

// Who sends half of a body that nobody reads, on as many connections as there may be, keeps
// nobody out.
func TestHalfABodyThatIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a route that is known":    "PUT /v1/freeze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
		"no such path":             "POST /v1/none HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
		"a change without a right": "PUT /v1/freeze HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nContent-Length: 100\r\n\r\n{",
		"another host":             "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			srv := newSystem(t, fleet).listen(t, config.Admin{Listen: loopback()})
			c := client(t, srv)
			var slow, began sync.WaitGroup
			began.Add(maxConns)
			t.Cleanup(slow.Wait)
			for range maxConns {
				slow.Go(func() { saying(t, srv, text, sync.OnceFunc(began.Done)) })
			}
			began.Wait()
			beat := time.NewTicker(4 * grace) // in which all are read, and none makes room
			defer beat.Stop()
			for range 3 {
				<-beat.C
				promptly(t, c, 3*time.Second) // milliseconds, on a machine that does nothing else
				c.http.CloseIdleConnections()
			}
		})
	}
}
