package consul

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/health"
	"github.com/detour-dns/detour/internal/share"
)

// Values are JSON, so that `consul kv get` shows what they are; lists of checks in
// it are packed, for every observer reads those of all others once a second when
// a region fails: 500 verdicts are 8 kB.

// Bounds of what is written and of what is believed. Consul takes 512 KiB for a
// value and for a transaction.
const (
	maxStores    = 8
	maxObservers = 64 // of one zone
	maxZones     = 64
	maxRecords   = 10_000
	maxWho       = 256 << 10
	maxOp        = 64 << 10
	maxRecord    = 4 << 10
	maxText      = 128
	maxTarget    = 512
	maxDigests   = 1024                 // a later version may have more than this one
	maxAge       = 10 * 365 * 24 * 3600 // seconds
	maxVersion   = 1 << 53              // what JSON readers still take as a whole number
)

var kinds = map[string]bool{share.Override: true, share.Freeze: true, share.Failback: true}

// who is the value under who/. AssignedSeq grows with each change of the rest.
type who struct {
	Boot        string    `json:"boot"`
	Version     string    `json:"version"`
	Plan        string    `json:"plan"`
	Buckets     digests   `json:"buckets,omitempty"`
	AssignedSeq uint64    `json:"assigned_seq"`
	Assigned    *assigned `json:"assigned,omitempty"` // none: all
}

// op is the value under op/. Seq grows with each change of it and of who.
type op struct {
	Boot        string   `json:"boot"`
	Seq         uint64   `json:"seq"`
	AssignedSeq uint64   `json:"assigned_seq"`
	Braked      bool     `json:"braked,omitempty"`
	Decision    string   `json:"decision"`
	Judged      []judged `json:"judged,omitempty"`
	Summed      []summed `json:"summed,omitempty"`
}

// judged is checks that share a verdict and its cause.
type judged struct {
	Verdict health.Verdict `json:"verdict"`
	Cause   health.Cause   `json:"cause"`
	Checks  packed         `json:"checks"`
	Ages    []int64        `json:"ages"` // seconds, in the order of Checks
}

type summed struct {
	Region string       `json:"region"`
	Cause  health.Cause `json:"cause"`
	Except packed       `json:"except"`
}

// packed is check IDs as base64 of eight bytes each, high byte first.
type packed []uint64

// MarshalText implements encoding.TextMarshaler.
func (p packed) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 8*len(p))
	for _, id := range p {
		raw = binary.BigEndian.AppendUint64(raw, id)
	}
	return base64.RawStdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *packed) UnmarshalText(text []byte) error {
	raw, err := base64.RawStdEncoding.AppendDecode(nil, text)
	if err != nil || len(raw)%8 != 0 {
		return errors.New("not a list of checks")
	}
	*p = make(packed, 0, len(raw)/8)
	for ; len(raw) > 0; raw = raw[8:] {
		*p = append(*p, binary.BigEndian.Uint64(raw))
	}
	return nil
}

// digests is what tells which checks an observer has, as hexadecimal digits, eight
// for each.
type digests []uint32

// MarshalText implements encoding.TextMarshaler.
func (d digests) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 4*len(d))
	for _, sum := range d {
		raw = binary.BigEndian.AppendUint32(raw, sum)
	}
	return hex.AppendEncode(nil, raw), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *digests) UnmarshalText(text []byte) error {
	raw, err := hex.AppendDecode(nil, text)
	if err != nil || len(raw)%4 != 0 || len(raw) > 4*maxDigests {
		return errors.New("not digests of checks")
	}
	*d = make(digests, 0, len(raw)/4)
	for ; len(raw) > 0; raw = raw[4:] {
		*d = append(*d, binary.BigEndian.Uint32(raw))
	}
	return nil
}

// split makes of an opinion what is written of it, without sequence numbers.
func split(o *share.Opinion) (who, op) {
	w := who{Boot: o.Boot, Version: o.Version, Plan: o.Plan, Buckets: o.Buckets}
	if o.Assigned != nil {
		a := assigned(o.Assigned)
		w.Assigned = &a
	}
	p := op{Boot: o.Boot, Braked: o.Braked, Decision: o.Decision, Judged: group(o.Judged)}
	for _, s := range o.Summed {
		p.Summed = append(p.Summed, summed{s.Region, s.Cause, slices.Sorted(slices.Values(s.Except))})
	}
	slices.SortFunc(p.Summed, func(a, b summed) int { return cmp.Compare(a.Region, b.Region) })
	return w, p
}

// group orders verdicts, so that equal opinions are equal bytes.
func group(list []share.Judged) (out []judged) {
	list = slices.SortedFunc(slices.Values(list), func(a, b share.Judged) int {
		return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Cause, b.Cause), cmp.Compare(a.ID, b.ID))
	})
	for i, j := range list {
		if i == 0 || j.Verdict != list[i-1].Verdict || j.Cause != list[i-1].Cause {
			out = append(out, judged{Verdict: j.Verdict, Cause: j.Cause})
		}
		g := &out[len(out)-1]
		g.Checks, g.Ages = append(g.Checks, j.ID), append(g.Ages, int64(max(0, j.Age)/time.Second))
	}
	return out
}

// join makes an opinion of both values. Who speaks, and from where, is what their
// keys say: those are what a token is bound to.
func join(zone, observer string, w *who, p *op) share.Opinion {
	o := share.Opinion{
		Observer: observer, Boot: p.Boot, Zone: zone, Version: w.Version, Plan: w.Plan, Buckets: w.Buckets,
		Decision: p.Decision, Braked: p.Braked,
	}
	if w.Assigned != nil {
		o.Assigned = *w.Assigned
	}
	for _, g := range p.Judged {
		for i, id := range g.Checks {
			o.Judged = append(o.Judged, share.Judged{ID: id, Verdict: g.Verdict, Cause: g.Cause, Age: time.Duration(g.Ages[i]) * time.Second})
		}
	}
	for _, s := range p.Summed {
		o.Summed = append(o.Summed, share.Summed{Region: s.Region, Cause: s.Cause, Except: s.Except})
	}
	return o
}

// decodeWho trusts nothing.
func decodeWho(value []byte) (w who, err error) {
	if err = decode(value, maxWho, &w); err == nil && (w.Boot == "" || !plain(w.Boot, w.Version, w.Plan)) {
		err = errors.New("not an observer")
	}
	return w, err
}

// decodeOp trusts nothing.
func decodeOp(value []byte) (p op, err error) {
	if err = decode(value, maxOp, &p); err != nil {
		return p, err
	}
	bad := p.Boot == "" || !plain(p.Boot, p.Decision)
	for _, g := range p.Judged {
		bad = bad || g.Verdict == health.Up || len(g.Ages) != len(g.Checks) ||
			slices.ContainsFunc(g.Ages, func(a int64) bool { return a < 0 || a > maxAge })
	}
	regions := map[string]bool{} // each costs its reader a look at all checks
	for _, s := range p.Summed {
		bad = bad || s.Region == "" || !plain(s.Region) || regions[s.Region]
		regions[s.Region] = true
	}
	if bad {
		err = errors.New("not an opinion")
	}
	return p, err
}

// decodeRecord trusts nothing, and takes a record only from the key that is its own.
func decodeRecord(key string, value []byte) (r share.Record, err error) {
	kind, target, ok := parseRecord(key)
	if !ok {
		return r, errors.New("not the key of a record")
	}
	if err = decode(value, maxRecord, &r); err != nil {
		return r, err
	}
	if r.Kind != kind || r.Target != target {
		return r, errors.New("a record of something else")
	}
	return r, faulty(&r)
}

// encodeRecord writes only what decodeRecord would believe.
func encodeRecord(r *share.Record) ([]byte, error) {
	if err := faulty(r); err != nil {
		return nil, err
	}
	value, err := json.Marshal(r)
	if err == nil && len(value) > maxRecord {
		err = fmt.Errorf("%d bytes are more than %d", len(value), maxRecord)
	}
	return value, err
}

// faulty says why a record can be neither stored nor believed.
func faulty(r *share.Record) error {
	switch {
	case !kinds[r.Kind]:
		return fmt.Errorf("a record of unknown kind %q", r.Kind)
	case r.Target == "" || len(r.Target) > maxTarget || !printable(r.Target):
		return errors.New("a record without a sound target")
	case steers(r.Value):
		return errors.New("a record with control characters in it")
	}
	return faultyVersion(r)
}

func faultyVersion(r *share.Record) error {
	switch {
	case r.Version.N == 0 || r.Version.N > maxVersion || r.Version.Writer == "" || !plain(r.Version.Writer):
		return errors.New("a record without a sound version")
	case r.Version.Over && !r.Deleted:
		return errors.New("a record that is over and is not")
	case r.TTL < 0 || r.TTL > maxAge*time.Second: // sums of times are made with it
		return errors.New("a record that ends before it begins, or not in ten years")
	}
	return nil
}

// steers reports whether a text in a value holds characters that steer a terminal.
// What people wrote is shown as it is.
func steers(value json.RawMessage) bool {
	for d := json.NewDecoder(bytes.NewReader(value)); ; {
		t, err := d.Token()
		if err != nil {
			return false
		}
		if text, ok := t.(string); ok {
			if _, found := config.Control(text); found {
				return true
			}
		}
	}
}

func decode(value []byte, most int, into any) error {
	if len(value) > most {
		return fmt.Errorf("%d bytes are more than %d", len(value), most)
	}
	return json.Unmarshal(value, into)
}

// plain reports whether texts can be shown to people as they are.
func plain(texts ...string) bool {
	for _, t := range texts {
		if len(t) > maxText || !printable(t) {
			return false
		}
	}
	return true
}

func printable(t string) bool {
	for _, r := range t {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}
