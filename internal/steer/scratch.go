package steer

// scratch is room that a Build uses again for every service. What is in it does
// not outlive the call that asked for it.
type scratch struct {
	a, b []Standing
}

// standings returns two slices of n.
func (s *scratch) standings(n int) (a, b []Standing) {
	if cap(s.a) < n {
		s.a, s.b = make([]Standing, n), make([]Standing, n)
	}
	return s.a[:n], s.b[:n]
}

// identity is the order of pools as they are listed; maxPools bounds a service's
// pools, which are kept as the bits of one word.
var identity = func() (out [maxPools]int) {
	for i := range out {
		out[i] = i
	}
	return out
}()

const maxPools = 64

// everybody is the one location class of services that look at no place.
var everybody = []int{-1}
