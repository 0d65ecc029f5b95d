// Package health turns probe results and the passing of time into verdicts.
//
// It is pure: no clock, no random source, no I/O. The time of a probe and the
// present instant come in as values, so a day of probes runs in a test in
// microseconds and a scenario file can be replayed exactly.
package health

// Cause says why a probe did not succeed. The zero value is CauseNone: it did.
type Cause uint8

// The causes, grouped by what they say about the endpoint.
const (
	CauseNone Cause = iota

	// Dark: nothing answers.
	CauseRefused     // the connection was refused (RST to SYN, ICMP port unreachable)
	CauseTimeout     // silence until the timeout
	CauseUnreachable // ICMP host, network or administratively unreachable
	CauseNoAddress   // the endpoint's name has no address to probe

	// Sick: something answers, but not what we want.
	CauseReset      // the peer accepted and then closed or reset
	CauseTLS        // the handshake failed: alert, no common version, not TLS at all
	CauseTLSExpired // certificate outside its validity
	CauseTLSName    // certificate is for another name
	CauseTLSUnknown // certificate not signed by a trusted authority
	CauseStatus     // HTTP status outside the expected ranges
	CauseBody       // body does not match
	CauseGRPC       // grpc.health.v1 status other than SERVING, or an RPC error
	CauseRcode      // DNS response code other than the expected one
	CauseAnswer     // DNS answer other than the expected one
	CauseProtocol   // an answer that is not the protocol

	// Local: the fault is ours, and says nothing about the endpoint.
	CauseNoRoute     // no route or no source address for this family here
	CauseDescriptors // out of file descriptors
	CausePorts       // out of local ports or buffers
	CausePermission  // the system refused us (icmp without rights, a local firewall)
	CauseLate        // the probe started or ended over 25 % of its timeout late
	CauseForbidden   // the target lies in a range that probes never go to
	CauseClock       // the clock was set by over a minute, and only by the new time is a certificate outside its validity

	// Set by people and by rules, never by a probe.
	CauseOverride // an operator's `down`

	numCauses
)

var causeNames = [numCauses]string{
	CauseNone:        "ok",
	CauseRefused:     "refused",
	CauseTimeout:     "timeout",
	CauseUnreachable: "unreachable",
	CauseNoAddress:   "no_address",
	CauseReset:       "reset",
	CauseTLS:         "tls",
	CauseTLSExpired:  "tls_expired",
	CauseTLSName:     "tls_name",
	CauseTLSUnknown:  "tls_untrusted",
	CauseStatus:      "status",
	CauseBody:        "body",
	CauseGRPC:        "grpc",
	CauseRcode:       "rcode",
	CauseAnswer:      "answer",
	CauseProtocol:    "protocol",
	CauseNoRoute:     "local_no_route",
	CauseDescriptors: "local_descriptors",
	CausePorts:       "local_ports",
	CausePermission:  "local_permission",
	CauseLate:        "local_late",
	CauseForbidden:   "local_forbidden",
	CauseClock:       "local_clock",
	CauseOverride:    "override",
}

// String returns the cause's stable name, as used in metrics, logs and JSON.
func (c Cause) String() string {
	if c < numCauses {
		return causeNames[c]
	}
	return "invalid"
}

// MarshalText implements encoding.TextMarshaler.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A name that this version
// does not know (state written by a newer one) becomes CauseTimeout, the cause
// that says least.
func (c *Cause) UnmarshalText(b []byte) error {
	*c = CauseTimeout
	for i, n := range causeNames {
		if n == string(b) {
			*c = Cause(i)
		}
	}
	return nil
}

// OK reports whether the probe succeeded.
func (c Cause) OK() bool { return c == CauseNone }

// Dark reports whether nothing answered.
func (c Cause) Dark() bool {
	return c >= CauseRefused && c <= CauseNoAddress || c == CauseOverride
}

// Sick reports whether something answered, but wrongly.
func (c Cause) Sick() bool { return c >= CauseReset && c <= CauseProtocol }

// Local reports whether the fault is the observer's own. A local cause is no
// news of the endpoint and never counts for or against it.
func (c Cause) Local() bool { return c >= CauseNoRoute && c <= CauseClock }

// Answered reports whether the failure is an answer of the other side, which
// packet loss cannot make. Such failures count until a full row of successes.
func (c Cause) Answered() bool { return c == CauseRefused || c.Sick() }
