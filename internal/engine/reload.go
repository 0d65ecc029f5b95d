package engine

import (
	"errors"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/plan"
)

// Reload is how the last change of failover.yaml went.
type Reload struct {
	At    time.Time // when the configuration in use was taken
	Hash  string    // of the configuration in use
	OK    bool
	Error string // why the last one was not taken
	Moved int    // services that the last one moved
}

// Check reports whether Apply would take cfg now. It changes nothing.
func (e *Engine) Check(cfg *config.Config) error {
	err := e.admissible(cfg)
	if err != nil {
		return err
	}
	if derr := e.Do(func(c *Core) {
		err = e.contain(func() error {
			try := *c
			return try.Replan(e.plan(cfg), time.Now(), false)
		})
	}); derr != nil {
		return derr
	}
	return err
}

// admissible reports whether a configuration may be tried, whatever it would move.
func (e *Engine) admissible(cfg *config.Config) error {
	if err := e.crashes(cfg.Hash); err != nil {
		return err
	}
	return e.contain(func() error { return e.probable(cfg) })
}

// Apply moves to another configuration and keeps the health of every check that
// both have. On error the one in use stays, and status says so.
func (e *Engine) Apply(cfg *config.Config) error {
	err := e.admissible(cfg)
	if err == nil {
		e.tries(cfg)
		if derr := e.Do(func(*Core) { err = e.apply(cfg) }); derr != nil {
			return derr
		}
		if err != nil {
			e.tries(e.Load().Plan.Config)
		}
	}
	if err != nil {
		e.Refused(err)
	}
	return err
}

func (e *Engine) apply(cfg *config.Config) error {
	now := time.Now()
	if err := e.replan(func() *plan.Plan { return e.plan(cfg) }, now, false); err != nil {
		return err
	}
	e.takes(cfg, now)
	e.catalogs.follow(cfg)
	e.takeHandFiles(e.hands.files) // their targets may be others now
	e.reload = Reload{At: now, Hash: cfg.Hash, OK: true, Moved: len(e.core.moved)}
	names := make(map[string]bool, len(cfg.Services))
	for i := range cfg.Services {
		names[people(cfg.Services[i].Name)] = true
	}
	e.count.keepOnly(names)
	e.ramps.keepOnly(names)
	e.log.Info("configuration reloaded", "hash", short(cfg.Hash), "services", len(cfg.Services), "checks", len(e.core.Plan.Checks))
	if e.rejoins(cfg) {
		e.log.Warn("share:, self.name or self.zone was edited, which counts only from the next start")
	}
	e.record(journal.Event{
		Kind: journal.Reload, To: "taken", Text: "configuration " + short(cfg.Hash) + " taken: " + many(len(cfg.Services), "service", "services") +
			", " + many(len(e.core.moved), "service moves", "services move"),
	})
	return nil
}

// Refused notes that a new configuration was not taken, and why.
func (e *Engine) Refused(why error) { _ = e.Do(func(*Core) { e.refuse(why) }) }

func (e *Engine) refuse(why error) {
	e.reload.OK, e.reload.Error = false, why.Error()
	e.log.Error("new configuration refused, the one in use stays", "in_use", short(e.reload.Hash), "error", why)
	if errors.Is(why, ErrTooManyMoves) {
		e.count.refused[RefusedReload]++
	}
	first, _, _ := strings.Cut(why.Error(), "\n")
	e.record(journal.Event{Kind: journal.Reload, To: "refused", Why: RefusedReload, Text: "new configuration refused, " + short(e.reload.Hash) + " stays: " + first})
}

// Restored notes that the file holds again what is in use, after something else
// in it was refused.
func (e *Engine) Restored() {
	_ = e.Do(func(*Core) {
		e.reload.OK, e.reload.Error = true, ""
		e.log.Info("the file holds the configuration in use again", "hash", short(e.reload.Hash))
		e.record(journal.Event{Kind: journal.Reload, To: "taken", Text: "the file holds the configuration in use again, " + short(e.reload.Hash)})
	})
}

// LastReload returns how the last change of failover.yaml went.
func (e *Engine) LastReload() Reload {
	var r Reload
	_ = e.Do(func(*Core) { r = e.reload })
	return r
}

func short(hash string) string { return hash[:min(len(hash), 8)] }
