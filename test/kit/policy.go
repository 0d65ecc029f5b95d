package kit

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Policy returns one of the policies that are shipped in config/consul, made out for
// an observer in a zone that talks to the agent of a Consul node.
func Policy(t testing.TB, file, cluster, zone, observer, node string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	text := Read(t, filepath.Join(filepath.Dir(here), "../../config/consul", file))
	if zone = strings.ReplaceAll(zone, "/", "~2F"); zone == "" {
		zone = "~"
	}
	return strings.NewReplacer("CLUSTER", cluster, "ZONE", zone, "OBSERVER", observer, "NODE", node).Replace(text)
}
