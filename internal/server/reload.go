package server

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin/pkg/log"

	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/plugin/failover"
)

// look tells the server that it is time to see whether the Corefile changed. It
// never waits.
func (s *Server) look() {
	select {
	case s.turn <- struct{}{}:
	default:
	}
}

// Reload reads the Corefile afresh, checks it and takes it into use, even if it
// is unchanged: certificates, zones and services are read again. If anything is
// wrong, the one in use stays; the error says so, and is logged.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("the server has stopped")
	}
	in, err := s.read()
	if err != nil {
		return s.refuse(hash{}, err)
	}
	return s.apply(in, fingerprint(in))
}

// reloadIfChanged is Reload for a Corefile that means something else than the
// one in use. One that was refused is tried again when it changes, or when what
// was wrong may have been outside of it.
func (s *Server) reloadIfChanged() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	in, err := s.read()
	if failover.Lacks(s.name, errors.Join(err, files.Spare())) {
		return nil // no fault of the file, nor of those that it names: it is looked at again
	}
	if err != nil {
		return s.refuse(hash{}, err)
	}
	now := fingerprint(in)
	if now == s.applied && s.named.bad {
		return nil // it waits for another change of what it names
	}
	if now == s.applied {
		if s.rejected != nil {
			failover.CorefileTaken(s.name)
		}
		s.rejected = nil
		return nil
	}
	if r := s.rejected; r != nil && r.fingerprint == now && !r.retry {
		return nil
	}
	return s.apply(in, now)
}

// apply is the one way by which a Corefile replaces another.
func (s *Server) apply(in caddy.CaddyfileInput, now hash) error {
	names := namedIn(in)
	report := check(in)
	if len(report.Faults) > 0 && failover.Lacks(s.name, files.Spare()) {
		return fmt.Errorf("%s cannot be checked now: %w", s.name, files.Spare())
	}
	if len(report.Faults) > 0 {
		return s.refuse(now, report.Faults)
	}
	if len(report.Loops) > 0 && len(s.loops) == 0 {
		return s.refuse(now, report.Loops)
	}
	if err := preflight(slices.Concat(fresh(report.Addrs, s.addrs), fresh(report.Beside, s.beside))); err != nil {
		return s.refuse(now, err)
	}
	if err := s.restart(in); err != nil {
		err = s.refuse(now, err)
		s.rejected.retry = false // a restart costs the connections; wait for a change
		return err
	}
	showVersion(s.applied, now)
	s.addrs, s.applied, s.rejected = report.Addrs, now, nil
	s.beside, s.named = report.Beside, names
	s.tellLoops(report.Loops)
	failover.CorefileTaken(s.name)
	log.Infof("Reloaded %s, serving %s", s.name, s.where())
	return nil
}

// young is how long an instance is left to begin to serve before it is replaced.
// CoreDNS serves on goroutines of its own, and one that is stopped before they run
// is waited for without end.
const young = 250 * time.Millisecond

// restart replaces the instance. Caddy reports a failure in three ways: an
// error; no instance, after a panic; and an error although the new instance
// serves, when the old one ended badly.
func (s *Server) restart(in caddy.CaddyfileInput) error {
	grown := time.NewTimer(time.Until(s.began.Add(young)))
	<-grown.C
	defer func() { s.began = time.Now() }()
	old := s.instance()
	s.pending.Store(nil)
	inst, err := old.Restart(in)
	switch {
	case err == nil && inst == nil:
		err = errors.New("a plugin panicked, see the log")
	case err == nil:
		s.inst.Store(inst)
		shut(old)
		return nil
	}
	if next := s.pending.Load(); next != nil && alive(next) && !alive(old) {
		log.Warningf("The instance before ended badly: %v", err)
		caddy.EmitEvent(caddy.InstanceStartupEvent, next)
		s.inst.Store(next)
		shut(old)
		return nil
	}
	s.giveUp()
	return fmt.Errorf("cannot start with it: %w", listenError(err))
}

// giveUp ends what a failed restart left behind: Caddy drops the instance
// without a callback, and after a panic it even keeps it in its list.
func (s *Server) giveUp() {
	next := s.pending.Load()
	if next == nil {
		return
	}
	release(next)
	if alive(next) {
		_ = next.Stop()
	}
	shut(next)
}

func alive(inst *caddy.Instance) bool {
	for _, i := range caddy.Instances() {
		if i == inst {
			return true
		}
	}
	return false
}

// refuse keeps the Corefile in use and says why, once for each reason.
func (s *Server) refuse(now hash, err error) error {
	why := err.Error()
	if r := s.rejected; r != nil && r.fingerprint == now && r.why == why {
		return err
	}
	s.rejected = &rejection{fingerprint: now, why: why, retry: true}
	reloads().failed.Inc()
	failover.CorefileRefused(s.name, err)
	var faults Faults
	if errors.As(err, &faults) {
		for _, f := range faults {
			log.Errorf("%v", f)
		}
		log.Errorf("Not reloaded: %s has %s; what was in use stays in use", s.name, count(len(faults), "fault"))
		return err
	}
	log.Errorf("Not reloaded, what was in use stays in use: %v", err)
	return err
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
