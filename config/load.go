package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/detour-dns/detour/internal/files"
)

// emptyFile is the fault of a file without a document.
const emptyFile = "the file is empty: it needs at least services:"

// Load reads and parses the file at path. Its error is of type Faults.
func Load(path string) (*Config, error) {
	data, err := Read(path)
	if err != nil {
		return nil, Faults{{File: path, Message: cannotRead(err)}}
	}
	return Parse(path, data)
}

// Read returns the content of a failover file, through symlinks. It waits for no pipe,
// and reads no more than a file may hold.
func Read(path string) ([]byte, error) { return files.Read(path, int64(fileBound.Bytes)) }

func cannotRead(err error) string {
	if why, lack := files.Lack(err); lack {
		return "cannot read the file: " + why
	}
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	if errors.Is(err, files.ErrTooLarge) {
		return "the file is larger than " + sizeText(fileBound.Bytes) + ": split the services over several resolvers"
	}
	return "cannot read the file: " + err.Error()
}

// Parse makes a Config of data, the content of the file at path. Path is used
// for messages, for Config.Path, and to find files named relative to it; it is
// not read. The error is of type Faults and holds every fault; with it the
// Config is nil.
func Parse(path string, data []byte) (*Config, error) { return ParseWithin(path, data, fileBound) }

// ParseWithin is Parse for data that may hold only so much.
func ParseWithin(path string, data []byte, bound Bound) (*Config, error) {
	root, faults := parseTree(path, data, bound)
	if len(faults) > 0 {
		return nil, faults
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, Faults{{File: path, Message: "cannot make the path absolute: " + err.Error()}}
	}
	sum := sha256.Sum256(data)
	d := newDecoder(path)
	d.cfg.Path, d.cfg.Hash = abs, hex.EncodeToString(sum[:])
	d.cfg.size = Bound{Bytes: len(data), Marks: countMarks(data)}
	d.file(root, bound)
	if len(d.faults) > 0 {
		return nil, d.faults.sorted()
	}
	d.cfg.Warnings = d.warnings.sorted()
	d.cfg.buildIndex()
	return d.cfg, nil
}

// parseTree returns the one document in data, bounded in size, depth and in
// what its aliases expand to.
func parseTree(path string, data []byte, bound Bound) (*yaml.Node, Faults) {
	if fault := bound.exceeds(path, data); fault != nil {
		return nil, Faults{*fault}
	}
	doc, fault := readDocument(path, data)
	if fault != nil {
		return nil, Faults{*fault}
	}
	root := doc.Content[0]
	b := bounds{}
	if msg := b.check(root, 0, false); msg != "" {
		return nil, Faults{{File: path, Line: b.at.Line, Col: b.at.Column, Message: msg}}
	}
	return root, nil
}

// readDocument reads data as one YAML document. A panic of the library becomes
// a fault: a resolver that reloads must survive whatever is in its file.
func readDocument(path string, data []byte) (doc *yaml.Node, fault *Fault) {
	defer func() {
		if r := recover(); r != nil {
			doc, fault = nil, &Fault{File: path, Message: oneLine(fmt.Sprintf("not YAML: %v", r))}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc = &yaml.Node{}
	switch err := dec.Decode(doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return nil, &Fault{File: path, Line: 1, Col: 1, Message: emptyFile}
	case err != nil:
		return nil, yamlFault(path, data, err)
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc, nil
	case err != nil:
		return nil, yamlFault(path, data, err)
	}
	return nil, &Fault{
		File: path, Line: second.Line, Col: max(second.Column, 1),
		Message: "a second document begins here: keep one document in the file, without a --- line inside",
	}
}

// bounds walks a tree as the decoder will, through its aliases.
type bounds struct {
	aliased int        // nodes reached through an alias
	at      *yaml.Node // where a bound was passed
}

// check returns what is wrong below n, or "".
func (b *bounds) check(n *yaml.Node, depth int, aliased bool) string {
	b.at = n
	if depth > maxDepth {
		return fmt.Sprintf("more than %d blocks inside one another: an alias that holds itself, or not a failover file", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		n, aliased = n.Alias, true
	}
	if aliased {
		if b.aliased++; b.aliased > maxAliased {
			return fmt.Sprintf("the aliases in this file expand to more than %d nodes: write the blocks out", maxAliased)
		}
	}
	for _, c := range n.Content {
		if msg := b.check(c, depth+1, aliased); msg != "" {
			return msg
		}
	}
	return ""
}
