package config

import "testing"

// TestRebind: public names may not have private addresses where that is said, but
// those of zones that are allowed may, and those below ends that are no public ones.
func TestRebind(t *testing.T) {
	t.Parallel()
	for text, blocks := range map[string]map[string]bool{
		"":              {"www.example.com.": false},
		"rebind: off":   {"www.example.com.": false},
		"rebind: block": {"www.example.com.": true, "example.com.": true, "x.co.uk.": true, "me.github.io.": true, "db.internal.": false, "nas.local.": false, "nas.home.arpa.": false, "api.default.svc.cluster.local.": false, "router.": false, ".": false},
		"rebind: {allow: [corp.example.com, Example.NET]}": {
			"corp.example.com.": false, "db.corp.example.com.": false, "notcorp.example.com.": true, "www.example.com.": true, "a.example.net.": false,
		},
	} {
		cfg, err := Parse("failover.yaml", []byte("services: {}\n"+text+"\n"))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for name, want := range blocks {
			if got := cfg.Rebind.Blocks(name); got != want {
				t.Errorf("%q: %s is blocked: %v", text, name, got)
			}
		}
	}
	for _, text := range []string{"rebind: yes", "rebind: []", "rebind: {deny: [a.test]}", "rebind: {allow: corp.example.com}", "rebind: {allow: [a..b]}", "rebind:"} {
		if _, err := Parse("failover.yaml", []byte("services: {}\n"+text+"\n")); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
