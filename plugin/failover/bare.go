package failover

import (
	"log/slog"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/admin"
	"github.com/detour-dns/detour/internal/engine"
)

// bare is the admin API of a process without a failover.yaml: what it says of guards and
// of the Corefile is wanted there, too. It steers nothing, and keeps nothing.
type bare struct {
	eng *engine.Engine
	api *admin.Server
}

// Serve gives the process an admin API while its Corefile has no failover, and returns what
// ends that. It is for the command, once it serves.
func Serve() (stop func()) {
	r := engines
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook()
	r.serves = true
	r.settleBare()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.serves = false
		r.settleBare()
	}
}

// settleBare starts or ends the bare API, as it is wanted now. The mutex is held.
func (r *registry) settleBare() {
	switch want := r.serves && len(r.shared) == 0; {
	case want && r.bare == nil:
		r.bare = startBare()
	case !want && r.bare != nil:
		r.bare.end()
		r.bare = nil
	}
}

// endBare makes room for the API of a failover.yaml. If that does not come into use after
// all, the bare one is back.
func (r *registry) endBare() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bare != nil {
		r.bare.end()
		r.bare = nil
	}
}

// startBare returns nil if there can be none: queries are answered all the same.
func startBare() *bare {
	log := slog.New(newLogHandler())
	cfg, err := config.Parse("", []byte("version: 1\n"))
	if err != nil { // a test holds that it is none
		log.Warn("admin API unavailable", "why", err)
		return nil
	}
	cfg.State.Dir = "" // it decides nothing that could be kept
	if cfg.Admin.Listen, err = admin.Socket(config.DefaultStateDir()); err != nil {
		log.Info("no admin API for this resolver, which has no failover.yaml", "why", err)
		return nil
	}
	quiet := slog.New(slog.DiscardHandler)
	e, err := engine.Start(engine.Options{Config: cfg, Log: quiet})
	if err != nil {
		log.Warn("admin API unavailable", "why", err)
		return nil
	}
	srv, err := admin.Listen(cfg.Admin, e, log, admin.WithTroubles(func(time.Time) []string { return corefileTroubles() }), admin.WithAnswerers(func(string) []string {
		return []string{"this resolver has no failover.yaml: its Corefile says who answers"}
	}))
	if err != nil || srv == nil { // another one has the socket
		log.Info("no admin API for this resolver, which has no failover.yaml", "why", err)
		e.Close()
		return nil
	}
	log.Info("admin API available", "listen", srv.Addr())
	return &bare{e, srv}
}

func (b *bare) end() {
	_ = b.api.Close() // its socket goes with it
	b.eng.Close()
}
