package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// schemaBlock is what this test reads of a block in the schema.
type schemaBlock struct {
	Properties           map[string]map[string]any `json:"properties"`
	AdditionalProperties any                       `json:"additionalProperties"`
	Description          string                    `json:"description"`
	Defs                 map[string]schemaBlock    `json:"$defs"`
}

// schemaBlocks returns the blocks of the schema by the parser's names.
func schemaBlocks(t *testing.T) map[string]schemaBlock {
	t.Helper()
	var root schemaBlock
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	blocks := map[string]schemaBlock{fileBlock.name: root}
	for name, b := range root.Defs {
		if b.Properties != nil {
			blocks[name] = b
		}
	}
	return blocks
}

// differences returns how the keys of the parser and of the schema differ.
func differences(keys map[string][]string, blocks map[string]schemaBlock) (out []string) {
	for name, known := range keys {
		for _, k := range known {
			if _, ok := blocks[name].Properties[k]; !ok {
				out = append(out, "not in the schema: "+name+"."+k)
			}
		}
	}
	for name, b := range blocks {
		for k := range b.Properties {
			if !slices.Contains(keys[name], k) {
				out = append(out, "not in the parser: "+name+"."+k)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestSchemaHasTheParsersKeys(t *testing.T) {
	for _, d := range differences(Keys(), schemaBlocks(t)) {
		t.Error(d)
	}
}

// TestSchemaDifferences keeps the test above able to fail.
func TestSchemaDifferences(t *testing.T) {
	keys, blocks := Keys(), schemaBlocks(t)
	keys["ttl"] = append(keys["ttl"], "forever")
	blocks["ttl"].Properties["never"] = nil
	got := differences(keys, blocks)
	if want := []string{"not in the parser: ttl.never", "not in the schema: ttl.forever"}; !slices.Equal(got, want) {
		t.Errorf("differences = %q, want %q", got, want)
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	for name, b := range schemaBlocks(t) {
		if b.AdditionalProperties != false || b.Description == "" {
			t.Errorf("%s: additionalProperties = %v, description %q; want false and a text", name, b.AdditionalProperties, b.Description)
		}
		for k, p := range b.Properties {
			if text, _ := p["description"].(string); text == "" {
				t.Errorf("%s.%s has no description", name, k)
			}
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("failover.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("failover.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON returns what an editor's validator sees of a YAML file.
func asJSON(t *testing.T, path string) any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestExamplesFitTheSchema(t *testing.T) {
	s := compileSchema(t)
	for _, path := range append(examples(t), filepath.Join("testdata", "every-key.yaml")) {
		if err := s.Validate(asJSON(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSchemaRefuses checks that the schema is not one that accepts everything.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, name := range []string{
		"root-unknown-key", "root-version", "monitor-unknown-key", "monitor-type", "monitor-no-type", "monitor-port-range",
		"metrics-services", "metrics-word", "metrics-unknown-key",
		"defaults-no-unit", "defaults-bad-duration", "defaults-fall-zero", "defaults-min-healthy", "limits-percent",
		"service-unknown-key", "service-no-pools", "service-pools-empty", "service-pools-block", "service-policy",
		"pool-empty", "pool-region", "pool-no-region", "pool-two-regions", "pool-weight", "pool-address-port", "pool-unknown-key",
		"canary-type", "override-do", "override-no-reason", "admin-tls", "state-dir", "zone-no-ns",
	} {
		path := filepath.Join("testdata", "invalid", name+".yaml")
		if s.Validate(asJSON(t, path)) == nil {
			t.Errorf("%s fits the schema", path)
		}
	}
}
