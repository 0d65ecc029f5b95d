package failover

import (
	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/detour-dns/detour/internal/engine"
)

// metric is one that we export. The plugin's README says what its values mean.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

// exported are all of them.
var exported []*metric

func export(kind prometheus.ValueType, name, help string, labels []string) *metric {
	d := prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, pluginName, name), help, labels, nil)
	m := &metric{d, kind}
	exported = append(exported, m)
	return m
}

func gauge(name, help string, labels ...string) *metric {
	return export(prometheus.GaugeValue, name, help, labels)
}

func counter(name, help string, labels ...string) *metric {
	return export(prometheus.CounterValue, name, help, labels)
}

func histogram(name, help string, labels ...string) *metric {
	return export(prometheus.UntypedValue, name, help, labels)
}

// Of services. Where they are summed up, service is "all".
var (
	answersTotal    = counter("answers_total", "Answers by service, region they came from, and reason.", "service", "region", "reason")
	serviceStanding = gauge("service_standing", "Rank of a service's pool in a region: 0 none, 1 dark, 1.5 reserve, 2 sick, 3 doubtful, 4 held, 5 ready.", "service", "region")
	endpointStood   = gauge("endpoint_standing", "Rank of an endpoint that is not ready.", "service", "region", "endpoint")
	serviceBackups  = gauge("service_backups", "Regions that could take over a service if the one that serves it failed now.", "service")
	servicePanic    = gauge("service_panic", "1 while a service is answered from what is sick or dark, as a last resort or by a freeze, or not at all.", "service")
	onlyDrained     = gauge("drained_but_only_healthy", "1 while all that is healthy of a service is drained.", "service")
	movesTotal      = counter("moves_total", "Moves of services between regions.", "service", "from", "to", "why")
	refusedTotal    = counter("refused_moves_total", "Moves that were wanted and not made.", "why")
)

// Of regions.
var (
	regionVerdict = gauge("region_verdict", "1 while a region is judged down, else 0.", "region")
	regionRatio   = gauge("region_evidence_ratio", "Share of the services that could be evidence against a region and are.", "region")
	rampShare     = gauge("ramp_share", "Percent of the clients that returning traffic has reached; 100 if none is returning.", "region")
)

// Of what holds automation back.
var (
	brakeOn       = gauge("brake", "1 while we doubt ourselves.")
	brakeFired    = counter("brake_fired_total", "How often we began to doubt ourselves.")
	frozen        = gauge("frozen", "1 while a freeze is in force.")
	overrideLeft  = gauge("override_remaining_seconds", "Time until an override ends; +Inf if it does not.", "target", "kind")
	selfFailing   = gauge("self_checks_failing", "Self-checks that failed their latest probe.")
	checksVerdict = gauge("checks", "Checks by verdict.", "verdict")
)

// Of the other resolvers, if there is share: in failover.yaml.
var (
	observers = gauge("observers", "Resolvers of the cluster, this one included: heard, or heard with no voice (braked) or with one on some checks at most (other_checks).", "state")
	shareAge  = gauge("share_age_seconds", "Time since what resolvers share was last read well; +Inf if it never was. About ten seconds at most while the store answers.")
	checksBy  = gauge("probed_checks", "Checks that this resolver probes itself, and that it leaves to others.", "by")
	disagree  = gauge("opinions_disagree", "Checks that are seen otherwise from here than is agreed.")
)

// Of catalogs that services come from.
var (
	catalogAge     = gauge("catalog_age_seconds", "Time since the catalog of a service last answered well, of all its services the longest; +Inf if it never did.")
	catalogIgnored = gauge("catalog_instances_ignored", "Instances of catalogs that are not what they should be.")
)

// Of questions for names that are no services'.
var (
	questionsWaiting = gauge("questions_waiting", "Questions that wait for other servers.")
	questionsRefused = counter("questions_refused_total", "Questions that were refused because too many waited.")
	clientsRefused   = counter("client_questions_refused_total", "Questions of clients that `recursion` does not name.")
	rebindsBlocked   = counter("rebind_blocked_total", "Answers for public names from which addresses of private networks were taken out.")
)

// Of the resolver itself.
var (
	probeDuration = histogram("probe_duration_seconds", "How long probes took.", "type")
	probesOverdue = gauge("probes_overdue", "Checks that are late by an interval or more.")
	buildDuration = histogram("snapshot_build_seconds", "How long it took to build what is answered from.")
	configHash    = gauge("config_hash", "The first 48 bits of the hash of failover.yaml.")
	decisionHash  = gauge("decision_hash", "The first 48 bits of the hash of all decisions; equal on resolvers that answer alike.")
	reloadOK      = gauge("config_last_reload_success", "1 if the last change of failover.yaml was taken.")
	stateKept     = gauge("state_kept", "1 if a restart would remember overrides and what moved.")
	stateErrors   = counter("state_write_errors_total", "Writes of the state file that failed.")
)

// collector reads counters and snapshots when Prometheus asks.
type collector struct{ *registry }

func init() { prometheus.MustRegister(collector{engines}) }

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range exported {
		ch <- m.Desc
	}
}

// Collect implements prometheus.Collector. Under the lock no engine ends, so that
// none is read half.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := scrape{map[sample]float64{}, map[sample]engine.Histogram{}}
	for _, s := range c.shared {
		if s.engine() != nil {
			s.collect(&all)
		}
	}
	all.send(ch)
}
