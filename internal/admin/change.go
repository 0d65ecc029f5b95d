package admin

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/engine"
	"github.com/detour-dns/detour/internal/steer"
)

// How long an operator's decision holds unless said, and at most. None is for
// ever: what is meant to stay belongs in failover.yaml.
const (
	defaultOverride = 4 * time.Hour
	defaultFreeze   = time.Hour
	longest         = 30 * 24 * time.Hour
)

// maxText bounds reasons and owners.
const maxText = 500

func (s *Server) getOverrides(*http.Request) (any, error) {
	p := &page{pub: s.eng.Load(), now: time.Now()}
	p.overrides, p.freezes = s.eng.Hands()
	return Hands{p.overrideList(), p.freezeList()}, nil
}

func (s *Server) getOverride(r *http.Request) (any, error) {
	target, err := s.target(r.PathValue("target"))
	if err != nil {
		return nil, err
	}
	p := &page{pub: s.eng.Load(), now: time.Now()}
	p.overrides, _ = s.eng.Hands()
	var found *Override
	for _, o := range p.overrideList() {
		if o.Target == people(target) && (found == nil || found.File != "") { // one made at run time hides a file's
			found = &o
		}
	}
	if found == nil {
		return nil, problem(http.StatusNotFound, "there is no override on %s", people(target))
	}
	return *found, nil
}

// target returns the canonical form of a target.
func (s *Server) target(given string) (string, error) {
	cfg := s.eng.Load().Plan.Config
	if t, ok := cfg.Target(given); ok {
		return t, nil
	}
	return "", unknown("region, service or service/endpoint", given, targets(cfg, given))
}

var kinds = map[string]steer.OverrideKind{"drain": steer.Drain, "down": steer.ForceDown, "up": steer.ForceUp}

func (s *Server) putOverride(r *http.Request) (any, error) {
	target, err := s.target(r.PathValue("target"))
	if err != nil {
		return nil, err
	}
	var in PutOverride
	if err := read(r, &in); err != nil {
		return nil, err
	}
	now := time.Now()
	o, err := in.override(target, now)
	if err != nil {
		return nil, err
	}
	s.changing.Lock() // of two that are harmless alone, the later one sees the earlier
	defer s.changing.Unlock()
	out, err := s.whatIf(o)
	if err != nil {
		return nil, gone(err)
	}
	if len(out.NoReady) > 0 && !in.BreakGlass && !in.DryRun {
		s.log.Warn("admin: change refused", "peer", peer(r), "do", in.Do, "target", people(target), "owner", o.Owner,
			"reason", o.Reason, "why", count(len(out.NoReady), "service", "services")+" would have no ready region")
		p := problem(http.StatusConflict, "that would leave %s without a ready region; if you mean it, break the glass (--break-glass, or break_glass: true)",
			count(len(out.NoReady), "service", "services"))
		p.Services = out.NoReady
		return nil, p
	}
	w := wireOverride(o)
	out.Override, out.DryRun, out.Replaced = &w, in.DryRun, s.replaced(target)
	if in.DryRun {
		out.Glass = len(out.NoReady) > 0 && !in.BreakGlass
		return out, nil
	}
	err = s.keep(out, s.eng.PutOverride(o, peer(r)))
	s.audit(r, err, in.Do, "target", people(target), "owner", o.Owner, "reason", o.Reason, "until", o.Until.UTC().Format(time.RFC3339),
		"last_resort", o.Reserve, "break_glass", in.BreakGlass, "moved", len(out.Moves))
	return out, err
}

// replaced returns the override that another one on a target takes the place of.
func (s *Server) replaced(target string) *Override {
	list, _ := s.eng.Hands()
	for _, o := range list {
		if o.Target == target && o.From == "" {
			w := wireOverride(o)
			return &w
		}
	}
	return nil
}

// override checks the body.
func (in *PutOverride) override(target string, now time.Time) (steer.Override, error) {
	kind, ok := kinds[in.Do]
	if !ok {
		return steer.Override{}, problem(http.StatusUnprocessableEntity, "do %s is none of drain, down and up", quote(in.Do))
	}
	if in.LastResort && kind != steer.Drain {
		return steer.Override{}, problem(http.StatusUnprocessableEntity, "last_resort goes with do: drain only")
	}
	if err := accountable(in.Reason, in.Owner); err != nil {
		return steer.Override{}, err
	}
	until, err := end(in.For, in.Until, defaultOverride, now)
	return steer.Override{
		Target: target, Kind: kind, Reserve: in.LastResort, Made: now, Until: until, Reason: in.Reason, Owner: in.Owner,
	}, err
}

// accountable requires that others can see why, and whom to ask.
func accountable(reason, owner string) error {
	for _, f := range [][2]string{{"reason", reason}, {"owner", owner}} {
		if strings.TrimSpace(f[1]) == "" {
			return problem(http.StatusUnprocessableEntity, "%s is missing: others must see why this is so, and whom to ask", f[0])
		}
	}
	return legible(reason, owner)
}

// legible requires that a reason and an owner can be shown to others in a line.
func legible(reason, owner string) error {
	for _, f := range [][2]string{{"reason", reason}, {"owner", owner}} {
		if len(f[1]) > maxText {
			return problem(http.StatusUnprocessableEntity, "%s is longer than %d bytes", f[0], maxText)
		}
		if r, found := config.Control(f[1]); found {
			return problem(http.StatusUnprocessableEntity, "%s holds %U, a character that steers terminals or ends a line: write it as plain text in one line", f[0], r)
		}
	}
	return nil
}

// end returns when a decision ends.
func end(span string, until time.Time, otherwise time.Duration, now time.Time) (time.Time, error) {
	if span != "" && !until.IsZero() {
		return until, problem(http.StatusUnprocessableEntity, "give for or until, not both")
	}
	if until.IsZero() {
		d := otherwise
		if span != "" {
			var err error
			if d, err = time.ParseDuration(span); err != nil {
				return until, problem(http.StatusUnprocessableEntity, "for %s is not a duration: write 30m or 4h", quote(span))
			}
		}
		until = now.Add(d)
	}
	if !until.After(now) || until.Sub(now) > longest {
		return until, problem(http.StatusUnprocessableEntity, "it must end after now and within 30 days; what is to stay belongs in failover.yaml")
	}
	return until, nil
}

func (s *Server) deleteOverride(r *http.Request) (any, error) {
	target, err := s.target(r.PathValue("target"))
	if err != nil {
		return nil, err
	}
	v, err := s.getOverride(r)
	if err != nil {
		return nil, err
	}
	o, _ := v.(Override)
	if o.File != "" {
		return nil, problem(http.StatusConflict, "the override on %s stands in %s: remove it there", o.Target, o.File)
	}
	out := &Changed{Override: &o}
	err = s.keep(out, s.eng.DeleteOverride(target, peer(r)))
	s.audit(r, err, "undo "+o.Do, "target", o.Target)
	return out, err
}

// keep turns a decision that is in force but not on disk into a warning.
func (s *Server) keep(out *Changed, err error) error {
	if errors.Is(err, engine.ErrNotKept) && !errors.Is(err, engine.ErrClosed) {
		out.Warning = err.Error()
		return nil
	}
	return gone(err)
}

// audit logs a change with who made it: what the peer is, beside what it says of
// itself.
func (s *Server) audit(r *http.Request, err error, did string, args ...any) {
	args = append([]any{"peer", peer(r), "did", did}, args...)
	if err != nil {
		s.log.Error("admin: change failed", append(args, "error", err)...)
		return
	}
	s.log.Info("admin: changed", args...)
}
