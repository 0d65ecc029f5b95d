package config

import (
	_ "embed"
	"slices"
)

//go:embed Corefile.default
var defaultCorefile []byte

// DefaultCorefile returns the Corefile that is served when none is given.
func DefaultCorefile() []byte { return slices.Clone(defaultCorefile) }
