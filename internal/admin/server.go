package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
)

// Bounds of one server. Nobody needs more, and a client that is slow or many
// must not cost the resolver anything.
const (
	maxConns      = 256
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 30 * time.Second
	closeTimeout  = 2 * time.Second
)

// Server is the admin API of one engine.
type Server struct {
	eng      *engine.Engine
	log      *slog.Logger
	few      func() bool
	troubles func(now time.Time) []string
	others   func(name string) []string
	cfg      config.Admin
	http     *http.Server
	listen   net.Listener
	done     chan struct{}

	ending    context.Context // ends before the listener does
	end       context.CancelFunc
	followers atomic.Int32 // of the events
	probing   chan struct{}
	checking  chan struct{}
	asking    chan struct{}
	flights   flights
	pace      pace
	grouped   grouped
	changing  sync.Mutex // one override is looked at and made at a time
}

// Option is what a server may be told besides.
type Option func(*Server)

// WithFew tells how to learn that few client networks ask, so that shares of a
// ramp are drawn per answer. An explanation says so then.
func WithFew(f func() bool) Option { return func(s *Server) { s.few = f } }

// WithAnswerers tells how to learn who answers for a name that is no service, step by step.
// The name is in lower case, with its last dot.
func WithAnswerers(f func(name string) []string) Option {
	return func(s *Server) { s.others = f }
}

// WithTroubles tells how to learn what is wrong with the resolver that its engine does
// not see.
func WithTroubles(f func(now time.Time) []string) Option {
	return func(s *Server) { s.troubles = f }
}

// Listen serves the API of e where cfg says, or on a socket in the first place that
// can be used. With `listen: off` it returns a nil
// Server, which may be closed. An error says in one line what to do; it is no
// reason not to answer queries.
func Listen(cfg config.Admin, e *engine.Engine, log *slog.Logger, opts ...Option) (*Server, error) {
	if cfg.Off {
		return nil, nil
	}
	if cfg.Listen == nil {
		var err error
		if cfg.Listen, err = Socket(e.Load().Plan.Config.State.Dir); err != nil {
			return nil, err
		}
	}
	if log == nil {
		log = slog.Default()
	}
	s := &Server{eng: e, log: log, cfg: cfg, few: func() bool { return false }, troubles: func(time.Time) []string { return nil }, others: func(string) []string { return nil }, done: make(chan struct{}), probing: make(chan struct{}, 1), checking: make(chan struct{}, 1), asking: make(chan struct{}, maxAsking)}
	s.ending, s.end = context.WithCancel(context.Background())
	for _, o := range opts {
		o(s)
	}
	tlsConf, err := s.secure()
	if err != nil {
		return nil, err
	}
	if s.listen, err = open(cfg.Listen); err != nil {
		return nil, err
	}
	door, plain := limit(s.listen, maxConns), new(http.Protocols)
	plain.SetHTTP1(true) // a connection that asks one thing at a time is quiet, or is not
	s.http = &http.Server{
		Handler: door.inTurn(s.guard(s.routes())), TLSConfig: tlsConf, Protocols: plain,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ConnContext: withPeer, ConnState: connState,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what strangers do wrong
	}
	go s.serve(door)
	return s, nil
}

func (s *Server) serve(l net.Listener) {
	defer close(s.done)
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("admin API ended", "error", err)
	}
}

// Addr returns where the API listens: "127.0.0.1:8053", or a socket's path.
func (s *Server) Addr() string { return s.listen.Addr().String() }

// Close ends the API. Requests under way have a moment to finish.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.done
	if err != nil {
		return fmt.Errorf("admin API: %w", err)
	}
	return nil
}
