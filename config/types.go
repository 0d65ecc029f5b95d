// Package config reads failover.yaml into a typed, defaulted and validated
// Config. Every fault in a file is reported at once, as file:line:col.
package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"time"
)

// Config is one failover.yaml: parsed, defaulted, validated. It is not changed
// after Load returns it. Orders are those of the file.
type Config struct {
	Path string // absolute; the key under which engines are shared
	Hash string // hex SHA-256 of the file's bytes

	Mode       Mode
	Regions    []Region // named anywhere as where something lives, in order of first mention
	Monitors   []Monitor
	Services   []Service // those of sources as well
	Sources    []Source
	Self       Self
	Share      Share
	Limits     Limits
	Probes     Probes
	Metrics    Metrics
	Zones      []Zone
	Recursion  Networks // with the regions' networks if it has `private`
	Rebind     Rebind
	Overrides  []Override
	Forwarders []netip.Prefix
	ECSTrust   []netip.Prefix
	Admin      Admin
	State      State
	Warnings   []Fault // what does not fail a check, sorted by position

	size  Bound // what the file holds
	index index
}

// Region is a failure domain.
type Region struct {
	Name     string         // provider/name, lower case
	Networks []netip.Prefix // addresses that live there
	Clients  []netip.Prefix // clients that are local to it; Networks if the file says none
	Canaries []Canary
	Near     []string // other regions, nearest first
}

// Canary is a check given as a URL: tcp://, tls://, http://, https://, grpc://,
// dns:// or icmp://, with a literal address as the host.
type Canary struct {
	URL     string
	Monitor Monitor    // with the defaults
	Addr    netip.Addr // what to probe
}

// MonitorType is a kind of probe.
type MonitorType string

// The monitor types.
const (
	TCP   MonitorType = "tcp"
	TLS   MonitorType = "tls"
	HTTP  MonitorType = "http"
	HTTPS MonitorType = "https"
	GRPC  MonitorType = "grpc"
	DNS   MonitorType = "dns"
	ICMP  MonitorType = "icmp"

	// ConsulChecks is what Consul's own checks say of its instances. It is never
	// probed, and has no port.
	ConsulChecks MonitorType = "consul"
)

// Monitor says how endpoints are checked. Every field is resolved: zero means
// zero, not "default", save where said.
type Monitor struct {
	Name string
	Type MonitorType
	Port uint16 // 0 only for icmp and with OfInstance

	OfInstance bool // the port is the one that a catalog says of each instance

	Path    string            // http, https: path and query; grpc: not used
	Host    string            // Host header, SNI and the name to verify, without last dot; "" = the service's name, or a canary's address
	Method  string            // http, https: GET or HEAD
	Headers map[string]string // http, https
	Expect  Expect
	Query   Query  // dns
	Service string // grpc: service to ask for, "" = the whole server
	UseTLS  bool   // grpc over TLS, dns over TLS
	CAFile  string // PEM with authorities to trust instead of the system's
	Verify  bool   // verify the certificate; true unless `verify: false`
	Votes   bool   // false: shown, never counts
	Timing  Timing
}

// Timing is when probes run and how many of them decide. See health.Params.
type Timing struct {
	Interval time.Duration // start to start
	Timeout  time.Duration // of one probe, all attempts together; <= Interval
	Attempts int           // sends within Timeout while nothing is heard; 1..5
	Fall     int           // failures in a row that turn Up into Down; 1..20
	Rise     int           // successes in a row that turn Down into Up; 1..20
	Confirm  time.Duration // start to start while a change is being confirmed
	Stale    time.Duration // without news for this long: Unknown
}

// Expect is what a probe must see.
type Expect struct {
	Status []StatusRange  // http, https; empty = 200-299
	Body   *regexp.Regexp // http, https; nil = any; matched in the first 64 KiB
	Rcode  string         // dns; "NOERROR" unless said
	Answer []string       // dns: records' rdata of which one must be there; empty = any
}

// StatusRange is an inclusive range of HTTP status codes.
type StatusRange struct{ Low, High int }

// Query is what a dns monitor asks.
type Query struct {
	Name string // owner name, with last dot; "" = the service's name, never "" for a canary
	Type string // "A" unless said
}

// Policy says how a service chooses among its pools of the best standing.
type Policy string

// The policies.
const (
	Failover Policy = "failover"
	Weighted Policy = "weighted"
	Nearest  Policy = "nearest"
	All      Policy = "all"
)

// Mode says whether decisions reach the answers.
type Mode string

// The modes.
const (
	Act     Mode = "act"
	Observe Mode = "observe"
)

// Service is one DNS name that we steer.
type Service struct {
	Name     string // lower case, with last dot; a wildcard's begins with "*."
	Mode     Mode   // the file's mode unless said
	Policy   Policy
	Monitors []string // names, in order
	Pools    []Pool   // in order of priority; of a service with From those that Discover gave it
	From     *Origin  // where its endpoints come from; nil = this file

	Port   uint16   // 0 = HTTPS and SRV are not answered
	ALPN   []string // for HTTPS records
	SRV    []string // "_https._tcp": owners below Name that are ours
	Except []string // names below a wildcard that are not ours; lower case, with last dot

	Families     string // "together" or "separate": whether A and AAAA must come from one pool
	Sticky       bool   // a client keeps its pool from minute to minute (weighted)
	Public       bool   // answered whatever `recursion:` says
	Flatten      bool   // names as endpoints are answered as addresses; true unless `flatten: false`
	SingleWriter bool

	TTL        TTL
	HoldDown   HoldDown
	Failback   Failback
	LastResort LastResort
	Line, Col  int
}

// Pool is a set of endpoints in one region that are tried together.
type Pool struct {
	Region     string
	Weight     int // policy weighted: 0 = sum of its endpoints' weights
	MinHealthy int // percent of the enabled endpoints, rounded up to whole ones; 0..100
	Endpoints  []Endpoint
	Late       bool // a catalog listed its region only after it had answered without
}

// Endpoint is one address or one target name.
type Endpoint struct {
	Address netip.Addr // valid if the endpoint is an address
	Name    string     // else the target name, lower case with last dot
	Weight  int        // >= 1
	Enabled bool       // true unless `enabled: false`
	Ports   []Port     // of the instances at the address that a catalog lists, in order; none: it says none
}

// Port is a port on which instances at an address serve.
type Port struct {
	Number uint16
	Weight uint16 // in SRV
}

// Label returns the endpoint as operators write it: its address, or its name
// without the last dot.
func (e Endpoint) Label() string {
	if e.Address.IsValid() {
		return e.Address.String()
	}
	return plain(e.Name)
}

// TTL is the lifetime of answers.
type TTL struct{ Settled, Changing time.Duration }

// HoldDown is how long an endpoint must be Up before it is used again:
// Step x ejections within Window, at most Max.
type HoldDown struct{ Step, Max, Window time.Duration }

// Failback is how traffic returns to a better pool: not before
// After x ejections within HoldDown.Window (at most Max), then by Ramp percent
// every Step.
type Failback struct {
	Manual bool
	After  time.Duration
	Max    time.Duration
	Ramp   []int
	Step   time.Duration
}

// LastResort is what is answered when everything is sick or dark.
type LastResort struct {
	Mode      string // order, all, none, addresses
	Addresses []netip.Addr
}

// Self is this resolver as an observer.
type Self struct {
	Name   string // unique among those that share; the host's name unless said
	Zone   string // "" = not said
	Checks []Canary
}

// Share is where several resolvers agree on one verdict. Without a Consul this one
// is alone.
type Share struct {
	Cluster string         // those of one name agree with one another
	Quorum  int            // observers that must say what is agreed; 0 = as the zones decide
	Expect  map[string]int // observers of each zone: beyond it the youngest have no voice; a zone that is not named may have any number
	Consul  []Store
}

// Store is one Consul datacenter in which resolvers meet.
type Store struct {
	Datacenter string // "" = that of the agent
	Region     string // where its servers are, "" = not said
	Address    *url.URL
	TokenFile  string
	CAFile     string
	CertFile   string
	KeyFile    string
	ServerName string // to verify, instead of the address's host
}

// Limits bounds what automation may do at once. Percentages are 0..100.
type Limits struct {
	RegionsOut  int
	Brake       time.Duration
	ReloadMoves int
	MaxAnswers  int
}

// Probes bounds the probing.
type Probes struct {
	MaxInFlight  int // 0 = auto
	AllowTargets []netip.Prefix
}

// Metrics bounds what is exported.
type Metrics struct {
	Services int // with more of them, series are summed up over services
}

// Zone is a zone whose apex SOA and NS are ours.
type Zone struct {
	Name    string // with last dot
	NS      []string
	Mbox    string
	Minimum time.Duration
}

// Networks is a set of client networks; Private adds loopback, RFC 1918,
// RFC 6598, ULA and link-local.
type Networks struct {
	Private  bool
	Prefixes []netip.Prefix
}

// Override is an operator's decision kept in the file.
type Override struct {
	Target     string // region, service with last dot, or service with last dot/Endpoint.Label
	Do         string // drain, down, up
	LastResort bool   // drain only: usable below sick, above dark
	BreakGlass bool
	Reason     string
	Owner      string
	Until      time.Time // zero: as long as it is in the file
	Line, Col  int
}

// Admin is where the admin API listens.
type Admin struct {
	Off       bool
	Listen    *url.URL // tcp://host:port or unix:///path; nil: a socket, in the first place that can be used
	CertFile  string
	KeyFile   string
	TokenFile string
}

// State is where what survives a restart is kept.
type State struct {
	Dir string // absolute; "" = none could be found
}
