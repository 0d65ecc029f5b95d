// Package admin is the HTTP API of a running resolver: its wire types, the
// server, a client, and how a status reads on a screen.
package admin

import "time"

// What follows is the wire. Fields may be added; none is renamed, removed or
// given another meaning under /v1/. Times are RFC 3339, names are without their
// last dot, and a list is never null.

// The states of a resolver. Exit codes of `resolver status` follow them.
const (
	Healthy  = "healthy"  // all answers are where the configuration wants them
	Degraded = "degraded" // something failed, or moved, or is not as configured
	Panic    = "panic"    // some service has nothing healthy, and is answered by last resort
)

// Status is the whole resolver on one page.
type Status struct {
	State      string    `json:"state"`     // healthy, degraded or panic
	ExitCode   int       `json:"exit_code"` // 0 healthy, 1 degraded, 2 panic or a service that lost its last backup
	Sentence   string    `json:"sentence"`  // what an operator must know first
	At         time.Time `json:"at"`
	Started    time.Time `json:"started"`
	Mode       string    `json:"mode"` // act, or observe: nothing of what is decided is answered
	Generation uint64    `json:"generation"`
	Decision   string    `json:"decision_hash"` // equal on resolvers that answer alike
	Config     Config    `json:"config"`

	Moved     Moved      `json:"moved"`
	AtRisk    []Risk     `json:"at_risk"`
	Broken    []Broken   `json:"broken"` // services that fail by themselves, wherever they run
	Overrides []Override `json:"overrides"`
	Freezes   []Freeze   `json:"freezes"`
	Brake     Brake      `json:"brake"`
	Cap       Cap        `json:"cap"`
	Acts      []Act      `json:"acts"`                    // what to do about what is wrong, the most urgent first
	Next      *Next      `json:"next_failback,omitempty"` // absent: nothing waits to go back
	Sharing   *Sharing   `json:"sharing,omitempty"`       // absent: this resolver shares with nobody
	Guard     *Guard     `json:"guard,omitempty"`         // absent: no name of others is guarded
	Warnings  []string   `json:"warnings"`                // what is wrong with the resolver itself

	Confirming int `json:"confirming"` // endpoints of which a failure or a recovery is being confirmed

	Checks   Checks    `json:"checks"`
	Regions  []Region  `json:"regions"`
	Services []Service `json:"services"` // without their pools
}

// Config is the failover.yaml in use, and how its last change went.
type Config struct {
	Path  string    `json:"path"`
	Hash  string    `json:"hash"` // hex SHA-256 of the file
	At    time.Time `json:"at"`   // of the last change, taken or refused
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"` // why the last change was refused
}

// Moved counts the services that are not where the configuration wants them.
type Moved struct {
	Services int       `json:"services"`
	Writers  []string  `json:"writers"`             // of these, the single writers
	To       []Count   `json:"to"`                  // most first
	Last     time.Time `json:"last,omitzero"`       // when the last of them moved
	Clients  time.Time `json:"clients_by,omitzero"` // when no client holds an older answer
	Pending  int       `json:"pending"`             // services that a freeze keeps from moving
	Would    int       `json:"would,omitempty"`     // mode observe: services that would have moved
}

// Count is a number by region.
type Count struct {
	Region   string `json:"region"`
	Services int    `json:"services"`
}

// Risk is a service that the next failure would leave without an answer.
type Risk struct {
	Service  string   `json:"service"`
	Lost     bool     `json:"lost"` // it had a backup; false: it never has one, by its configuration
	Panic    bool     `json:"panic"`
	FrozenBy []string `json:"frozen_by,omitempty"` // of panic: owners of the freezes without which it would be well
	Thawed   []string `json:"thawed,omitempty"`    // and the regions that would answer then
	Refused  bool     `json:"refused,omitempty"`   // of panic: it is answered SERVFAIL, or
	NoData   bool     `json:"nodata,omitempty"`    // NODATA
	Hint     string   `json:"hint,omitempty"`      // what stands in the way of one
	Lift     string   `json:"lift,omitempty"`      // the override that does: ending it would help
}

// Override is what an operator decided for a target.
type Override struct {
	Target     string    `json:"target"` // region, service, or service/endpoint
	Do         string    `json:"do"`     // drain, down or up
	Reason     string    `json:"reason"`
	Owner      string    `json:"owner"`
	Made       time.Time `json:"made,omitzero"`
	Until      time.Time `json:"until,omitzero"` // absent: as long as it is in the file
	LastResort bool      `json:"last_resort,omitempty"`
	File       string    `json:"file,omitempty"` // that it stands in, and is lifted in
	Void       []string  `json:"void,omitempty"` // services that it would leave without any endpoint, and so does not act on
}

// Freeze is an operator's stop of automation.
type Freeze struct {
	Target string    `json:"target"` // region or service; "" is everything
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"`
	Until  time.Time `json:"until"`
}

// Brake is the resolver's doubt of itself: while it is on, nothing turns down.
type Brake struct {
	On    bool      `json:"on"`
	Since time.Time `json:"since,omitzero"` // when it last went on
	Ended time.Time `json:"ended,omitzero"`
	Until time.Time `json:"until,omitzero"` // when it goes off at the latest
	Rests time.Time `json:"rests,omitzero"` // until when it does not go on again
	Fired int       `json:"fired"`          // times since the start

	SelfPassing int `json:"self_passing"` // self-checks, by their latest probe
	SelfFailing int `json:"self_failing"`
}

// Cap bounds how many regions may be held out at once.
type Cap struct {
	Limit   int      `json:"limit"`
	Used    int      `json:"used"`
	Refused []string `json:"refused"` // regions that would be down, but for the cap
}

// Next is the earliest return of traffic.
type Next struct {
	Region  string    `json:"region"`
	Service string    `json:"service"`
	At      time.Time `json:"at,omitzero"`
	Manual  bool      `json:"manual,omitempty"` // it waits for an operator
	IfUp    bool      `json:"if_up,omitempty"`  // only if everything there is up from now on
}

// Checks counts the checks.
type Checks struct {
	Total   int `json:"total"`
	Up      int `json:"up"`
	Down    int `json:"down"`
	Unknown int `json:"unknown"`
	Overdue int `json:"overdue"` // late by an interval or more: we cannot keep up
}

// Region is one failure domain.
type Region struct {
	Name            string         `json:"name"`
	Down            bool           `json:"down"`             // by verdict: all its endpoints are held
	Since           time.Time      `json:"since,omitzero"`   // of down, or of the oldest failure there
	Services        int            `json:"services"`         // that have a pool there
	Serving         int            `json:"serving"`          // that answer from there now
	NothingUp       int            `json:"nothing_up"`       // whose endpoints there are all down
	Broken          int            `json:"broken"`           // of these, that fail wherever they run while others are well
	BrokenEndpoints int            `json:"broken_endpoints"` // that are down for such services only
	Causes          map[string]int `json:"causes"`           // of those, by cause
	Endpoints       Endpoints      `json:"endpoints"`
	Evidence        int            `json:"evidence"` // services whose failure there speaks against the region
	Could           int            `json:"could"`    // services that could be evidence
	Canaries        int            `json:"canaries"`
	CanariesDown    int            `json:"canaries_down"`
	CapRefused      bool           `json:"cap_refused,omitempty"`
	Returning       int            `json:"returning,omitempty"` // services that wait for failback, or ramp
	Share           int            `json:"share,omitempty"`     // of the smallest ramp that is under way, percent
}

// Endpoints counts endpoints by verdict: one that many services have once, as the worst
// of them sees it.
type Endpoints struct {
	Up      int `json:"up"`
	Down    int `json:"down"`
	Unknown int `json:"unknown"`
	Drained int `json:"drained"`
}

// Service is one name.
type Service struct {
	Name      string    `json:"name"`
	Policy    string    `json:"policy"`
	Observe   bool      `json:"observe,omitempty"`
	State     string    `json:"state,omitempty"`     // in a status: panic, no backup, writer moved, moved, returning, reduced, suspected or ok
	Elsewhere bool      `json:"elsewhere,omitempty"` // it is answered from elsewhere than configured
	Cause     string    `json:"cause,omitempty"`     // why endpoints of it are down, with commas
	Writer    bool      `json:"single_writer,omitempty"`
	Reason    string    `json:"reason"`            // policy, moved, ramp, panic, frozen, observe
	Using     []string  `json:"using"`             // regions that it is answered from
	Fixed     bool      `json:"fixed,omitempty"`   // it is answered with the addresses of its last resort
	Refused   bool      `json:"refused,omitempty"` // it is answered SERVFAIL: last resort none, or no address is known yet; or
	NoData    bool      `json:"nodata,omitempty"`  // NODATA: last resort nodata
	Would     []string  `json:"would,omitempty"`
	Since     time.Time `json:"since,omitzero"` // of Using
	Backups   int       `json:"backups"`        // other regions that could take over now
	Frozen    bool      `json:"frozen,omitempty"`
	Pending   bool      `json:"pending,omitempty"` // frozen, and would move
	DrainHid  bool      `json:"drained_but_only_healthy,omitempty"`
	Why       []string  `json:"why"` // what is wrong with its pools, one line each
	Pools     []Pool    `json:"pools,omitempty"`
}

// Pool is the part of a service that lies in one region.
type Pool struct {
	Region    string     `json:"region"`
	Standing  string     `json:"standing"` // ready, held, doubtful, sick, dark, none; "-" after it is half a step lower
	Why       string     `json:"why"`
	InUse     bool       `json:"in_use"`
	Share     int        `json:"share"` // percent of the clients that a ramp lets in; 100 without one
	Until     time.Time  `json:"until,omitzero"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is one address or one name.
type Endpoint struct {
	Label      string    `json:"label"`
	Standing   string    `json:"standing"`
	Why        string    `json:"why"`
	Verdict    string    `json:"verdict"` // up, down, unknown
	Since      time.Time `json:"since,omitzero"`
	Cause      string    `json:"cause,omitempty"` // of down
	Confirming bool      `json:"confirming,omitempty"`
	Until      time.Time `json:"until,omitzero"`     // when it leaves hold-down
	Override   string    `json:"override,omitempty"` // target of the override that acts on it
	Checks     []Check   `json:"checks"`
}

// Check is one monitor applied to one address.
type Check struct {
	Monitor string    `json:"monitor"`
	Type    string    `json:"type"`
	Address string    `json:"address"`
	Votes   bool      `json:"votes"`
	Verdict string    `json:"verdict"`
	Since   time.Time `json:"since,omitzero"`
	Last    string    `json:"last"` // cause of the last result; "ok"; empty: there is none, as where only other resolvers probe it
	Detail  string    `json:"detail,omitempty"`
	At      time.Time `json:"at,omitzero"`          // when that probe ended
	Latency float64   `json:"latency_ms,omitempty"` // of that probe
	Expiry  time.Time `json:"certificate_expires,omitzero"`
}

// Explanation is one decision, step by step.
type Explanation struct {
	Name       string   `json:"name"`
	Service    string   `json:"service"` // may be a wildcard; "" if the name is no service
	Type       string   `json:"type"`
	Client     string   `json:"client"`
	Home       string   `json:"home,omitempty"` // region that the client is local to
	Region     string   `json:"region,omitempty"`
	Reason     string   `json:"reason"`
	Answer     string   `json:"answer"`           // addresses, record (of HTTPS, SVCB and SRV), nodata, servfail, or elsewhere: others answer
	Record     string   `json:"record,omitempty"` // what that says besides the addresses
	Addresses  []string `json:"addresses"`
	TTL        uint32   `json:"ttl"`
	Panic      bool     `json:"panic,omitempty"`
	Spread     bool     `json:"spread,omitempty"` // shares are drawn per answer, not by client
	Generation uint64   `json:"generation"`
	Steps      []string `json:"steps"`
	Says       []Saying `json:"says,omitempty"` // if all was asked for: what each observer says of each check

	Others []Answering `json:"others,omitempty"` // if all was asked for: whether each other observer answers the same
}

// Answering is whether another observer gives the same answers.
type Answering struct {
	Observer string `json:"observer"`
	Zone     string `json:"zone"`
	Decision string `json:"decision_hash"`
	Same     bool   `json:"same"` // its decisions are equal: it answers this client as this one does
}

// PutOverride is the body of PUT /v1/overrides/{target}.
type PutOverride struct {
	Do         string    `json:"do"` // drain, down or up
	Reason     string    `json:"reason"`
	Owner      string    `json:"owner"`
	For        string    `json:"for,omitempty"`         // "4h", which it is if neither is given
	Until      time.Time `json:"until,omitzero"`        // instead of for
	LastResort bool      `json:"last_resort,omitempty"` // drain: use it rather than what is dark
	BreakGlass bool      `json:"break_glass,omitempty"` // even if it leaves services without a ready region
	DryRun     bool      `json:"dry_run,omitempty"`     // say what would happen, and change nothing
}

// PutFreeze is the body of PUT /v1/freeze.
type PutFreeze struct {
	Target string    `json:"target,omitempty"` // region or service; "" is everything
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"`
	For    string    `json:"for,omitempty"` // "1h", which it is if neither is given
	Until  time.Time `json:"until,omitzero"`
}

// Hands is the reply to GET /v1/overrides: what operators decided.
type Hands struct {
	Overrides []Override `json:"overrides"`
	Freezes   []Freeze   `json:"freezes"`
}

// PostFailback is the body of POST /v1/failback.
type PostFailback struct {
	Target string `json:"target"` // region, service, or * for all
	Owner  string `json:"owner"`
	Reason string `json:"reason"`
	Now    bool   `json:"now,omitempty"` // all of it at once, without a ramp
}

// Changed is the reply to a change.
type Changed struct {
	Override *Override `json:"override,omitempty"`
	Freeze   *Freeze   `json:"freeze,omitempty"`
	DryRun   bool      `json:"dry_run,omitempty"`
	Glass    bool      `json:"break_glass,omitempty"`     // dry run: without breaking the glass it would be refused
	Replaced *Override `json:"replaced,omitempty"`        // another one on the same target, which this takes the place of
	Thawed   *Freeze   `json:"replaced_freeze,omitempty"` // another one of the same target, which this takes the place of
	Moves    []Move    `json:"moves,omitempty"`           // services that this moves
	Stays    []string  `json:"stays,omitempty"`           // services that a region's drain does not act on: it would leave them nothing
	NoReady  []string  `json:"no_ready,omitempty"`        // services that this leaves without a ready region
	NoBackup []string  `json:"no_backup,omitempty"`       // services that this takes the last backup from
	Failback int       `json:"failback,omitempty"`        // pools that were let back
	Split    []string  `json:"split,omitempty"`           // services that zones used differently: the resolvers of the other zones were told
	Warning  string    `json:"warning,omitempty"`
}

// Move is a service whose regions in use change.
type Move struct {
	Service string   `json:"service"`
	From    []string `json:"from"`
	To      []string `json:"to"`
}

// Problem is an error (RFC 9457, application/problem+json).
type Problem struct {
	Type     string   `json:"type"` // always "about:blank": title says it
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`                // what is wrong, and what to do
	Near     []string `json:"near,omitempty"`        // targets that may have been meant
	Services []string `json:"services,omitempty"`    // that a refused change would harm
	Retry    int      `json:"retry_after,omitempty"` // seconds after which it may be tried again
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }
