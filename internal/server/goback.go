package server

import (
	"github.com/coredns/coredns/plugin/pkg/log"

	"github.com/detour-dns/detour/plugin/failover"
)

// goBack reports whether a start can do with what ran well before in place of files
// with faults: it can if all that is wrong is in a failover.yaml. What is wrong in the
// Corefile has no such way out, for nobody knows what it should listen on.
func goBack(r Report) bool {
	instead := map[string]string{}
	for _, f := range r.Faults {
		if f.about == "" {
			return false
		}
		if instead[f.about] != "" {
			continue
		}
		used, err := failover.GoBack(f.about)
		if err != nil {
			return false
		}
		instead[f.about] = used
	}
	for _, f := range r.Faults {
		log.Error(f.Error())
	}
	for file, used := range instead {
		log.Errorf("%s has faults: starting with what ran before, %s", file, used)
	}
	return true
}
