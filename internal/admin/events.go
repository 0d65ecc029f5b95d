package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/journal"
)

// Event is something that happened. See journal.Event for its fields.
type Event = journal.Event

// Events is the reply to GET /v1/events.
type Events struct {
	Events []Event `json:"events"` // oldest first
	Last   uint64  `json:"last"`   // ID of the newest event that there is; give it as after

	Warning string `json:"warning,omitempty"` // nothing is known, and nothing ever happened, by the name that was asked for
}

// Bounds of those who follow the events.
const (
	maxFollowers = 16
	heartbeat    = 15 * time.Second // so that a path that is cut shows
	writeEvents  = 10 * time.Second // a follower that takes longer is let go
)

// getEvents answers with the events that there are, or follows them if the client
// takes server-sent events.
func (s *Server) getEvents(r *http.Request) (any, error) {
	q, err := eventQuery(r, time.Now())
	if err != nil {
		return nil, err
	}
	if r.Method == http.MethodHead || !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		j := s.eng.Journal()
		last := j.Last() // before, so that none is missed by whoever asks for those after it
		return Events{j.Find(q), last, s.mistaken(q.Target)}, nil
	}
	if n := s.followers.Add(1); n > maxFollowers {
		s.followers.Add(-1)
		return nil, problem(http.StatusServiceUnavailable, "%d clients follow the events already: try again later", maxFollowers)
	}
	return stream(func(w http.ResponseWriter) {
		defer s.followers.Add(-1)
		s.follow(w, r, q)
	}), nil
}

// mistaken says what was probably meant by a target of which neither the configuration
// nor the history knows anything; "" if one does.
func (s *Server) mistaken(target string) string {
	if target == "" || len(s.eng.Journal().Find(journal.Query{Target: target, Limit: 1})) > 0 {
		return ""
	}
	cfg := s.eng.Load().Plan.Config
	if _, ok := cfg.Target(target); ok || hasEndpoint(cfg, target) || isGuarded(target) {
		return ""
	}
	return unknown("region, service or endpoint", target, targets(cfg, target)).Detail
}

// hasEndpoint reports whether an endpoint of any service is called so.
func hasEndpoint(cfg *config.Config, label string) bool {
	for i := range cfg.Services {
		if _, ok := cfg.Target(people(cfg.Services[i].Name) + "/" + label); ok {
			return true
		}
	}
	return false
}

// isGuarded reports whether something is kept of a name.
func isGuarded(name string) bool {
	k := keepers()
	if k == nil {
		return false
	}
	return len(k.Of(name+".")) > 0
}

// maxTarget is the longest target in octets: two names, and what is between them.
const maxTarget = 2*255 + 1

// eventQuery reads since (a time, or how long ago), after (an ID), target and
// limit. A client that comes back tells the last ID that it saw.
func eventQuery(r *http.Request, now time.Time) (q journal.Query, err error) {
	v := r.URL.Query()
	q.Target = strings.ToLower(strings.TrimSuffix(v.Get("target"), "."))
	if len(q.Target) > maxTarget {
		return q, problem(http.StatusBadRequest, "target has %d octets: a service and an endpoint have %d at most", len(q.Target), maxTarget)
	}
	if q.Since, err = sinceOf(v.Get("since"), now); err != nil {
		return q, err
	}
	after := cmp.Or(r.Header.Get("Last-Event-ID"), v.Get("after"), "0")
	if q.After, err = strconv.ParseUint(after, 10, 64); err != nil {
		return q, problem(http.StatusBadRequest, "after %s is not the ID of an event", quote(after))
	}
	if q.Kinds, err = kindsOf(v.Get("kind")); err != nil {
		return q, err
	}
	limit := cmp.Or(v.Get("limit"), strconv.Itoa(journal.Size))
	if q.Limit, err = strconv.Atoi(limit); err != nil || q.Limit < 1 {
		return q, problem(http.StatusBadRequest, "limit %s is not a number above 0", quote(limit))
	}
	return q, nil
}

// kindsOf reads a list of kinds with commas.
func kindsOf(text string) (out []journal.Kind, err error) {
	if text == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		k := journal.Kind(strings.TrimSpace(word))
		if !slices.Contains(journal.Kinds, k) {
			return nil, problem(http.StatusBadRequest, "unknown kind %s: use one of %s", quote(string(k)), kindWords())
		}
		out = append(out, k)
	}
	return out, nil
}

// kindWords lists the kinds.
func kindWords() string {
	words := make([]string, len(journal.Kinds))
	for i, k := range journal.Kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

func sinceOf(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return now, problem(http.StatusBadRequest, "since %s is neither how long ago (1h30m) nor a time (2026-01-31T18:00:00Z)", quote(s))
}

// follow sends events as they come, until the client or the server goes.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, q journal.Query) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stop := context.AfterFunc(s.ending, cancel)
	defer stop()
	out := &eventWriter{w, http.NewResponseController(w)}
	_ = out.rc.SetReadDeadline(time.Time{}) // the request is read; else the end of its time would end this
	j := s.eng.Journal()
	for {
		last := j.Last()
		list := j.Find(q)
		if out.send(list) != nil {
			return
		}
		q.After, q.Limit = max(q.After, last), 0
		if n := len(list); n > 0 {
			q.After = max(q.After, list[n-1].ID)
		}
		beat, stop := context.WithTimeout(ctx, heartbeat)
		_ = j.Wait(beat, q.After) // that nothing happened is told, too
		stop()
		if ctx.Err() != nil || s.revoked(r) {
			return
		}
	}
}

// revoked reports whether the token of a request that goes on was taken back.
func (s *Server) revoked(r *http.Request) bool {
	_, err := s.callerOf(r)
	var p *Problem
	return err != nil && (!errors.As(err, &p) || p.Retry == 0)
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// send writes events, or a sign of life if there are none.
func (o *eventWriter) send(list []Event) error {
	_ = o.rc.SetWriteDeadline(time.Now().Add(writeEvents)) // a writer that cannot has none
	if len(list) == 0 {
		fmt.Fprint(o.w, ": nothing happened\n\n")
	}
	for i := range list {
		text, err := json.Marshal(&list[i])
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(o.w, "id: %d\nevent: %s\ndata: %s\n\n", list[i].ID, list[i].Kind, text); err != nil {
			return err
		}
	}
	return o.rc.Flush()
}
