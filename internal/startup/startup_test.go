package startup

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func counter(name string) prometheus.Collector {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "Of a test."})
}

// names are those of the metrics in reg.
func names(t *testing.T, reg *prometheus.Registry) (out []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		out = append(out, f.GetName())
	}
	return out
}

func TestMetricsWaitUntilTheEnd(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := &registerer{real: reg}
	r.MustRegister(counter("a"), counter("b"))
	if err := r.Register(counter("c")); err != nil {
		t.Fatal(err)
	}
	if err := r.Register(counter("a")); err != nil { // the one that had to be stays
		t.Fatal(err)
	}
	if got := names(t, reg); len(got) > 0 || r.waiting() != 4 {
		t.Fatalf("registered at once: %v; %d wait", got, r.waiting())
	}
	r.finish()
	r.finish()
	if got := names(t, reg); len(got) != 3 || r.waiting() != 0 {
		t.Fatalf("registered in the end: %v; %d wait", got, r.waiting())
	}
}

func TestAfterTheEndItPassesOn(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := &registerer{real: reg}
	r.finish()
	a := counter("a")
	if err := r.Register(a); err != nil {
		t.Fatal(err)
	}
	var already prometheus.AlreadyRegisteredError
	if err := r.Register(counter("a")); !errors.As(err, &already) || already.ExistingCollector != a {
		t.Errorf("a second one of that name: %v", err)
	}
	r.MustRegister(counter("b"))
	if got := names(t, reg); len(got) != 2 {
		t.Errorf("registered: %v", got)
	}
}

func TestWhoUnregistersEndsTheWait(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := &registerer{real: reg}
	a := counter("a")
	r.MustRegister(a, counter("b"))
	if !r.Unregister(a) {
		t.Error("a was not there")
	}
	if got := names(t, reg); len(got) != 1 || got[0] != "b" {
		t.Errorf("left: %v", got)
	}
}

func TestACollisionIsLoud(t *testing.T) {
	r := &registerer{real: prometheus.NewRegistry()}
	r.MustRegister(counter("a"), counter("a"))
	defer func() {
		if recover() == nil {
			t.Error("two metrics of one name were taken")
		}
	}()
	r.finish()
}

// TestTheEndGivesBackTheRegistry: the plugin `prometheus` asserts that the default
// registerer is Prometheus's own registry.
func TestTheEndGivesBackTheRegistry(t *testing.T) {
	before := prometheus.DefaultRegisterer
	reg := prometheus.NewRegistry()
	prometheus.DefaultRegisterer = reg
	defer func() { prometheus.DefaultRegisterer = before }()
	r := putOff()
	prometheus.MustRegister(counter("a"))
	if prometheus.DefaultRegisterer != prometheus.Registerer(r) || r.waiting() != 1 {
		t.Fatalf("the default registerer is a %T, and %d wait", prometheus.DefaultRegisterer, r.waiting())
	}
	r.finish()
	if prometheus.DefaultRegisterer != prometheus.Registerer(reg) || len(names(t, reg)) != 1 {
		t.Errorf("in the end the default registerer is a %T with %v", prometheus.DefaultRegisterer, names(t, reg))
	}
}
