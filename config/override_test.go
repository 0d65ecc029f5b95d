package config

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const handsOf = "monitors: {web: {type: tcp, port: 1}}\nservices:\n  shop.example.org: {monitors: [web], pools: [{aws/us-east-1: [192.0.2.10]}, {gcp/europe-west1: [198.51.100.7]}]}\n"

// A file of overrides is a list as in failover.yaml, for the targets that it has.
func TestParseOverrides(t *testing.T) {
	c, err := Parse("f.yaml", []byte(handsOf))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"one", "- {target: AWS/us-east-1, do: drain, reason: r, owner: jo, until: 2026-01-31T18:00:00Z}\n", "aws/us-east-1"},
		{"two", "- {target: shop.example.org, do: up, reason: r, owner: jo}\n- {target: shop.example.org/192.0.2.10, do: down, reason: r, owner: jo}\n", "shop.example.org. shop.example.org./192.0.2.10"},
		{"empty", " \n", ""},
		{"all of it commented out", "# - {target: aws/us-east-1}\n", ""},
		{"unknown", "- {target: aws/us-east-2, do: drain, reason: r, owner: jo}\n", "FAULT h.yaml:1:12: unknown target aws/us-east-2: did you mean aws/us-east-1?"},
		{"no reason", "- {target: aws/us-east-1, do: drain, owner: jo}\n", "FAULT h.yaml:1:3: the override has no reason"},
		{"a terminal's words", "- {target: aws/us-east-1, do: drain, reason: \"ok\\e[2K\", owner: jo}\n", "FAULT h.yaml:1:46: reason holds U+001B, a character that steers"},
		{"two lines", "- {target: aws/us-east-1, do: drain, reason: r, owner: \"jo\\nann\"}\n", "FAULT h.yaml:1:56: owner holds U+000A, "},
		{"from right to left", "- {target: aws/us-east-1, do: drain, reason: \"a\u202Eb\", owner: jo}\n", "FAULT h.yaml:1:46: reason holds U+202E, "},
		{"letters of all kinds", "- {target: aws/us-east-1, do: drain, reason: Störung 🛠️, owner: 山田}\n", "aws/us-east-1"},
		{"as in failover.yaml", "overrides:\n  - {target: aws/us-east-1, do: drain, reason: r, owner: jo}\n", "aws/us-east-1"},
		{"as there, empty", "overrides: []\n", ""},
		{"as there, nothing", "overrides:\n#  - {target: aws/us-east-1}\n", ""},
		{"as there, one only", "overrides: {target: aws/us-east-1}\n", "FAULT h.yaml:1:12: overrides is a block of keys: write it as a list"},
		{"one only", "target: aws/us-east-1\ndo: drain\n", "FAULT h.yaml:1:1: the file is a block of keys: write only a list into it"},
		{"a word", "drain\n", "FAULT h.yaml:1:1: the file is a single value: write only a list into it"},
		{"not YAML", "- {target\n", "FAULT h.yaml:"},
		{"large", strings.Repeat("#", handBound.Bytes+1), "FAULT h.yaml: the file is larger"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := c.ParseOverrides("h.yaml", []byte(tt.text))
			var got []string
			for _, o := range list {
				got = append(got, o.Target)
			}
			said := strings.Join(got, " ")
			var faults Faults
			if errors.As(err, &faults) {
				said = "FAULT " + faults.Error()
			}
			if fault := strings.HasPrefix(tt.want, "FAULT "); fault && !strings.HasPrefix(said, tt.want) || !fault && said != tt.want {
				t.Errorf("%s\nwant %s", said, tt.want)
			}
			if len(c.Overrides) != 0 {
				t.Error("the configuration was changed")
			}
		})
	}
}

// What is over is told, for it does nothing.
func TestOverridesOver(t *testing.T) {
	c, err := Parse("f.yaml", []byte(handsOf+"overrides:\n"+
		"  - {target: aws/us-east-1, do: drain, reason: r, owner: jo, until: 2019-12-31T22:00:00Z}\n"+
		"  - {target: gcp/europe-west1, do: up, reason: r, owner: jo, until: 2019-12-31T23:00:00Z}\n"+
		"  - {target: shop.example.org, do: up, reason: r, owner: jo}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := c.OverridesOver(time.Date(2019, 12, 31, 22, 30, 0, 0, time.UTC))
	if len(got) != 1 || !strings.Contains(got[0].Error(), "/f.yaml:5:5: the override on aws/us-east-1 is over since 2019-12-31T22:00:00Z and does nothing") {
		t.Error(got)
	}
}

func FuzzParseOverrides(f *testing.F) {
	c, err := Parse("f.yaml", []byte(handsOf))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("- {target: aws/us-east-1, do: drain, reason: r, owner: jo, until: 2026-01-31T18:00:00Z}\n"))
	f.Add([]byte("- &a [*a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := c.ParseOverrides("h.yaml", data)
		for _, o := range list {
			if _, ok := c.Target(o.Target); !ok || err != nil || o.Reason == "" || o.Owner == "" {
				t.Errorf("taken: %+v, %v", o, err)
			}
		}
	})
}
