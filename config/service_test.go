package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// withPools returns a file with one service that has the given pools, each an
// item of the list.
func withPools(pools ...string) string {
	return "monitors: {web: {type: https}}\nservices:\n  shop.example.org:\n    monitors: [web]\n    pools:\n      - " +
		strings.Join(pools, "\n      - ") + "\n"
}

func TestBothPoolFormsMeanTheSame(t *testing.T) {
	short := mustParse(t, withPools(`aws/us-east-1: [192.0.2.10, "2001:DB8::10", lb.example.net]`, `gcp/europe-west1: [{address: 198.51.100.7, weight: 3}]`))
	for name, pools := range map[string][]string{
		"flow": {
			`{region: aws/us-east-1, endpoints: [192.0.2.10, "2001:db8::10", LB.example.net.]}`,
			`{region: gcp/europe-west1, endpoints: [{address: 198.51.100.7, weight: 3}]}`,
		},
		"block": {
			"region: aws/us-east-1\n        endpoints:\n          - address: 192.0.2.10\n            weight: 1\n          - {address: \"2001:db8::10\", enabled: true}\n          - {address: lb.example.net}",
			"endpoints: [{weight: 3, address: 198.51.100.7}]\n        region: gcp/europe-west1",
		},
	} {
		long := mustParse(t, withPools(pools...))
		if !reflect.DeepEqual(short.Services, long.Services) || !reflect.DeepEqual(short.Regions, long.Regions) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", name, long.Services, short.Services)
		}
	}
	want := []Pool{
		{Region: "aws/us-east-1", MinHealthy: 50, Endpoints: []Endpoint{
			{Address: netip.MustParseAddr("192.0.2.10"), Weight: 1, Enabled: true},
			{Address: netip.MustParseAddr("2001:db8::10"), Weight: 1, Enabled: true},
			{Name: "lb.example.net.", Weight: 1, Enabled: true},
		}},
		{Region: "gcp/europe-west1", MinHealthy: 50, Endpoints: []Endpoint{
			{Address: netip.MustParseAddr("198.51.100.7"), Weight: 3, Enabled: true},
		}},
	}
	if got := short.Services[0].Pools; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestServiceDefaults(t *testing.T) {
	c := mustParse(t, withPools("aws/us-east-1: [192.0.2.10]"))
	got := c.Services[0]
	got.Pools = nil
	want := Service{
		Name: "shop.example.org.", Mode: Act, Policy: Failover, Monitors: []string{"web"}, Families: "together", Flatten: true,
		TTL:        TTL{30 * time.Second, 5 * time.Second},
		HoldDown:   HoldDown{30 * time.Second, 15 * time.Minute, 30 * time.Minute},
		Failback:   Failback{After: 5 * time.Minute, Max: 30 * time.Minute, Ramp: []int{10, 25, 50, 100}, Step: time.Minute},
		LastResort: LastResort{Mode: "order"},
		Line:       3, Col: 3,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestExampleShowsTheBuiltInValues holds the defaults block of the example,
// which says that it does, and a file without one to the same result.
func TestExampleShowsTheBuiltInValues(t *testing.T) {
	c, err := Load(filepath.Join("examples", "three-clouds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	bare := mustParse(t, withPools("aws/us-east-1: [192.0.2.10]"))
	a, b := c.Services[0], bare.Services[0]
	if a.TTL != b.TTL || a.HoldDown != b.HoldDown || !reflect.DeepEqual(a.Failback, b.Failback) ||
		!reflect.DeepEqual(a.LastResort, b.LastResort) || a.Pools[0].MinHealthy != b.Pools[0].MinHealthy {
		t.Errorf("example %+v, built in %+v", a, b)
	}
	if c.Monitors[0].Timing != bare.Monitors[0].Timing || c.Limits != bare.Limits || c.Probes.MaxInFlight != bare.Probes.MaxInFlight ||
		c.Metrics != bare.Metrics || bare.Metrics.Services != 1000 {
		t.Errorf("example %+v %+v, built in %+v %+v", c.Monitors[0].Timing, c.Limits, bare.Monitors[0].Timing, bare.Limits)
	}
	if c.Recursion.Private != bare.Recursion.Private || bare.Admin.Listen != nil {
		t.Errorf("recursion %+v, admin %v", bare.Recursion, c.Admin.Listen)
	}
}

func TestSingleWriter(t *testing.T) {
	file := func(lines string) string {
		return "defaults: {failback: {ramp: [50, 100]}, last_resort: {mode: all}}\n" + withPools("aws/us-east-1: [192.0.2.10]") + lines
	}
	s := mustParse(t, file("    single_writer: true\n")).Services[0]
	if !s.SingleWriter || !s.Failback.Manual || !slices.Equal(s.Failback.Ramp, []int{100}) || s.LastResort.Mode != "order" {
		t.Errorf("%+v", s)
	}
	s = mustParse(t, file("    last_resort: {mode: none}\n    failback: {after: 1m}\n    single_writer: true\n")).Services[0]
	if !s.Failback.Manual || s.Failback.After != time.Minute || s.LastResort.Mode != "none" {
		t.Errorf("what the service says after the preset: %+v", s)
	}
	s = mustParse(t, file("    single_writer: false\n")).Services[0]
	if s.Failback.Manual || len(s.Failback.Ramp) != 2 || s.LastResort.Mode != "all" {
		t.Errorf("without the preset: %+v", s)
	}
}

// TestQuota holds the percentage that stands for a number of endpoints to the
// rule that reads it: rounded up, it gives the number back.
func TestQuota(t *testing.T) {
	for n := 1; n <= 100; n++ {
		for count := 0; count <= n; count++ {
			p := quota{counted: true, count: count}.of(n)
			if got := (p*n + 99) / 100; got != count {
				t.Errorf("%d of %d gives %d%%, which is %d", count, n, p, got)
			}
		}
	}
	if p := (quota{counted: true, count: 1}).of(250); p != 1 {
		t.Errorf("1 of 250 gives %d%%, want the least that is not less", p)
	}
}

func TestMinHealthy(t *testing.T) {
	const pools = "{region: aws/us-east-1, endpoints: [192.0.2.1, 192.0.2.2, 192.0.2.3]%s}"
	tests := []struct {
		defaults, service, pool string
		want                    int
	}{
		{"", "", "", 50},
		{"70%", "", "", 70},
		{"70%", "60%", "", 60},
		{"70%", "60%", "0%", 0},
		{"", "", "2", 66},
		{"1", "", "", 33},
		{"", "3", "", 100},
	}
	for _, tt := range tests {
		file := withPools(fmt.Sprintf(pools, optional(", min_healthy: ", tt.pool))) + optional("    min_healthy: ", tt.service) + "\n" +
			optional("defaults: {min_healthy: ", tt.defaults)
		if tt.defaults != "" {
			file += "}"
		}
		if got := mustParse(t, file).Services[0].Pools[0].MinHealthy; got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
}

func optional(key, value string) string {
	if value == "" {
		return ""
	}
	return key + value
}

func TestEveryKey(t *testing.T) {
	c, err := Load(filepath.Join("testdata", "every-key.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.Path)
	m, s := c.Monitors[0], c.Services[0]
	for name, pair := range map[string][2]any{
		"mode":          {c.Mode, Observe},
		"limits":        {c.Limits, Limits{30, 30 * time.Second, 10, 4}},
		"max_in_flight": {c.Probes.MaxInFlight, 500},
		"metrics":       {c.Metrics, Metrics{200}},
		"clients":       {c.Regions[0].Clients, []netip.Prefix{netip.MustParsePrefix("10.64.0.0/12"), netip.MustParsePrefix("192.0.2.7/32")}},
		"near":          {c.Regions[0].Near, []string{"gcp/europe-west1"}},
		"host":          {m.Host, "shop.example.org"},
		"path":          {m.Path, "/healthz?full=1"},
		"method":        {m.Method, "HEAD"},
		"headers":       {m.Headers, map[string]string{"X-Probe": "detour"}},
		"status":        {m.Expect.Status, []StatusRange{{200, 200}, {300, 301}}},
		"ca_file":       {m.CAFile, filepath.Join(dir, "ca.pem")},
		"votes":         {m.Votes, false},
		"timing":        {m.Timing, Timing{4 * time.Second, time.Second, 1, 2, 1, 500 * time.Millisecond, time.Minute}},
		"query":         {c.Monitors[2].Query, Query{"example.org.", "AAAA"}},
		"dns over tls":  {c.Monitors[2].Port, uint16(853)},
		"verify":        {c.Monitors[2].Verify, false},
		"rcode":         {c.Monitors[2].Expect.Rcode, "NXDOMAIN"},
		"grpc service":  {c.Monitors[3].Service, "orders.v1"},
		"service mode":  {s.Mode, Act},
		"srv":           {c.Services[1].SRV, []string{"_https._tcp"}},
		"except":        {s.Except, []string{"mail.example.org."}},
		"booleans":      {[]bool{s.Sticky, s.Public, s.Flatten, s.SingleWriter}, []bool{true, true, false, false}},
		"ttl":           {s.TTL, TTL{20 * time.Second, 10 * time.Second}},
		"hold_down":     {s.HoldDown, HoldDown{2 * time.Minute, 20 * time.Minute, time.Hour}},
		"failback":      {s.Failback, Failback{false, 10 * time.Minute, time.Hour, []int{50, 100}, 2 * time.Minute}},
		"last_resort":   {s.LastResort, LastResort{Mode: "none"}},
		"pool":          {[]int{s.Pools[0].Weight, s.Pools[0].MinHealthy, s.Pools[1].MinHealthy}, []int{7, 100, 100}},
		"zone":          {c.Zones, []Zone{{"example.org.", []string{"ns1.example.org."}, "dns.example.org.", 10 * time.Second}}},
		"target":        {c.Overrides[0].Target, "*.example.org./lb.example.net"},
		"until":         {c.Overrides[0].Until.Unix(), int64(1896112800)},
		"forwarders":    {c.Forwarders, []netip.Prefix{netip.MustParsePrefix("10.0.0.53/32")}},
		"admin":         {c.Admin.Listen.String(), "tcp://10.0.0.53:8053"},
		"files":         {[]string{c.Admin.CertFile, c.Admin.KeyFile, c.Admin.TokenFile}, []string{filepath.Join(dir, "tls/cert.pem"), "/tls/key.pem", filepath.Join(dir, "token")}},
		"state":         {c.State.Dir, "/srv/detour"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %+v, want %+v", name, pair[0], pair[1])
		}
	}
}
