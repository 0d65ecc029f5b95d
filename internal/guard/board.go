package guard

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Board holds the names that stand in now, for those above the cache who want to
// say so. In peace a look at it costs one load. It is safe for concurrent use; its
// zero value is empty.
type Board struct {
	any   atomic.Int32
	mu    sync.RWMutex
	names map[string]int
}

// StaleText is what a client is told beside the extended error 3.
const StaleText = "kept: the name's own DNS fails"

// Standing is the process's board: a guard below the cache writes it, and
// `failover` above the cache reads it.
var Standing Board

// Add notes that a name, in lower case, stands in, once more.
func (b *Board) Add(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.names == nil {
		b.names = map[string]int{}
	}
	b.names[name]++
	b.any.Store(int32(len(b.names))) // #nosec G115 -- names in memory
}

// Remove takes back one Add.
func (b *Board) Remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.names[name]; n > 1 {
		b.names[name] = n - 1
	} else {
		delete(b.names, name)
	}
	b.any.Store(int32(len(b.names))) // #nosec G115 -- names in memory
}

// Any reports whether any name stands in.
func (b *Board) Any() bool { return b.any.Load() != 0 }

// Has reports whether a name stands in, in whatever case it is written.
func (b *Board) Has(name string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.names[strings.ToLower(name)] > 0
}
