package consul

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/detour-dns/detour/internal/source"
)

// Bounds of an answer.
const (
	maxAnswer  = 64 << 20 // bytes; 5,000 instances are about 8 MB
	maxEntries = 100_000
	maxMeta    = 64 << 10 // bytes of an instance's and its node's metadata
	maxDetail  = 120      // bytes
)

// entry is what is read of an element of the answer of /v1/health/service. Other
// fields are skipped.
type entry struct {
	Node struct {
		Node       string
		Address    string
		Datacenter string
		Meta       map[string]string
	}
	Service struct {
		ID      string
		Address string
		Tags    []string
		Meta    map[string]string
		Port    int
		Weights struct{ Passing, Warning int }
	}
	Checks []check
}

type check struct {
	CheckID string
	Name    string
	Status  string
}

// size returns the bytes of the entry's metadata.
func (e *entry) size() (n int) {
	for _, m := range []map[string]string{e.Node.Meta, e.Service.Meta} {
		for k, v := range m {
			n += len(k) + len(v)
		}
	}
	return n
}

var (
	errTooLarge  = errors.New("the answer is larger than 64 MiB or 100,000 instances")
	errNotConsul = errors.New("the answer is not one of Consul's")
)

// readEntries reads the body of an answer. An entry with a field of another type
// than Consul's is counted and skipped; a body that is no list of entries, or a
// part of one, is an error.
func readEntries(body io.Reader, ignored Ignored) ([]entry, error) {
	limited := &io.LimitedReader{R: body, N: maxAnswer + 1}
	dec := json.NewDecoder(limited)
	open, err := dec.Token()
	if null := err == nil && open == nil; null {
		return nil, nil // how some versions write an empty list
	}
	if d, ok := open.(json.Delim); err != nil || !ok || d != '[' {
		return nil, brokenBody(limited, err)
	}
	var all []entry
	for n := 0; dec.More(); n++ {
		if n >= maxEntries {
			return nil, errTooLarge
		}
		var e entry
		err := dec.Decode(&e)
		var other *json.UnmarshalTypeError
		switch {
		case errors.As(err, &other):
			ignored[Malformed]++
		case err != nil:
			return nil, brokenBody(limited, err)
		default:
			all = append(all, e)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, brokenBody(limited, err)
	}
	return all, nil
}

// brokenBody says why a body could not be read. Errors of the network stay what
// they are.
func brokenBody(r *io.LimitedReader, err error) error {
	var syntax *json.SyntaxError
	switch {
	case r.N <= 0:
		return errTooLarge
	case err == nil, errors.As(err, &syntax):
		return errNotConsul
	}
	return fmt.Errorf("the answer breaks off: %w", err)
}

// Checks by which Consul notes that a node or a service is in maintenance.
const (
	nodeMaintenance    = "_node_maintenance"
	serviceMaintenance = "_service_maintenance"
)

// statusOf returns the worst that an instance's checks say, those of its node
// included, and the names of those that do not pass. What they print is left out:
// it may hold anything. An instance without checks passes, as for Consul.
func statusOf(checks []check) (source.Status, string) {
	worst := source.Passing
	var names []string
	for _, c := range checks {
		s := source.Critical
		switch {
		case c.maintenance():
			names = append([]string{"in maintenance"}, names...)
		case c.Status == "passing":
			continue
		case c.Status == "warning":
			s = source.Warning
			fallthrough
		default:
			names = append(names, c.called())
		}
		if s == source.Critical || worst == source.Passing {
			worst = s
		}
	}
	return worst, shorten(strings.Join(names, ", "))
}

func (c *check) maintenance() bool {
	return c.CheckID == nodeMaintenance || strings.HasPrefix(c.CheckID, serviceMaintenance)
}

func (c *check) called() string {
	if c.Name != "" {
		return c.Name
	}
	return c.CheckID
}

// shorten makes what Consul says fit for a terminal and a log line.
func shorten(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail-4], "") + " ..."
	}
	return s
}
