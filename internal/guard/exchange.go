package guard

import "sync/atomic"

// Exchange is where the guards of several resolvers tell one another what they keep
// of names that are listed. Its methods never wait, and are safe for concurrent use.
type Exchange interface {
	// Zone returns this observer, and those of its zone that are alive.
	Zone() (self string, zone []string)
	// Found returns what was found last, which is not changed, and a number that
	// changes with it; 0 while nothing was read.
	Found() (list []Find, version uint64)
	// Leave has s stored in the place of what is there.
	Leave(s Shared)
}

// Find is what one observer keeps of a name, this one too.
type Find struct {
	Shared
	Near bool // they are of this zone
}

// Market is the process's place to find the exchange. The zero value is empty. It is
// safe for concurrent use.
type Market struct{ at atomic.Pointer[Exchange] }

// Fair is the process's market: `failover` opens it where resolvers agree.
var Fair Market

// Open says where the exchange is; nil closes it.
func (m *Market) Open(x Exchange) {
	if x == nil {
		m.at.Store(nil)
		return
	}
	m.at.Store(&x)
}

// Exchange returns where to exchange, nil if nowhere.
func (m *Market) Exchange() Exchange {
	if x := m.at.Load(); x != nil {
		return *x
	}
	return nil
}
