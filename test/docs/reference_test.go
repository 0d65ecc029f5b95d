// Package docs holds the documentation against the code, in both directions.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// schema is the part of a JSON Schema that the reference is made from.
type schema struct {
	Description string            `json:"description"`
	Type        any               `json:"type"`
	Default     any               `json:"default"`
	Enum        []any             `json:"enum"`
	Ref         string            `json:"$ref"`
	Items       *schema           `json:"items"`
	Properties  map[string]schema `json:"properties"`
	Values      json.RawMessage   `json:"additionalProperties"`
	Defs        map[string]schema `json:"$defs"`
}

// TestConfigurationReference: docs/configuration.md is what the schema says.
func TestConfigurationReference(t *testing.T) {
	const path = "../../docs/configuration.md"
	want := reference(t)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // documentation
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/configuration.md is not what the schema says (%v): go test ./test/docs -run Reference -update", err)
	}
}

func reference(t *testing.T) []byte {
	t.Helper()
	var s schema
	if err := json.Unmarshal(config.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# Configuration\n\nEvery key of failover.yaml. This page is made from [the JSON Schema](../config/failover.schema.json), which editors\n" +
		"can use while you type; [examples](../config/examples) are beside it. An unknown key is a fault, and every fault is reported at\n" +
		"once with its position.\n\n## The file\n\n")
	table(&b, s.Properties)
	for _, name := range slices.Sorted(maps.Keys(s.Defs)) {
		if def := s.Defs[name]; len(def.Properties) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", name, def.Description)
			table(&b, def.Properties)
		}
	}
	return b.Bytes()
}

func table(b *bytes.Buffer, props map[string]schema) {
	b.WriteString("| key | what | default |\n|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(props)) {
		p := props[key]
		fmt.Fprintf(b, "| `%s` | %s%s | %s |\n", key, cell(p.Description), kind(p), value(p.Default))
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// kind says what the value is: one of some words, or a block of its own.
func kind(p schema) string {
	switch {
	case len(p.Enum) > 0:
		var words []string
		for _, e := range p.Enum {
			words = append(words, fmt.Sprintf("`%v`", e))
		}
		return " One of " + strings.Join(words, ", ") + "."
	case p.Ref != "":
		return " See " + link(p.Ref) + "."
	case p.Items != nil && p.Items.Ref != "":
		return " A list of " + link(p.Items.Ref) + "."
	}
	var values schema
	if json.Unmarshal(p.Values, &values) == nil && values.Ref != "" {
		return " By name, each a " + link(values.Ref) + "."
	}
	return ""
}

func link(ref string) string {
	name := strings.TrimPrefix(ref, "#/$defs/")
	return "[" + name + "](#" + strings.ToLower(name) + ")"
}

func value(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return "`" + strings.Trim(string(text), `"`) + "`"
}
