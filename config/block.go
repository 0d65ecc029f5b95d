package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value is a node of the file and the key it stands under, as messages name it.
type value struct {
	key  string
	node *yaml.Node
}

// field is a known key of a block, and how its value is read into a T.
type field[T any] struct {
	key    string
	decode func(d *decoder, v value, into *T)
}

// block is a mapping with known keys. Fields are read in the order of the
// table, not of the file, so a field may rely on those above it.
type block[T any] struct {
	name   string // as messages and the schema name it
	fields []field[T]
}

// registry holds the keys of every block by the block's name. It is written
// only while the package's variables are initialized.
var registry = map[string][]string{}

func newBlock[T any](name string, fields ...field[T]) block[T] {
	b := block[T]{name: name, fields: fields}
	registry[name] = b.keys()
	return b
}

// Keys returns the keys that the parser knows in each block of the file, by
// the block's name, which is also its name under $defs in the schema.
func Keys() map[string][]string {
	all := make(map[string][]string, len(registry))
	for name, keys := range registry {
		all[name] = slices.Sorted(slices.Values(keys))
	}
	return all
}

func (b block[T]) keys() []string {
	keys := make([]string, len(b.fields))
	for i, f := range b.fields {
		keys[i] = f.key
	}
	return keys
}

// given holds the values of the keys that a block of the file has.
type given map[string]value

func (g given) has(key string) bool {
	_, ok := g[key]
	return ok
}

// decode reads the mapping v into a T and returns the keys it found.
func (b block[T]) decode(d *decoder, v value, into *T) given {
	keys, seen := b.keys(), given{}
	for _, e := range d.entries(v) {
		if !slices.Contains(keys, e.key.Value) {
			d.faultAt(e.key, "unknown key %s in %s: %s", e.key.Value, b.name, suggest(e.key.Value, keys))
			continue
		}
		seen[e.key.Value] = e.value
	}
	for _, f := range b.fields {
		if v, ok := seen[f.key]; ok {
			f.decode(d, v, into)
		}
	}
	return seen
}

// lift makes fields of a part into fields of the whole that holds it.
func lift[W, P any](fields []field[P], part func(*W) *P) []field[W] {
	lifted := make([]field[W], len(fields))
	for i, f := range fields {
		lifted[i] = field[W]{f.key, func(d *decoder, v value, into *W) { f.decode(d, v, part(into)) }}
	}
	return lifted
}

// decoder reads one file. It never stops at a fault.
type decoder struct {
	path     string
	cfg      *Config
	defaults defaults
	faults   Faults
	warnings Faults
	bad      map[*yaml.Node]bool // nodes with a fault: rules that compare values leave them out

	monitors map[string]int // index in cfg.Monitors by name
	services map[string]int // index in cfg.Services by name
	regions  map[string]int // index in cfg.Regions by name
	canaries []canaryAt
}

func newDecoder(path string) *decoder {
	return &decoder{
		path: path, cfg: newConfig(), defaults: builtin(), bad: map[*yaml.Node]bool{},
		monitors: map[string]int{}, services: map[string]int{}, regions: map[string]int{},
	}
}

// maxFaults bounds the faults that are told: more are not read.
const maxFaults = 10_000

// fault records that the value v is wrong.
func (d *decoder) fault(v value, format string, args ...any) { d.faultAt(v.node, format, args...) }

func (d *decoder) faultAt(n *yaml.Node, format string, args ...any) {
	d.bad[n] = true
	if len(d.faults) >= maxFaults {
		return
	}
	d.faults = append(d.faults, d.note(n, format, args...))
}

// warn records what does not fail a check but deserves a look.
func (d *decoder) warn(n *yaml.Node, format string, args ...any) {
	d.warnings = append(d.warnings, d.note(n, format, args...))
}

func (d *decoder) note(n *yaml.Node, format string, args ...any) Fault {
	return Fault{File: d.path, Line: n.Line, Col: n.Column, Message: oneLine(fmt.Sprintf(format, args...))}
}

// sound reports whether none of the values under keys had a fault of its own:
// only then a rule that compares them says something new.
func (d *decoder) sound(g given, keys ...string) bool {
	return !slices.ContainsFunc(keys, func(k string) bool { return g.has(k) && d.bad[g[k].node] })
}

// entry is a key of a mapping and its value.
type entry struct {
	key *yaml.Node
	value
}

// entries returns what a mapping holds, in the file's order, without the
// entries that are faults in themselves.
func (d *decoder) entries(v value) []entry {
	if v.node.Kind != yaml.MappingNode {
		d.fault(v, "%s is %s: write it as a block of keys", v.key, kind(v.node))
		return nil
	}
	var all []entry
	first := map[string]int{} // line by key
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		e := entry{key: resolve(v.node.Content[i])}
		e.value = value{e.key.Value, resolve(v.node.Content[i+1])}
		if d.soundEntry(e, first) {
			all = append(all, e)
		}
		if _, ok := first[e.key.Value]; !ok {
			first[e.key.Value] = e.key.Line
		}
	}
	return all
}

func (d *decoder) soundEntry(e entry, first map[string]int) bool {
	line, twice := first[e.key.Value]
	switch {
	case e.key.Kind != yaml.ScalarNode:
		d.faultAt(e.key, "a key is %s: write a word", kind(e.key))
	case e.key.ShortTag() == "!!merge":
		d.faultAt(e.key, "merge keys (<<) are not read: write the keys out, or put what is common under defaults:")
	case twice:
		d.faultAt(e.key, "%s is given twice, first in line %d: remove one", e.key.Value, line)
	case e.node.ShortTag() == "!!null":
		d.fault(e.value, "%s has no value: give it one, or remove the line", e.key.Value)
	default:
		return true
	}
	return false
}

// list returns the items of a sequence.
func (d *decoder) list(v value) []value {
	if v.node.Kind != yaml.SequenceNode {
		d.fault(v, "%s is %s: write it as a list, %s: [...]", v.key, kind(v.node), lastWord(v.key))
		return nil
	}
	items := make([]value, len(v.node.Content))
	for i, n := range v.node.Content {
		items[i] = value{v.key, resolve(n)}
	}
	return items
}

func lastWord(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a block of keys"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}
