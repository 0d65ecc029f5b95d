package admin

import (
	"net/http"
	"sync"
	"time"
)

// How many changes a token may ask for: some at once, then one a second. Whoever
// stole one must not turn a fleet over faster than people can look.
const (
	burst = 20
	every = time.Second
)

// maxPaces bounds the tokens that are counted. A token file holds fewer.
const maxPaces = 4096

// pace counts the changes of each token. The zero pace is ready.
type pace struct {
	mu   sync.Mutex
	free map[string]time.Time // by token: when all of its changes are free again
}

// take takes a change of a token, or says when to come again. Who has no token came
// by the socket, and is not counted.
func (p *pace) take(token string) error {
	if token == "" {
		return nil
	}
	return p.of("token " + token + " changes")
}

// of is take for whoever does something: that and the one who does it are one word.
func (p *pace) of(who string) error {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil || len(p.free) >= maxPaces {
		p.free = map[string]time.Time{}
	}
	at := p.free[who]
	if at.Before(now) {
		at = now
	}
	if over := at.Add(every).Sub(now) - burst*every; over > 0 {
		return later(http.StatusTooManyRequests, over, "%s too much at once: %d times, then one a second", who, burst)
	}
	p.free[who] = at.Add(every)
	return nil
}

// How many questions of those who may only ask are answered at once, and how long one
// waits for its turn: what answers them is what decides, too.
const (
	maxAsking = 4
	askWait   = 500 * time.Millisecond
)

// answer has a request handled, in its turn.
func (s *Server) answer(to *route, c caller, r *http.Request) (any, error) {
	if to.method != http.MethodGet || c.may == operates {
		return to.handle(s, r)
	}
	wait := time.NewTimer(askWait)
	defer wait.Stop()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
		return to.handle(s, r)
	case <-wait.C:
	case <-r.Context().Done():
	}
	return nil, later(http.StatusTooManyRequests, time.Second, "too much is asked for at once: try again")
}
