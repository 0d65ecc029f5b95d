package config

import (
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// stateDirs find the state directory in a file that is not even YAML, in both ways
// of writing it.
var stateDirs = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^"?state"?:[ \t]*\{[ \t]*"?dir"?:[ \t]*["']?([^"'\s,}#]+)`),
	regexp.MustCompile(`(?m)^"?state"?:[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*[ \t]+"?dir"?:[ \t]*["']?([^"'\s#]+)`),
}

// StateDir returns the state directory that data means, the content of a file that
// may have faults: as far as can be told. A file that names none means
// DefaultStateDir, which may be "".
func StateDir(data []byte) string {
	if dir := namedStateDir(data); filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	return DefaultStateDir()
}

func namedStateDir(data []byte) string {
	root, faults := parseTree("", data, fileBound)
	if len(faults) == 0 {
		if dir := valueOf(valueOf(root, "state"), "dir"); dir != nil && dir.Kind == yaml.ScalarNode {
			return dir.Value
		}
		return ""
	}
	for _, r := range stateDirs {
		if m := r.FindSubmatch(data); m != nil {
			return string(m[1])
		}
	}
	return ""
}

// valueOf returns the value of a key, nil if there is none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
