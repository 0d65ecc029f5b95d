package failover

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/files"
)

// watchEvery is how often failover.yaml is looked at. Its content is compared,
// through all symlinks: a Kubernetes ConfigMap changes by a swapped link whose
// file may carry any date.
const watchEvery = time.Second

// watch applies the file's edits. A file that is away, half written or faulty
// leaves the configuration in use, and is said once.
func (s *shared) watch() {
	refused := ""
	if s.begun != s.load().Plan.Config.Hash {
		refused = s.begun // the start told why
	}
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			refused = s.look(refused)
		case <-s.quit:
			return
		}
	}
}

// look applies the file if its content is neither in use nor what was refused
// before. It returns what is refused now, "" if all is well.
func (s *shared) look(refused string) string {
	data, err := config.Read(s.path)
	if _, lack := files.Lack(err); lack {
		s.engine().Lacks(s.path, err)
		return refused
	}
	s.engine().Lacks(s.path, nil)
	if err != nil {
		const away = "unreadable"
		if refused != away {
			s.engine().Refused(err)
		}
		return away
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	switch hash {
	case s.load().Plan.Config.Hash:
		if refused != "" {
			s.engine().Restored()
		}
		return ""
	case refused:
		return refused
	}
	cfg, err := config.Parse(s.path, data)
	if err != nil {
		s.engine().Refused(err)
		return hash
	}
	if s.engine().Apply(cfg) != nil { // in status and log
		return hash
	}
	return ""
}
