package server

import (
	"context"
	"io"
	golog "log"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/coredns/coredns/plugin/pkg/log"

	"github.com/detour-dns/detour/plugin/failover"
)

// ConfigureLog sets where the process logs and how, "text" or "json". It is
// called once, before Run.
func ConfigureLog(format string, w io.Writer) error {
	if err := log.Configure(format, w); err != nil {
		return err
	}
	if !log.IsJSON() {
		golog.SetFlags(0)
	}
	return nil
}

// exit ends the process at once.
var exit = os.Exit

// Run serves in the folder of the Corefile, from which relative paths in it are taken,
// until ctx is done or SIGINT or SIGTERM comes; a second one ends
// the process at once, with exit code 2. SIGHUP and SIGUSR1 reload.
//
// Caddy's own signal handlers are never installed: their SIGUSR1 forgets all
// event hooks, and with them the automatic reload, for good.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	reload, ended := make(chan os.Signal, 1), make(chan struct{})
	defer close(ended)
	go listen(signals, ended, reload, cancel)

	boundMemory()
	o.Corefile, _ = besideCorefile(o.Corefile)
	s, err := Start(o)
	if err != nil {
		return err
	}
	if !o.NoBallast {
		defer ballast()()
	}
	defer giveHeadroom()()
	v := Version()
	log.Infof("Detour %s (CoreDNS %s, %s) serves %s from %s", v.Detour, v.CoreDNS, v.Go, s.where(), s.name)
	defer failover.Serve()()
	s.serve(ctx, reload)
	log.Info("Stopping")
	return s.Stop(context.WithoutCancel(ctx))
}

// Watch applies what stock `reload` finds changed in the Corefile, until ctx is
// done. Run does so; a program that calls Start needs it only with that plugin.
func (s *Server) Watch(ctx context.Context) { s.serve(ctx, nil) }

// serve reloads when asked, until ctx is done. What a reload reports is in the
// log.
func (s *Server) serve(ctx context.Context, reload <-chan os.Signal) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.watchNamed(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-reload:
			log.Infof("Reloading %s because of %v", s.name, sig)
			_ = s.Reload()
		case <-s.turn:
			_ = s.reloadIfChanged()
		}
	}
}

// listen sorts signals until the process has ended its work. It runs beside a
// start, a reload or a stop that hangs, so that a second SIGTERM always works.
func listen(signals <-chan os.Signal, ended <-chan struct{}, reload chan<- os.Signal, stop context.CancelFunc) {
	stops := 0
	for {
		select {
		case <-ended:
			return
		case sig := <-signals:
			if sig == syscall.SIGHUP || sig == syscall.SIGUSR1 {
				offer(reload, sig)
				continue
			}
			if stops++; stops > 1 {
				log.Warningf("%v again: ending at once", sig)
				exit(2)
			}
			stop()
		}
	}
}

// offer does not wait: if a reload is due already, it will do for this as well.
func offer(reload chan<- os.Signal, sig os.Signal) {
	select {
	case reload <- sig:
	default:
	}
}
