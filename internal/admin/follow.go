package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Follow calls f for each event since a time, or how long ago, and then for each
// as it happens, until f returns an error or ctx ends. A connection that is lost
// is made again, and no event is missed or told twice; lost is called with why,
// once for each time, and may be nil. The first connection must succeed.
func (c *Client) Follow(ctx context.Context, of EventFilter, f func(*Event) error, lost func(error)) error {
	after := uint64(0)
	for connected := false; ; connected = true {
		err := c.stream(ctx, of, &after, f)
		var told *followError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &told):
			return told.error
		case !connected && after == 0:
			return err
		case lost != nil:
			lost(err)
		}
		wait, stop := context.WithTimeout(ctx, time.Second)
		<-wait.Done()
		stop()
	}
}

// followError is an error of the function that was given.
type followError struct{ error }

func (e *followError) Unwrap() error { return e.error }

// EventFilter says which events are asked for. The zero value asks for all that are kept.
type EventFilter struct {
	Since  string // how long ago (1h30m), or a time (RFC 3339)
	Target string // region, service or endpoint
	Kind   string // kinds, with commas
	Limit  int    // the newest so many; 0: all
}

func (f *EventFilter) values() string {
	v := url.Values{}
	for key, value := range map[string]string{"since": f.Since, "target": f.Target, "kind": f.Kind} {
		if value != "" {
			v.Set(key, value)
		}
	}
	if f.Limit > 0 {
		v.Set("limit", strconv.Itoa(f.Limit))
	}
	return v.Encode()
}

// silence is how long a stream may say nothing: three signs of life.
const silence = 3 * heartbeat

// stream follows one connection to its end, which is always an error.
func (c *Client) stream(ctx context.Context, of EventFilter, after *uint64, f func(*Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.connect(ctx, of, *after)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		dead.Reset(silence)
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		e := new(Event)
		if err := json.Unmarshal([]byte(data), e); err != nil {
			return fmt.Errorf("%s sent an event that this version does not understand: %w", c.said, err)
		}
		if err := f(e); err != nil {
			return &followError{err}
		}
		*after = e.ID
	}
	return fmt.Errorf("%s has ended the stream of events", c.said)
}

// connect asks for a stream of the events after one.
func (c *Client) connect(ctx context.Context, of EventFilter, after uint64) (*http.Response, error) {
	if after > 0 {
		of.Limit = 0 // what was missed is all wanted
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v1/events?"+of.values(), nil)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if after > 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	}
	c.sign(req)
	forever := http.Client{Transport: c.http.Transport, CheckRedirect: c.http.CheckRedirect}
	resp, err := forever.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); kind == "text/event-stream" {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	if err := c.decode(resp, new(Events)); err != nil {
		return nil, err
	}
	return nil, c.stranger(resp)
}

// maxEvent bounds one event as it is sent.
const maxEvent = 2 << 20
