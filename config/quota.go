package config

import "strings"

// quota is a min_healthy: a percentage, or a number of endpoints that becomes
// one when the pool is known.
type quota struct {
	percent int
	count   int // used if counted
	counted bool
	at      value // where it was given; node nil for the built-in value
}

// maxEndpoints bounds the endpoints of a pool.
const maxEndpoints = 1000

func decodeQuota[T any](at func(*T) *quota) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		s, ok := d.text(v)
		if !ok {
			return
		}
		q := quota{at: v, counted: !strings.HasSuffix(s, "%")}
		if q.counted {
			q.count, ok = d.parseInt(v, 0, maxEndpoints)
		} else {
			q.percent, ok = d.parsePercent(v, 0)
		}
		if ok {
			*at(into) = q
		}
	}
}

// of returns the quota as a percentage of a pool of n endpoints: the one whose
// share of n, rounded up, is the count.
func (q quota) of(n int) int {
	if !q.counted || n == 0 {
		return q.percent
	}
	p := 100 * q.count / n
	if (p*n+99)/100 < q.count {
		p++
	}
	return min(p, 100)
}
