package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/detour-dns/detour/config"
)

// Bounds of a search for what may have been meant.
const (
	maxNear       = 3
	maxCandidates = 20_000
	maxWord       = 128
)

// unknown is the problem of a name that is not in the configuration. It names
// the nearest that are.
func unknown(kind, given string, known []string) *Problem {
	near := nearest(given, known)
	p := problem(http.StatusNotFound, "there is no %s %s", kind, quote(given))
	if p.Near = near; len(near) > 0 {
		p.Detail += ": did you mean " + strings.Join(near, " or ") + "?"
	} else {
		p.Detail += ": `resolver status` lists them"
	}
	return p
}

func serviceNames(c *config.Config) []string {
	out := make([]string, len(c.Services))
	for i := range c.Services {
		out[i] = people(c.Services[i].Name)
	}
	return out
}

// targets is all that an operator may have meant by s: regions and services, and
// the endpoints of the service that s begins with.
func targets(c *config.Config, s string) []string {
	out := serviceNames(c)
	for i := range c.Regions {
		out = append(out, c.Regions[i].Name)
	}
	name, _, _ := strings.Cut(s, "/")
	if svc, ok := c.Service(name); ok {
		for p := range svc.Pools {
			for e := range svc.Pools[p].Endpoints {
				out = append(out, people(svc.Name)+"/"+svc.Pools[p].Endpoints[e].Label())
			}
		}
	}
	return out
}

// nearest returns the known words that are closest to one that is not: those
// that contain it, and those of which at most a third of the letters differ.
func nearest(word string, known []string) []string {
	word = strings.ToLower(strings.TrimSuffix(word, "."))
	if word == "" || len(word) > maxWord {
		return nil
	}
	type candidate struct {
		word string
		far  int
	}
	var found []candidate
	for _, k := range known[:min(len(known), maxCandidates)] {
		far := distance(word, k, max(1, len(word)/3))
		if strings.Contains(k, word) {
			far = 0
		}
		if far >= 0 {
			found = append(found, candidate{k, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, c := range found[:min(len(found), maxNear)] {
		if c.far <= found[0].far+1 {
			out = append(out, c.word)
		}
	}
	return out
}

// distance is the number of letters to insert, remove or replace to make b of a,
// -1 if it is more than limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return -1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := before
			if a[i] != b[j] {
				replaced++
			}
			before = row[j+1]
			row[j+1] = min(replaced, before+1, row[j]+1)
		}
	}
	if row[len(b)] > limit {
		return -1
	}
	return row[len(b)]
}
