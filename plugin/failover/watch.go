package failover

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"time"

	"github.com/detour-dns/detour/config"
)

// watchEvery is how often failover.yaml is looked at. Its content is compared,
// through all symlinks: a Kubernetes ConfigMap changes by a swapped link whose
// file may carry any date.
const watchEvery = time.Second

// watch applies the file's edits. A file that is away, half written or faulty
// leaves the configuration in use, and is said once.
func (s *shared) watch(seen string) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			seen = s.look(seen)
		case <-s.quit:
			return
		}
	}
}

// look applies the file if its content is not the one last seen.
func (s *shared) look(seen string) string {
	data, err := os.ReadFile(s.path)
	if err != nil {
		const away = "unreadable"
		if seen != away {
			s.engine().Refused(err)
		}
		return away
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	if hash == seen || hash == s.load().Plan.Config.Hash {
		return hash
	}
	cfg, err := config.Parse(s.path, data)
	if err != nil {
		s.engine().Refused(err)
		return hash
	}
	_ = s.engine().Apply(cfg) // a refusal is in status and log
	return hash
}
