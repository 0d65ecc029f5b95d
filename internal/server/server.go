// Package server embeds CoreDNS: which plugins are in it and in which order, how
// a Corefile is found, checked, applied and applied again, and how the process
// starts and stops.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// Options say what to serve.
type Options struct {
	Corefile string // path; "" is the Corefile inside the binary
	Text     []byte // served instead of a file, if not nil; never read again

	Port uint16 // of server blocks that name none; 0 is 53

	NoBallast bool // do without the parked goroutines that make packets' stacks start larger
}

// Server is an embedded CoreDNS. There is one at a time in a process, because
// Caddy keeps its loaders, events and plugins for the process.
type Server struct {
	path string // of the Corefile; "" if it never changes
	name string // of the Corefile in messages
	text []byte

	inst    atomic.Pointer[caddy.Instance] // the one in use
	pending atomic.Pointer[caddy.Instance] // the last one that was set up
	turn    chan struct{}                  // stock `reload` asks to look at the file

	mu       sync.Mutex // one start, reload or stop at a time; guards what follows
	addrs    []string   // listened on, as transport://host:port
	applied  hash       // fingerprint of the Corefile in use
	rejected *rejection // what was last refused, until it changes
	stopped  bool
	began    time.Time // when the one in use was started
	beside   []string  // what plugins listen on, as plugin://host:port
	named    named     // files that the Corefile in use names
	loops    Faults    // uses of `forward` in it that go round
}

// rejection is a Corefile that was refused, and why.
type rejection struct {
	fingerprint hash
	why         string
	retry       bool // its faults may lie outside of it, and go away
}

// Start checks the Corefile, makes sure that its addresses are free, and serves.
// An error of type Faults holds every fault of the Corefile.
func Start(o Options) (*Server, error) {
	s := &Server{path: o.Corefile, name: o.Corefile, text: o.Text, turn: make(chan struct{}, 1)}
	if s.path == "" || s.text != nil {
		s.path, s.name = "", builtIn
	}
	if !running.CompareAndSwap(nil, s) {
		return nil, errors.New("this process serves already: stop that server first")
	}
	if dnsserver.Port = dnsserver.DefaultPort; o.Port != 0 {
		dnsserver.Port = strconv.Itoa(int(o.Port))
	}
	if err := s.start(); err != nil {
		running.Store(nil)
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	caddy.AppName, caddy.AppVersion = "Detour", Version().Detour
	caddy.Quiet, dnsserver.Quiet = true, true
	in, err := s.read()
	if err != nil {
		return err
	}
	names := namedIn(in)
	report := check(in)
	if len(report.Faults) > 0 && goBack(report) {
		report = check(in)
	}
	if len(report.Faults) > 0 {
		return report.Faults
	}
	if err := preflight(slices.Concat(report.Addrs, report.Beside)); err != nil {
		return err
	}
	inst, err := caddy.Start(in)
	if err != nil {
		release(inst)
		shut(inst)
		runFor([]string{"failover"}, inst.OnFinalShutdown)
		return fmt.Errorf("cannot start: %w", listenError(err))
	}
	s.inst.Store(inst)
	s.began = time.Now()
	s.tellLoops(report.Loops)
	s.addrs, s.applied, s.beside, s.named = report.Addrs, fingerprint(in), report.Beside, names
	return nil
}

// read returns the Corefile as it is now.
func (s *Server) read() (caddy.CaddyfileInput, error) {
	if s.text != nil {
		return input(s.name, s.text), nil
	}
	return read(s.path)
}

// listenError says more about a port of a plugin, such as that of `health`.
func listenError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" && op.Addr != nil {
		return bindError(op.Net, op.Addr.String(), "give the plugin another address in the Corefile", err)
	}
	return err
}

func (s *Server) instance() *caddy.Instance { return s.inst.Load() }

// Addrs returns the addresses that are listened on.
func (s *Server) Addrs() []net.Addr {
	var out []net.Addr
	for _, l := range s.instance().Servers() {
		for _, a := range []net.Addr{l.LocalAddr(), l.Addr()} {
			if a != nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// Addr returns an address of plain DNS for a network, "udp" or "tcp"; "" if there
// is none. With port 0 in the Corefile the two have different ports; with several
// server blocks on different addresses it may be that of any.
func (s *Server) Addr(network string) string {
	for _, l := range s.instance().Servers() {
		udp, tcp := l.LocalAddr(), l.Addr()
		switch {
		case udp == nil || tcp == nil: // another transport has one of them
		case network == "udp":
			return udp.String()
		default:
			return tcp.String()
		}
	}
	return ""
}

// Corefile returns the name and the text of the Corefile in use.
func (s *Server) Corefile() (name string, text []byte) {
	in := s.instance().Caddyfile()
	return in.Path(), in.Body()
}

// stopWithin bounds how long plugins may take to end. A `lameduck` of `health`
// is part of it.
const stopWithin = 2 * time.Minute

// Stop ends the server: first what announces the end (`health` with its
// lameduck, `ready`), while queries are still answered; then the listeners, when
// the queries under way are answered; then the rest of the plugins.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.end() }()
	select {
	case err := <-done:
		running.Store(nil)
		return err
	case <-ctx.Done():
		running.Store(nil)
		return fmt.Errorf("plugins did not end in time: %w", ctx.Err())
	}
}

// end keeps the order of a reload, in which plugins are shut down after their
// listeners as well. In that of caddy.Instance.ShutdownCallbacks, `grpc` and
// `etcd` have closed their connections while lameduck still sends us queries.
func (s *Server) end() error {
	inst := s.instance()
	caddy.EmitEvent(caddy.ShutdownEvent, "stop")
	errs := runAll(inst.OnFinalShutdown)
	errs = append(errs, inst.Stop())
	shut(inst)
	errs = append(errs, runAll(inst.OnShutdown)...)
	return errors.Join(errs...)
}

func runAll(callbacks []func() error) []error {
	var errs []error
	for _, fn := range callbacks {
		errs = append(errs, guarded(fn))
	}
	return errs
}

// where lists the addresses for the log.
func (s *Server) where() string {
	if len(s.addrs) == 0 {
		return "no known address"
	}
	return strings.Join(s.addrs, ", ")
}
