package demo

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"
)

// region is a web server that can fall silent.
type region struct {
	name, addr string
	silent     atomic.Bool
	http       *http.Server
	done       chan struct{}
}

// openRegions starts one server for each name, on 127.0.1.1, 127.0.2.1 and so
// on, all with the same port, for a monitor has one.
func openRegions(names ...string) ([]*region, error) {
	const tries = 20
	var err error
	for range tries {
		var out []*region
		if out, err = openOnce(names); err == nil {
			return out, nil
		}
		for _, r := range out {
			_ = r.close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, regionError(err)
}

// regionError says what to do where loopback is one address only.
func regionError(err error) error {
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return errors.New("this machine has no address 127.0.1.1, 127.0.2.1 or 127.0.3.1: add them with\n" +
			"  for i in 1 2 3; do sudo ifconfig lo0 alias 127.0.$i.1; done\nand start the demo again")
	}
	return fmt.Errorf("a region cannot be started: %w", err)
}

func openOnce(names []string) (out []*region, err error) {
	port := "0"
	for i, name := range names {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.%d.1:%s", i+1, port))
		if err != nil {
			return out, err
		}
		_, port = split(l.Addr().String())
		out = append(out, newRegion(name, l))
	}
	return out, nil
}

func newRegion(name string, l net.Listener) *region {
	r := &region{name: name, addr: l.Addr().String(), done: make(chan struct{})}
	r.http = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(r.done)
		_ = r.http.Serve(l) // ends with close
	}()
	return r
}

// ServeHTTP answers, or takes the request and says nothing, which is how a
// region fails that is cut off: a refusal would be quicker to notice.
func (r *region) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.silent.Load() {
		<-req.Context().Done()
		return
	}
	_, _ = io.WriteString(w, r.name+"\n") // the peer may be gone
}

func (r *region) close() error {
	err := r.http.Close()
	<-r.done
	return err
}
