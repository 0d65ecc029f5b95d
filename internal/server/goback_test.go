package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAStartWithAFaultyFile holds that a machine that starts anew in the night after
// a faulty edit answers with what ran before, as a resolver does that was never
// stopped; says what is wrong; and takes the mended file.
func TestAStartWithAFaultyFile(t *testing.T) {
	target := hold(t, "127.0.0.1:0")
	closing(t, target)
	_, up, _ := net.SplitHostPort(target.Addr().String())
	closing(t, hold(t, "127.0.0.2:"+up))
	for name, c := range map[string]struct {
		damage func(good string) string
		says   string
	}{
		"a fault":  {func(good string) string { return good + "servces: {}\n" }, ":10:1: unknown key servces"},
		"not YAML": {func(good string) string { return good + "\t- {\n" }, ":10:1: the line is indented"},
		"empty":    {func(string) string { return "" }, "the file is empty"},
		"no file":  {nil, "no such file"},
		"cannot be": {func(good string) string {
			return strings.Replace(good, "type: tcp", "type: https, ca_file: /no/such", 1)
		}, "/no/such"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("STATE_DIRECTORY", dir)
			yaml := filepath.Join(dir, "f.yaml")
			good := services(dir, "127.0.0.1", up)
			rewrite(t, yaml, good)
			ranWell(t, dir, yaml)
			path := write(t, says(freePort(t), "one", "errors\nfailover "+yaml))
			if c.damage == nil {
				if err := os.Remove(yaml); err != nil {
					t.Fatal(err)
				}
			} else {
				rewrite(t, yaml, c.damage(good))
			}
			s := start(t, Options{Corefile: path})
			if got := address(s.Addr("udp")); got != "127.0.0.1" {
				t.Fatalf("at the start: %s", got)
			}
			wait(t, wait10, "the fault in the log of the engine", func() bool {
				return strings.Contains(logged.String(), "new configuration refused") && strings.Contains(logged.String(), c.says)
			})
			if err := s.Reload(); err == nil {
				t.Error("a reload takes the faulty file")
			}
			rewrite(t, yaml, services(dir, "127.0.0.2", up))
			wait(t, wait10, "the mended file in use", func() bool { return address(s.Addr("udp")) == "127.0.0.2" })
		})
	}
}

// TestNothingToStartWith: without what ran well before a faulty file ends the start,
// with all its faults; and so does a faulty Corefile, whatever there is.
func TestNothingToStartWith(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	yaml := filepath.Join(dir, "f.yaml")
	good := services(dir, "127.0.0.1", "1")
	path := write(t, says(freePort(t), "one", "failover "+yaml))
	refuses := func(want int) {
		t.Helper()
		s, err := Start(Options{Corefile: path})
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != want {
			t.Errorf("want %d faults: %v", want, err)
		}
		if err == nil {
			_ = s.Stop(t.Context())
		}
	}
	rewrite(t, yaml, good+"servces: {}\nlimts: {}\n")
	refuses(2)
	rewrite(t, yaml, good)
	ranWell(t, dir, yaml)
	rewrite(t, yaml, good+"servces: {}\n")
	rewrite(t, path, says(freePort(t), "one", "failover "+yaml+"\nnosuch"))
	refuses(2)
	rewrite(t, path, says(freePort(t), "one", "failover "+yaml+"\nerrors"))
	if r, err := Check(path); err != nil || len(r.Faults) != 1 {
		t.Errorf("a check says %v, %v", r.Faults, err)
	}
}
