package failover

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	"github.com/detour-dns/detour/config"
)

func init() { plugin.Register(pluginName, setup) }

// setup reads the directive and the file it names. It starts nothing: a
// throw-away setup, as `check` makes it, leaves nothing behind.
func setup(c *caddy.Controller) error {
	path, err := parse(c)
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	cfg, err := engines.last.load(path)
	if err != nil {
		if cfg = engines.insteadOf(path); cfg == nil {
			return faulty(err)
		}
	}
	s := engines.get(cfg.Path)
	if err := s.check(cfg); err != nil {
		return plugin.Error(pluginName, fmt.Errorf("%s: %w", path, err))
	}
	block := dnsserver.GetConfig(c)
	f := &Failover{shared: s, zone: block.Zone}
	block.AddPlugin(func(next plugin.Handler) plugin.Handler {
		f.Next = next
		return f
	})
	link(c, block, f)
	tellGuards(c, cfg.State.Dir)
	inst := instanceOf(c)
	inst.add(f, cfg)
	c.OnStartup(func() error {
		f.recursive = block.Handler("forward") != nil
		f.noted = block.Handler("metadata") != nil
		f.guarded = block.Handler("guard") != nil
		f.others, f.known, f.behind = othersIn(block), knownIn(block), answerersIn(block)
		if h := block.Handler("dnssec"); h != nil {
			f.signed, _ = zonesOf(h)
		}
		if err := signedBelow(block); err != nil {
			return plugin.Error(pluginName, err)
		}
		return inst.start(s)
	})
	c.OnRestartFailed(func() error { engines.abandon(); return nil })
	c.OnFinalShutdown(func() error { engines.closeAll(); return nil })
	return nil
}

// parse reads `failover PATH`. A path that is not absolute is taken from the
// server block's root.
func parse(c *caddy.Controller) (path string, err error) {
	for c.Next() {
		args := c.RemainingArgs()
		switch {
		case path != "":
			return "", plugin.ErrOnce
		case len(args) != 1:
			return "", c.Errf("want one argument, the path of failover.yaml: failover /etc/detour/failover.yaml")
		}
		path = args[0]
		for c.NextBlock() {
			return "", c.Errf("unknown option %q: all options stand in failover.yaml", c.Val())
		}
	}
	if root := dnsserver.GetConfig(c).Root; !filepath.IsAbs(path) && root != "" {
		path = filepath.Join(root, path)
	}
	return filepath.Abs(path)
}

// faulty passes the file's faults on as they are: each has its own position.
func faulty(err error) error {
	var faults config.Faults
	if errors.As(err, &faults) {
		return faults
	}
	return plugin.Error(pluginName, err)
}

// signedBelow refuses a block in which `dnssec` stands below us: our answers
// would never be signed, and validators would throw them away.
func signedBelow(block *dnsserver.Config) error {
	at := slices.Index(dnsserver.Directives, pluginName)
	if block.Handler("dnssec") != nil && slices.Index(dnsserver.Directives, "dnssec") > at {
		return errors.New("dnssec stands below failover, so that no service would be signed: put the line dnssec:dnssec directly above failover:... in plugin.cfg and build again")
	}
	return nil
}

// firstRound is how long the first start waits for every check to be probed
// once before it listens.
const firstRound = 3 * time.Second

func waitFirstRound(s *shared) {
	ctx, cancel := context.WithTimeout(context.Background(), firstRound)
	defer cancel()
	s.engine().Wait(ctx)
}
