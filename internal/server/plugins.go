package server

// The plugins that a cluster's or a site's resolver needs, and no others: each
// one is code that answers strangers. What stock CoreDNS has and we leave out:
// chaos, dynupdate, geoip, nomad, on, sign, siit, and trace, which brings the
// agents of two vendors into a process that should bring none.
import (
	_ "github.com/coredns/coredns/plugin/acl"          // who may ask
	_ "github.com/coredns/coredns/plugin/any"          // minimal answers to ANY
	_ "github.com/coredns/coredns/plugin/auto"         // zone files of a folder
	_ "github.com/coredns/coredns/plugin/autopath"     // a pod's search path in one round trip
	_ "github.com/coredns/coredns/plugin/azure"        // zones of Azure DNS
	_ "github.com/coredns/coredns/plugin/bind"         // addresses to listen on
	_ "github.com/coredns/coredns/plugin/bufsize"      // no fragments
	_ "github.com/coredns/coredns/plugin/cache"        // answers of others
	_ "github.com/coredns/coredns/plugin/cancel"       // a bound for slow backends
	_ "github.com/coredns/coredns/plugin/clouddns"     // zones of Google Cloud DNS
	_ "github.com/coredns/coredns/plugin/debug"        // panics are shown
	_ "github.com/coredns/coredns/plugin/dns64"        // hosts without IPv4
	_ "github.com/coredns/coredns/plugin/dnssec"       // signs what we answer
	_ "github.com/coredns/coredns/plugin/dnstap"       // a record of each query
	_ "github.com/coredns/coredns/plugin/erratic"      // faults on purpose, for drills
	_ "github.com/coredns/coredns/plugin/errors"       // errors in the log
	_ "github.com/coredns/coredns/plugin/etcd"         // names in etcd
	_ "github.com/coredns/coredns/plugin/file"         // zone files
	_ "github.com/coredns/coredns/plugin/forward"      // other resolvers
	_ "github.com/coredns/coredns/plugin/grpc"         // other resolvers over gRPC
	_ "github.com/coredns/coredns/plugin/grpc_server"  // limits of a gRPC listener
	_ "github.com/coredns/coredns/plugin/header"       // flags of answers
	_ "github.com/coredns/coredns/plugin/health"       // the process lives
	_ "github.com/coredns/coredns/plugin/hosts"        // /etc/hosts
	_ "github.com/coredns/coredns/plugin/https"        // limits of a DoH listener
	_ "github.com/coredns/coredns/plugin/https3"       // limits of a DoH3 listener
	_ "github.com/coredns/coredns/plugin/k8s_external" // names of a cluster for the outside
	_ "github.com/coredns/coredns/plugin/kubernetes"   // names of a cluster
	_ "github.com/coredns/coredns/plugin/loadbalance"  // the order of addresses
	_ "github.com/coredns/coredns/plugin/local"        // localhost stays here
	_ "github.com/coredns/coredns/plugin/log"          // queries in the log
	_ "github.com/coredns/coredns/plugin/loop"         // finds forwarding loops
	_ "github.com/coredns/coredns/plugin/metadata"     // facts about a query, for others
	_ "github.com/coredns/coredns/plugin/metrics"      // directive prometheus
	_ "github.com/coredns/coredns/plugin/minimal"      // small answers
	_ "github.com/coredns/coredns/plugin/multisocket"  // more than one socket for an address
	_ "github.com/coredns/coredns/plugin/nsid"         // which server answered
	_ "github.com/coredns/coredns/plugin/pprof"        // profiles
	_ "github.com/coredns/coredns/plugin/proxyproto"   // client addresses behind a load balancer
	_ "github.com/coredns/coredns/plugin/quic"         // limits of a DoQ listener
	_ "github.com/coredns/coredns/plugin/ready"        // the process may be asked
	_ "github.com/coredns/coredns/plugin/reload"       // watches the Corefile
	_ "github.com/coredns/coredns/plugin/rewrite"      // other names and types
	_ "github.com/coredns/coredns/plugin/root"         // where files stand
	_ "github.com/coredns/coredns/plugin/route53"      // zones of AWS Route 53
	_ "github.com/coredns/coredns/plugin/secondary"    // zones of another server
	_ "github.com/coredns/coredns/plugin/shed"         // sheds load
	_ "github.com/coredns/coredns/plugin/template"     // answers by pattern
	_ "github.com/coredns/coredns/plugin/timeouts"     // of connections
	_ "github.com/coredns/coredns/plugin/tls"          // certificates of listeners
	_ "github.com/coredns/coredns/plugin/transfer"     // zones to other servers
	_ "github.com/coredns/coredns/plugin/tsig"         // signed transfers
	_ "github.com/coredns/coredns/plugin/view"         // blocks for some clients only
	_ "github.com/coredns/coredns/plugin/whoami"       // who asks, for drills

	_ "github.com/detour-dns/detour/plugin/failover" // our services
	_ "github.com/detour-dns/detour/plugin/guard"    // names of others that must not vanish
)
