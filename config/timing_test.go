package config

import (
	"testing"
	"time"
)

// TestTiming holds what of a monitor's timing follows from what.
func TestTiming(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	tests := []struct {
		name              string
		defaults, monitor string
		want              Timing
	}{
		{"built in", "", "", Timing{5 * s, 2 * s, 3, 3, 3, s, 30 * s}},
		{"short interval", "", "interval: 1s", Timing{s, s, 3, 3, 3, s, 30 * s}},
		{"shorter than confirm", "", "interval: 500ms", Timing{500 * ms, 500 * ms, 3, 3, 3, 500 * ms, 30 * s}},
		{"long interval", "", "interval: 60s", Timing{60 * s, 2 * s, 3, 3, 3, s, 302 * s}},
		{"long interval and timeout", "", "interval: 60s, timeout: 10s", Timing{60 * s, 10 * s, 3, 3, 3, s, 310 * s}},
		{"stale said", "", "interval: 10s, stale: 15s", Timing{10 * s, 2 * s, 3, 3, 3, s, 15 * s}},
		{"defaults", "interval: 10s, timeout: 4s, fall: 5", "rise: 1", Timing{10 * s, 4 * s, 3, 5, 1, s, 54 * s}},
		{"default timeout fits", "timeout: 4s", "interval: 3s", Timing{3 * s, 3 * s, 3, 3, 3, s, 30 * s}},
		{"default interval short", "interval: 1s", "interval: 10s", Timing{10 * s, 2 * s, 3, 3, 3, s, 52 * s}},
		{"default stale, own interval", "interval: 5s, timeout: 2s, stale: 30s", "interval: 60s", Timing{60 * s, 2 * s, 3, 3, 3, s, 302 * s}},
		{"default stale", "stale: 90s", "fall: 2", Timing{5 * s, 2 * s, 3, 2, 3, s, 90 * s}},
		{"default stale too short", "interval: 1s, stale: 5s", "interval: 4s, timeout: 3s, stale: 8s", Timing{4 * s, 3 * s, 3, 3, 3, s, 8 * s}},
		{"default stale, own timeout", "interval: 10s, timeout: 1s, stale: 12s", "timeout: 8s", Timing{10 * s, 8 * s, 3, 3, 3, s, 18 * s}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, "defaults: {monitor: {"+tt.defaults+"}}\nmonitors: {web: {type: icmp, "+tt.monitor+"}}\nself: {checks: [\"icmp://192.0.2.1\"]}\n")
			if got := c.Monitors[0].Timing; got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			canary := c.Self.Checks[0].Monitor.Timing
			if tt.monitor == "" && canary != tt.want || canary.Stale < canary.Interval+canary.Timeout {
				t.Errorf("canary %+v", canary)
			}
		})
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m",
		time.Hour: "1h", 10 * time.Minute: "10m", 90 * time.Minute: "1h30m", time.Hour + time.Second: "1h0m1s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) = %s, want %s", d, got, want)
		}
	}
}
