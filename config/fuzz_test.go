package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzParse holds Parse to its promises whatever the bytes are: it does not
// panic, an error is Faults with places in the file, and a Config is whole.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"examples/*.yaml", "testdata/*.yaml", "testdata/invalid/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("failover.yaml", data)
		if err != nil {
			checkFaults(t, c, err)
			return
		}
		again, err := Parse("failover.yaml", data)
		if err != nil || !reflect.DeepEqual(again.Warnings, c.Warnings) {
			t.Fatalf("the same bytes give %v", err)
		}
		checkConfig(t, c)
	})
}

func checkFaults(t *testing.T, c *Config, err error) {
	t.Helper()
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 || c != nil {
		t.Fatalf("Parse = %v, %#v", c, err)
	}
	for _, f := range faults {
		if f.Line < 1 || f.Col < 1 || f.Message == "" || f.Message != oneLine(f.Message) {
			t.Errorf("%#v", f)
		}
	}
}

// checkConfig holds a Config to what those who use it rely on.
func checkConfig(t *testing.T, c *Config) {
	t.Helper()
	for i := range c.Monitors {
		checkTiming(t, c.Monitors[i])
	}
	for _, r := range c.Regions {
		if got, ok := c.Region(r.Name); !ok || got.Name != r.Name {
			t.Errorf("region %s is not found", r.Name)
		}
		for _, canary := range r.Canaries {
			checkTiming(t, canary.Monitor)
		}
	}
	for i := range c.Services {
		checkServiceWhole(t, c, &c.Services[i])
	}
	for _, o := range c.Overrides {
		if got, ok := c.Target(o.Target); !ok || got != o.Target || o.Do == "" || o.Reason == "" || o.Owner == "" {
			t.Errorf("override %+v, target %s", o, got)
		}
	}
}

func checkTiming(t *testing.T, m Monitor) {
	t.Helper()
	x := m.Timing
	portless := m.Type == ICMP || m.Type == ConsulChecks
	if m.Type == "" || !portless && m.Port == 0 || x.Timeout <= 0 || x.Timeout > x.Interval || x.Confirm <= 0 || x.Confirm > x.Interval ||
		x.Stale < x.Interval+x.Timeout || x.Attempts < 1 || x.Fall < 1 || x.Rise < 1 {
		t.Errorf("monitor %+v", m)
	}
}

func checkServiceWhole(t *testing.T, c *Config, s *Service) {
	t.Helper()
	if got, ok := c.Service(s.Name); !ok || got != s || (len(s.Pools) == 0) != (s.From != nil) || len(s.Monitors) == 0 || s.Line < 1 {
		t.Errorf("service %+v", s)
	}
	for _, name := range s.Monitors {
		if _, ok := c.Monitor(name); !ok {
			t.Errorf("%s has the unknown monitor %s", s.Name, name)
		}
	}
	if n := len(s.Failback.Ramp); n == 0 || s.Failback.Ramp[n-1] != 100 || s.TTL.Changing > s.TTL.Settled || s.HoldDown.Step > s.HoldDown.Max {
		t.Errorf("service %+v", s)
	}
	seen := map[string]bool{}
	for _, p := range s.Pools {
		if _, ok := c.Region(p.Region); !ok || len(p.Endpoints) == 0 || p.MinHealthy < 0 || p.MinHealthy > 100 {
			t.Errorf("%s: pool %+v", s.Name, p)
		}
		for _, e := range p.Endpoints {
			if !wholeEndpoint(c, e) || seen[e.Label()] {
				t.Errorf("%s: endpoint %+v", s.Name, e)
			}
			seen[e.Label()] = true
		}
	}
}

func wholeEndpoint(c *Config, e Endpoint) bool {
	if e.Name != "" {
		return !e.Address.IsValid() && e.Weight >= 1
	}
	_, refused := c.Targets().Forbidden(e.Address)
	return !refused && e.Weight >= 1
}
