package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
)

func TestCanaries(t *testing.T) {
	timing := mustParse(t, "monitors: {m: {type: icmp}}").Monitors[0].Timing
	ok := []StatusRange{{200, 299}}
	tests := []struct {
		url, addr string
		want      Monitor
	}{
		{"tcp://10.20.0.10:443", "10.20.0.10", Monitor{Type: TCP, Port: 443}},
		{"tcp://[2001:db8::1]:53", "2001:db8::1", Monitor{Type: TCP, Port: 53}},
		{"tls://10.20.0.10", "10.20.0.10", Monitor{Type: TLS, Port: 443}},
		{"icmp://203.0.113.1", "203.0.113.1", Monitor{Type: ICMP}},
		{"icmp://[2001:db8::1]", "2001:db8::1", Monitor{Type: ICMP}},
		{"http://10.20.0.10", "10.20.0.10", Monitor{Type: HTTP, Port: 80, Path: "/", Method: "GET", Expect: Expect{Status: ok}}},
		{"https://10.20.8.10/healthz?a=b", "10.20.8.10", Monitor{Type: HTTPS, Port: 443, Path: "/healthz?a=b", Method: "GET", Expect: Expect{Status: ok}}},
		{"grpc://10.20.8.10:50051", "10.20.8.10", Monitor{Type: GRPC, Port: 50051}},
		{"grpc://10.20.8.10:50051/orders.v1.Orders", "10.20.8.10", Monitor{Type: GRPC, Port: 50051, Service: "orders.v1.Orders"}},
		{"dns://192.0.2.1", "192.0.2.1", Monitor{Type: DNS, Port: 53, Query: Query{".", "NS"}, Expect: Expect{Rcode: "NOERROR"}}},
		{"dns://192.0.2.1:5353/Example.org", "192.0.2.1", Monitor{Type: DNS, Port: 5353, Query: Query{"example.org.", "A"}, Expect: Expect{Rcode: "NOERROR"}}},
		{"dns://192.0.2.1:53/example.org?type=AAAA", "192.0.2.1", Monitor{Type: DNS, Port: 53, Query: Query{"example.org.", "AAAA"}, Expect: Expect{Rcode: "NOERROR"}}},
	}
	for _, tt := range tests {
		c := mustParse(t, fmt.Sprintf("self: {checks: [%q]}", tt.url))
		want := Canary{URL: tt.url, Addr: netip.MustParseAddr(tt.addr), Monitor: tt.want}
		want.Monitor.Name, want.Monitor.Verify, want.Monitor.Votes, want.Monitor.Timing = tt.url, true, true, timing
		if got := c.Self.Checks[0]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", tt.url, got, want)
		}
	}
}
