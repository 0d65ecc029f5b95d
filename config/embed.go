package config

import (
	_ "embed"
	"slices"
)

//go:embed Corefile.default
var defaultCorefile []byte

// DefaultCorefile returns the Corefile that is served when none is given.
func DefaultCorefile() []byte { return slices.Clone(defaultCorefile) }

//go:embed failover.schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the file, for editors. The
// parser checks more than a schema can say.
func Schema() []byte { return slices.Clone(schema) }
