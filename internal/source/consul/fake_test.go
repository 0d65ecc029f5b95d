package consul

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fake is a Consul in simulated time. It keeps to what Consul's documentation says
// of blocking queries.
type fake struct {
	mu     sync.Mutex
	index  uint64
	of     map[string][]string // elements, by service and datacenter
	change chan struct{}       // closed at the next change
	broken func(*http.Request) *http.Response
	asked  []url.Values
	open   int
	most   int
}

func newFake() *fake { return &fake{index: 10, of: map[string][]string{}, change: make(chan struct{})} }

// set changes what a service has in a datacenter: the last numbers of addresses.
func (f *fake) set(key string, last ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[key] = nil
	for _, n := range last {
		f.of[key] = append(f.of[key], element(fmt.Sprintf(`"ID":"%d","Address":"192.0.2.%d"`, n, n)))
	}
	f.index++
	f.wake()
}

func (f *fake) wake() {
	close(f.change)
	f.change = make(chan struct{})
}

// fail answers every query by what broken returns, nil for nothing at all.
func (f *fake) fail(broken func(*http.Request) *http.Response) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
	f.wake()
}

func (f *fake) back(index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.index, f.broken = index, nil
	f.wake()
}

func (f *fake) queries() []url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// RoundTrip implements http.RoundTripper.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, q)
	f.open++
	f.most = max(f.most, f.open)
	defer func() { f.open-- }()
	over := time.NewTimer(waitOf(q))
	defer over.Stop()
	index, _ := strconv.ParseUint(q.Get("index"), 10, 64)
	for waited := false; f.broken == nil && f.index == index && !waited; {
		change := f.change
		f.mu.Unlock()
		select {
		case <-change:
		case <-over.C:
			waited = true
		case <-r.Context().Done():
		}
		f.mu.Lock()
		if r.Context().Err() != nil {
			return nil, r.Context().Err()
		}
	}
	if f.broken == nil {
		key := strings.TrimPrefix(r.URL.Path, "/v1/health/service/") + " " + q.Get("dc")
		return reply(f.index, "["+strings.Join(f.of[strings.TrimSpace(key)], ",")+"]"), nil
	}
	if resp := f.broken(r); resp != nil {
		return resp, nil
	}
	f.mu.Unlock()
	<-r.Context().Done()
	f.mu.Lock()
	return nil, r.Context().Err()
}

func waitOf(q url.Values) time.Duration {
	d, err := time.ParseDuration(q.Get("wait"))
	if err != nil {
		return 5 * time.Minute
	}
	return d + d/16
}

func reply(index uint64, body string) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{
			"X-Consul-Index": {strconv.FormatUint(index, 10)}, "X-Consul-Knownleader": {"true"}, "X-Consul-Lastcontact": {"7"},
		},
	}
}

func status(code int, body string) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response {
		return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}
	}
}
