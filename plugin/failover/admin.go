package failover

import (
	"log/slog"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/admin"
)

// adminEvery is how often an address for the admin API that was taken is tried
// again, and how soon another one in failover.yaml is used.
const adminEvery = 5 * time.Second

// listenAdmin starts the admin API and returns what stops it. That its address
// is taken is no reason not to answer queries: it is said once, and tried again.
func (s *shared) listenAdmin(cfg *config.Config) func() {
	a := &adminAPI{shared: s, log: slog.New(newLogHandler())}
	a.open(cfg.Admin)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		a.run(stop)
	}()
	return func() {
		close(stop)
		<-done
	}
}

// adminAPI keeps the admin API where failover.yaml wants it.
type adminAPI struct {
	shared *shared
	log    *slog.Logger
	cfg    config.Admin
	server *admin.Server
	failed string // what was last said
}

func (a *adminAPI) open(cfg config.Admin) {
	a.cfg = cfg
	srv, err := admin.Listen(cfg, a.shared.engine(), a.log, admin.WithFew(a.shared.few.Load), admin.WithTroubles(a.shared.troubles), admin.WithAnswerers(a.shared.whoAnswers))
	a.server = srv
	switch {
	case err == nil && srv != nil:
		a.failed = ""
		a.log.Info("admin API available", "listen", srv.Addr())
	case err != nil && err.Error() != a.failed:
		a.failed = err.Error()
		a.log.Warn("admin API unavailable, queries are answered all the same", "why", err)
	}
}

func (a *adminAPI) run(stop <-chan struct{}) {
	t := time.NewTicker(adminEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			a.follows(a.shared.load().Plan.Config.Admin)
		case <-stop:
			_ = a.server.Close()
			return
		}
	}
}

// follows moves to another address, or tries the one that was taken again.
func (a *adminAPI) follows(want config.Admin) {
	same := sameAdmin(want, a.cfg)
	if same && (a.server != nil || a.failed == "") {
		return
	}
	if !same {
		if err := a.server.Close(); err != nil {
			a.log.Warn("admin API", "error", err)
		}
		a.failed = ""
	}
	a.open(want)
}

func sameAdmin(x, y config.Admin) bool {
	lx, ly := "", ""
	if x.Listen != nil {
		lx = x.Listen.String()
	}
	if y.Listen != nil {
		ly = y.Listen.String()
	}
	x.Listen, y.Listen = nil, nil
	return lx == ly && x == y
}
