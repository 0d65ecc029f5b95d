package server

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/detour-dns/detour/internal/admin"
)

// What becomes of a Corefile is in the history and, while it is refused, in the status:
// who looks there must not read that all is well.
func TestReloadsAreTold(t *testing.T) {
	target := hold(t, "127.0.0.1:0")
	closing(t, target)
	_, up, _ := strings.Cut(target.Addr().String(), ":")
	dir := t.TempDir()
	yaml, sock, port := filepath.Join(dir, "f.yaml"), filepath.Join(dir, "sock"), freePort(t)
	rewrite(t, yaml, strings.Replace(services(filepath.Join(dir, "state"), "127.0.0.1", up), "admin: off", "admin: {listen: unix://"+sock+"}", 1))
	good := says(port, "one", "failover "+yaml)
	path := write(t, good)
	s := start(t, Options{Corefile: path})
	c, err := admin.NewClient(admin.ClientOptions{Addr: "unix://" + sock})
	if err != nil {
		t.Fatal(err)
	}
	const line = "the last change of the Corefile was refused, the one before is in use: "
	told := func() (warning, events string) {
		now, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range now.Warnings {
			if strings.HasPrefix(w, line) {
				warning = w
			}
		}
		list, err := c.Events(t.Context(), admin.EventFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Events {
			if e.Kind == "reload" {
				events += e.To + " "
			}
		}
		return warning, events
	}
	refused := func() {
		t.Helper()
		rewrite(t, path, good+"\nfailvoer {\n")
		if s.Reload() == nil {
			t.Fatal("a broken Corefile was taken")
		}
	}
	refused()
	if warning, events := told(); !strings.HasPrefix(warning, line+path+":") || events != "refused " {
		t.Errorf("refused: %q, events %q", warning, events)
	}
	rewrite(t, path, good)
	if err := s.reloadIfChanged(); err != nil {
		t.Fatal(err)
	}
	if warning, events := told(); warning != "" || events != "refused taken " {
		t.Errorf("as before: %q, events %q", warning, events)
	}
	refused()
	rewrite(t, path, says(port, "two", "failover "+yaml))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if warning, events := told(); warning != "" || events != "refused taken refused taken " {
		t.Errorf("taken: %q, events %q", warning, events)
	}
}
