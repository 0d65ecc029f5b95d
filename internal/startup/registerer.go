package startup

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// registerer stands in for the default registerer until it is finished. Who kept a
// reference to it registers with the real one from then on.
type registerer struct {
	real prometheus.Registerer

	mu       sync.Mutex
	finished bool
	must     []prometheus.Collector
	may      []prometheus.Collector // whose caller looks at the error, and meets a metric of that name
}

// Register implements prometheus.Registerer. Before the end it returns nil: a
// collision is found then, and the first one stays.
func (r *registerer) Register(c prometheus.Collector) error {
	if r.keep(&r.may, c) {
		return nil
	}
	return r.real.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (r *registerer) MustRegister(all ...prometheus.Collector) {
	if !r.keep(&r.must, all...) {
		r.real.MustRegister(all...)
	}
}

// Unregister implements prometheus.Registerer.
func (r *registerer) Unregister(c prometheus.Collector) bool {
	r.finish()
	return r.real.Unregister(c)
}

func (r *registerer) keep(in *[]prometheus.Collector, all ...prometheus.Collector) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.finished {
		*in = append(*in, all...)
	}
	return !r.finished
}

// finish registers outside of the lock: a collector may ask for more.
func (r *registerer) finish() {
	r.mu.Lock()
	must, may, before := r.must, r.may, r.finished
	r.must, r.may, r.finished = nil, nil, true
	r.mu.Unlock()
	if before {
		return
	}
	if prometheus.DefaultRegisterer == prometheus.Registerer(r) {
		prometheus.DefaultRegisterer = r.real
	}
	r.real.MustRegister(must...)
	for _, c := range may {
		_ = r.real.Register(c)
	}
}

func (r *registerer) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.must) + len(r.may)
}
