package failover

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/detour-dns/detour/config"
)

// lastRead is the file that was parsed last. A start parses it for each block that
// names it, and once before, to find all faults: a large file takes seconds.
type lastRead struct {
	mu  sync.Mutex
	cfg *config.Config // nil: none
}

// load is config.Load of an absolute path, but parses no content twice in a row. A Config is never
// changed, so that blocks may share one.
func (l *lastRead) load(path string) (*config.Config, error) {
	data, err := config.Read(path)
	if err != nil {
		return config.Load(path) // says why in its own words
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := sha256.Sum256(data)
	if l.cfg != nil && l.cfg.Path == path && l.cfg.Hash == hex.EncodeToString(sum[:]) {
		return l.cfg, nil
	}
	l.cfg, err = config.Parse(path, data)
	return l.cfg, err
}

// forget lets go of it: what runs has its own by now.
func (l *lastRead) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cfg = nil
}
