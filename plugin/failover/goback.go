package failover

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/crash"
)

// GoBack has the next setup use what ran well before in place of the file at path,
// if that has faults and no engine runs with it. A resolver that runs keeps what is
// in use when an edit has faults, and so must one whose machine started anew since:
// the edit may be hours old, and its author asleep.
//
// It returns what is used instead, in words. The error says why there is nothing.
func GoBack(path string) (instead string, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	dir := config.StateDir(beginning(path))
	if dir == "" {
		return "", crash.ErrNone
	}
	data, at, err := crash.ReadGood(dir, path)
	if err != nil {
		return "", err
	}
	cfg, err := config.Parse(path, data)
	if err != nil {
		return "", err
	}
	if cfg.State.Dir != dir {
		return "", fmt.Errorf("what ran well before has its state in %s", cfg.State.Dir)
	}
	engines.setInstead(path, cfg)
	return fmt.Sprintf("configuration %.8s, known to run well since %s", cfg.Hash, at.UTC().Format(time.RFC3339)), nil
}

// beginning returns as much of a file as a configuration may have, nothing if that
// cannot be read.
func beginning(path string) []byte {
	data, err := config.Read(path)
	if err != nil {
		return nil
	}
	return data
}

func (r *registry) setInstead(path string, cfg *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.instead == nil {
		r.instead = map[string]*config.Config{}
	}
	r.instead[path] = cfg
}

// insteadOf returns what GoBack found for a file, nil if an engine runs: that keeps
// what is in use.
func (r *registry) insteadOf(path string) *config.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.shared[path]; s != nil && s.engine() != nil {
		return nil
	}
	return r.instead[path]
}
