package engine

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/monitor"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/share/consul"
)

// meeting is what a resolver joins at its start and keeps until its end: leaving
// and joining anew would cost the others a voice in between.
type meeting struct {
	name, zone, cluster string
	at                  []config.Store
}

func meetingOf(cfg *config.Config) meeting {
	return meeting{cfg.Self.Name, cfg.Self.Zone, cfg.Share.Cluster, cfg.Share.Consul}
}

// rejoins reports whether a configuration wants another meeting than the one of the
// start.
func (e *Engine) rejoins(cfg *config.Config) bool {
	return (len(e.meets.at) > 0 || len(cfg.Share.Consul) > 0) && !reflect.DeepEqual(e.meets, meetingOf(cfg))
}

// join makes this resolver one of several, if it is to be.
func (e *Engine) join(o Options) error {
	e.meets = meetingOf(o.Config)
	at := o.Share
	if at == nil && len(o.Config.Share.Consul) > 0 {
		s, err := consul.New(consulOptions(o.Config, e))
		if err != nil {
			return fmt.Errorf("share: %w", err)
		}
		at = s
	}
	if at != nil {
		e.core.Join(o.Config.Self.Zone, o.Config.Share.Quorum, e.started)
		e.sharing = newSharing(e, at, o.Config.Self.Name)
		e.sharing.usage = newUsage(e.core.Plan.Steer.Services, e.core.kept)
	}
	return nil
}

var _ share.Share = (*consul.Share)(nil)

func consulOptions(cfg *config.Config, e *Engine) consul.Options {
	out := consul.Options{Cluster: cfg.Share.Cluster, Observer: cfg.Self.Name, Zone: cfg.Self.Zone, Alive: e.pulse.alive, Log: e.log}
	for _, s := range cfg.Share.Consul {
		out.Stores = append(out.Stores, consul.Store{
			Datacenter: s.Datacenter, Address: s.Address.String(),
			TokenFile: s.TokenFile, CAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile, ServerName: s.ServerName,
		})
	}
	return out
}

// version is the program's, for the others.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// pulse tells whether probes are made. A prober that hangs must not look alive to
// the others, who would count what it does not say as Up.
type pulse struct {
	last  atomic.Pointer[time.Time] // when the last result came
	limit atomic.Int64              // how long the next one may take, 0: there is nothing to probe
}

// expect tells it what is probed. The time runs anew only where results are to come
// sooner than before: checks change hands for as long as the prober hangs, too.
func (p *pulse) expect(checks []monitor.Check) {
	shortest := time.Duration(0)
	for i := range checks {
		if d := 2 * (checks[i].Interval + checks[i].Timeout); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	if was := time.Duration(p.limit.Swap(int64(shortest))); was == 0 || shortest < was {
		p.beat()
	}
}

func (p *pulse) beat() {
	now := time.Now()
	p.last.Store(&now)
}

func (p *pulse) alive() bool {
	last, limit := p.last.Load(), time.Duration(p.limit.Load())
	return last == nil || limit == 0 || time.Since(*last) < limit
}
