package server

import (
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/coredns/coredns/plugin/pkg/log"
)

// boundMemory makes the runtime collect before the container's limit of memory is
// reached: nine tenths of it are for Go. Without that the headroom between two
// collections, or the garbage of a large failover.yaml that is read again, gets a
// resolver killed that had enough. Who sets GOMEMLIMIT keeps it.
func boundMemory() {
	limit, err := memlimit.Set()
	switch {
	case err != nil:
		log.Warningf("No limit of memory is minded: %v; where there is one, set GOMEMLIMIT to nine tenths of it", err)
	case limit != math.MaxInt64:
		log.Infof("Memory is collected to stay below %d MB", limit>>20)
	}
}
