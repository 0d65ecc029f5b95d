package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/crash"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/share"
	"github.com/detour-dns/detour/internal/source"
)

// ErrCrashes is returned for a configuration that ended this program before.
var ErrCrashes = errors.New("this configuration ends the program")

// ErrOurs is returned for input over which this program failed: a fault of ours, and
// no reason to end a process that answers.
var ErrOurs = errors.New("a fault of this program")

// contain runs f and makes an error of its panic. f must be of no effect if it does
// not come to its end.
func (e *Engine) contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("a fault of this program was contained: please report it", "fault", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: %v: its log says where, please report it", ErrOurs, p)
		}
	}()
	return f()
}

// openCrashes reads how the process before ended, and tells it. Who does not have the
// state file to himself leaves that to who has.
func (e *Engine) openCrashes(file string) {
	if e.disk.store == nil {
		return
	}
	book, last, err := crash.Open(e.disk.dir, file, e.version, e.started)
	if err != nil {
		e.log.Warn("how this process ends cannot be kept", "error", err)
	}
	e.book = book
	if last == nil {
		return
	}
	e.ended = "the process before ended by a fault of this program " + ending(last)
	if last.Report != "" {
		e.ended += "; please report it, with " + last.Report
	}
	e.log.Error(e.ended)
	e.disk.events.Add(journal.Event{At: e.started, Kind: journal.Crashed, Text: e.ended})
}

// ending describes a crash.
func ending(c *crash.Crash) string {
	out := "at " + c.At.UTC().Format(time.RFC3339)
	if c.Config != "" {
		out += ", " + c.Ran.Round(time.Second).String() + " after it took configuration " + short(c.Config)
	}
	out += ": " + c.Text
	if c.Where != "" {
		out += " (" + c.Where + ")"
	}
	return out
}

// crashes reports whether a configuration ended this program before, so that it is
// not tried again.
func (e *Engine) crashes(hash string) error {
	against := e.book.Against(hash)
	if len(against) == 0 {
		return nil
	}
	return fmt.Errorf("%w: configuration %s did %d times within %s of being taken, at last %s; edit the file, any change of it is tried again",
		ErrCrashes, short(hash), len(against), crash.Trial, ending(&against[len(against)-1]))
}

// eligible returns the configuration to start with: the one of the file, or the one
// that ran well before if that of the file cannot be used, or ended the program again
// and again; then why says so. Where there is none to go back to one that crashes is
// tried once more, for it answers until then.
func (e *Engine) eligible(file *config.Config) (use *config.Config, why, err error) {
	if why = e.admissible(file); why == nil {
		return file, nil, nil
	}
	good, none := e.good(file)
	switch {
	case none == nil:
		e.log.Error("going back to the configuration that ran before", "hash", short(good.Hash), "why", why)
		return good, why, nil
	case errors.Is(why, ErrCrashes):
		e.log.Error("configuration is used although it ends the program: there is none to go back to", "why", why, "error", none)
		return file, nil, nil
	}
	return nil, nil, why
}

// good returns the configuration to go back to.
func (e *Engine) good(file *config.Config) (*config.Config, error) {
	data, err := e.book.Good()
	if err != nil {
		return nil, err
	}
	cfg, err := config.Parse(file.Path, data)
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.Hash == file.Hash:
		return nil, errors.New("it is the one that ran well before")
	case cfg.State.Dir != file.State.Dir:
		return nil, fmt.Errorf("the one that ran well before has its state in %s", cfg.State.Dir)
	}
	return cfg, e.admissible(cfg)
}

// restore makes the core of a configuration and of what was kept.
func (e *Engine) restore(cfg *config.Config, kept onDisk) {
	kept, e.core = e.outlive(kept, func(kept onDisk) *Core {
		e.found, e.hands = kept.found, kept.hands
		e.catalogs = newCatalogs(e, kept.catalog)
		return NewCore(e.plan(cfg), kept.Checks, kept.Services, e.started)
	})
	e.ledger = share.NewLedger(cfg.Self.Name, kept.records)
}

// outlive begins with what was kept. If that ends in a panic it is left out, but for
// what operators decided: a start must not depend on the past.
func (e *Engine) outlive(kept onDisk, begin func(onDisk) *Core) (used onDisk, core *Core) {
	err := e.contain(func() error {
		begin(kept).Publish(e.started)
		return nil
	})
	if err != nil {
		e.disk.forget("what the state file says of checks, pools in use, names and catalogs is left out: " + err.Error())
		kept = onDisk{found: source.Found{}, hands: kept.hands}
	}
	return kept, begin(kept)
}

// begins notes that the process begins with a configuration: before anything is done
// with it.
func (e *Engine) begins(cfg *config.Config) {
	if err := e.book.Takes(cfg.Hash, e.started); err != nil {
		e.log.Warn("this configuration cannot be gone back to", "error", err)
	}
}

// triesAtMost is how long a reload waits for a disk that may not answer.
const triesAtMost = time.Second

// tries notes that a configuration is about to be in use, before it is: the disk's
// writer may be behind, and a crash within that time would be another one's.
func (e *Engine) tries(cfg *config.Config) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.book.Tries(cfg.Hash, time.Now()); err != nil {
			e.log.Warn("a crash over this configuration would not be known as its own", "error", err)
		}
	}()
	t := time.NewTimer(triesAtMost)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// takes notes that a configuration is in use from now on.
func (e *Engine) takes(cfg *config.Config, now time.Time) {
	if e.book != nil {
		_, _ = e.disk.hand(func() error { return e.book.Takes(cfg.Hash, now) }) // noted
	}
}

// mindTrial notes when the configuration in use has run well.
func (e *Engine) mindTrial(now time.Time) {
	if hash, ok := e.book.Passed(now); ok {
		_, _ = e.disk.hand(func() error { return e.book.RanWell(hash, now) }) // noted
	}
}

// crashed returns how the process before ended, for a day.
func (e *Engine) crashed(now time.Time) string {
	if now.Sub(e.started) >= toldFor {
		return ""
	}
	return e.ended
}
