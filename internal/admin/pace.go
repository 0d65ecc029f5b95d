package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
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

// answer has a request handled, in its turn, and its reply written out: what is large in
// memory is gone when the turn is over.
func (s *Server) answer(to *route, c caller, r *http.Request) (any, error) {
	handle := func() (any, error) {
		v, err := to.handle(s, r)
		if _, ok := v.(stream); ok || err != nil {
			return v, err
		}
		return encode(v)
	}
	if to.method != http.MethodGet || c.may == operates {
		return handle()
	}
	wait := time.NewTimer(askWait)
	defer wait.Stop()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
		return handle()
	case <-wait.C:
	case <-r.Context().Done():
	}
	return nil, later(http.StatusTooManyRequests, time.Second, "too much is asked for at once: try again")
}

// encoded is a reply in JSON.
type encoded []byte

func encode(v any) (encoded, error) {
	var b bytes.Buffer
	err := json.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

// maxFlying is how many bytes of replies may wait for those who asked to take them, and
// largeReply from how many on a reply counts for that.
const (
	maxFlying  = 32 << 20
	largeReply = 64 << 10
)

// flights are the large replies that are being sent. The zero flights are ready.
type flights struct {
	mu   sync.Mutex
	list []*flight // oldest first
	sum  int       // bytes
}

type flight struct {
	size int
	w    http.ResponseWriter
}

// send writes a reply. If there are too many bytes of others under way, the oldest replies
// are given up: who asked for them does not read.
func (f *flights) send(w http.ResponseWriter, text []byte) {
	if len(text) >= largeReply {
		own := f.begin(w, len(text))
		defer f.end(own)
	}
	_, _ = w.Write(text) // the peer may be gone
}

func (f *flights) begin(w http.ResponseWriter, size int) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.list) > 0 && f.sum+size > maxFlying {
		_ = http.NewResponseController(f.list[0].w).SetWriteDeadline(time.Unix(1, 0))
		f.sum -= f.list[0].size
		f.list = f.list[1:]
	}
	own := &flight{size, w}
	f.list, f.sum = append(f.list, own), f.sum+size
	return own
}

func (f *flights) end(own *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := slices.Index(f.list, own); at >= 0 {
		f.list, f.sum = slices.Delete(f.list, at, at+1), f.sum-own.size
	}
}
