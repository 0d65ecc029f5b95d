package server

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
)

// directives are the plugins in the order in which a query meets them: that of
// stock CoreDNS without the plugins that we leave out, with two of our own.
// `failover` stands directly above `cache`, so that the TTL of a service's
// answer is the one that its clients get. `dnssec` stands directly above
// `failover`; where stock has it, below `cache`, it would never see a service.
// `guard` stands directly below `cache`, which repeats negative answers and strips
// extended errors: only there is seen what the backends say.
var directives = []string{
	"root",
	"metadata",
	"cancel",
	"proxyproto",
	"quic",
	"grpc_server",
	"https",
	"https3",
	"timeouts",
	"multisocket",
	"reload",
	"nsid",
	"bufsize",
	"bind",
	"debug",
	"ready",
	"health",
	"pprof",
	"shed",
	"prometheus",
	"errors",
	"log",
	"dnstap",
	"local",
	"dns64",
	"any",
	"loadbalance",
	"tsig",
	"rewrite",
	"autopath",
	"acl",
	"dnssec",
	"failover",
	"cache",
	"guard",
	"header",
	"tls",
	"minimal",
	"template",
	"transfer",
	"hosts",
	"route53",
	"azure",
	"clouddns",
	"k8s_external",
	"kubernetes",
	"file",
	"auto",
	"secondary",
	"etcd",
	"loop",
	"forward",
	"grpc",
	"erratic",
	"whoami",
	"view",
}

// stockDirectives is CoreDNS's own list, kept for the test that compares them.
var stockDirectives = slices.Clone(dnsserver.Directives)

// The list is the process's, and must stand before anything parses a Corefile.
func init() {
	if err := dnsserver.SetDirectives(directives); err != nil {
		panic(err) // a name twice or an empty one: no build of ours gets past its tests
	}
}

// Directives returns the names that a Corefile may use, in their order.
func Directives() []string { return slices.Clone(directives) }
