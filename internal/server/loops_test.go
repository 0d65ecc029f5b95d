package server

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLoops holds that a block which forwards to itself is named, by whatever way it
// names itself, and no other one.
func TestLoops(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	rewrite(t, file, "nameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver ::1\n")
	for text, want := range map[string]int{
		".:53 {\n bind 127.0.0.1\n forward . " + file + "\n}":                                 1,
		". {\n forward . " + file + "\n}":                                                     2,
		".:53 {\n bind 0.0.0.0\n forward . 127.0.0.53\n}":                                     1,
		".:53 {\n bind 127.0.0.2\n forward . " + file + "\n}":                                 0,
		".:5353 {\n forward . " + file + "\n}":                                                0,
		".:5353 {\n forward . 192.0.2.1 127.0.0.1:5353 {\n  policy random\n }\n}":             1,
		"a.test:5353 b.test:5354 {\n forward . 127.0.0.1:5354\n}":                             1,
		"a.test:5353 {\n forward . 127.0.0.1:5354\n}\nb.test:5354 {\n forward . 192.0.2.1\n}": 0, // another block's
		".:5353 {\n forward . tls://127.0.0.1:5353\n}":                                        0,
		".:5353 {\n forward a.test 192.0.2.1\n forward . 127.0.0.1:5353\n}":                   1,
		".:5353 {\n forward . 192.0.2.1 {\n  except 127.0.0.1:5353\n }\n}":                    0,
	} {
		r := check(input("Corefile", []byte(text)))
		if len(r.Faults) > 0 {
			t.Errorf("%s\n%v", text, r.Faults)
		}
		if len(r.Loops) != want || want > 0 && (!strings.Contains(r.Loops[0].Error(), "Corefile:") || !strings.Contains(r.Loops[0].Error(), "listens itself")) {
			t.Errorf("%s\nloops: %v, want %d", text, r.Loops, want)
		}
	}
}

// TestALoopIsToldAndNotTaken holds that a start says that questions would go round and
// answers what it can, and that a reload which would begin that is refused.
func TestALoopIsToldAndNotTaken(t *testing.T) {
	t.Run("start", func(t *testing.T) {
		other := freePort(t)
		s := start(t, Options{Text: []byte(says(other, "three", "forward . 127.0.0.1:"+other))})
		if got := txt("udp", s.Addr("udp")); got != "three" || !strings.Contains(logged.String(), "go round") {
			t.Errorf("answers %s and logs\n%s", got, logged)
		}
	})
	port := freePort(t)
	path := write(t, says(port, "one", ""))
	s := start(t, Options{Corefile: path})
	rewrite(t, path, says(port, "two", "forward . 127.0.0.1:"+port))
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "go round") {
		t.Errorf("reload: %v", err)
	}
	if got := txt("udp", s.Addr("udp")); got != "one" {
		t.Errorf("after it: %s", got)
	}
}
