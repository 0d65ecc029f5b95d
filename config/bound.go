package config

import (
	"bytes"
	"fmt"
)

// Bound is how much a file may hold. It keeps a broken or hostile file from taking
// the memory of a resolver that answers.
type Bound struct {
	Bytes  int
	Marks  int // commas, colons, brackets and dashes that may begin a value: YAML makes at most two nodes of each
	Checks int // monitors applied to endpoints
}

// fileBound is that of a file which an operator puts in place. It is far above any
// use.
var fileBound = Bound{Bytes: 16 << 20, Marks: 3_000_000, Checks: 1_000_000}

// Bounds of a tree, whatever its size.
const (
	maxDepth   = 32      // blocks inside blocks; the format itself needs 7
	maxAliased = 200_000 // nodes reached through aliases, all together
)

// Room is the bound of a file that is to be compared with this one: a quarter more than what
// a reload of this one takes beside it, for which a resolver has the memory.
func (c *Config) Room() Bound {
	more := func(n int) int { return n + n/4 }
	return Bound{
		Bytes:  min(max(1<<20, more(c.size.Bytes)), fileBound.Bytes),
		Marks:  min(max(1<<16, more(c.size.Marks)), fileBound.Marks),
		Checks: min(max(20_000, more(c.size.Checks)), fileBound.Checks),
	}
}

// exceeds returns the fault of data that is larger than a bound, nil if it is not.
// It is found before a parser has made anything of it.
func (b Bound) exceeds(path string, data []byte) *Fault {
	if len(data) > b.Bytes {
		return &Fault{File: path, Message: "the file is larger than " + sizeText(b.Bytes) + ": split the services over several resolvers"}
	}
	n := 0
	for i, c := range data {
		if !marks(data, i, c) {
			continue
		}
		if n++; n > b.Marks {
			line := bytes.Count(data[:i], []byte("\n")) + 1
			return &Fault{
				File: path, Line: line, Col: i - bytes.LastIndexByte(data[:i], '\n'),
				Message: fmt.Sprintf("the file holds more than %d values: split the services over several resolvers", b.Marks),
			}
		}
	}
	return nil
}

// countMarks returns how many marks there are in data.
func countMarks(data []byte) (n int) {
	for i, c := range data {
		if marks(data, i, c) {
			n++
		}
	}
	return n
}

// marks reports whether a value may begin at or after a byte. In comments and quotes
// none does: to know them would be to parse.
func marks(data []byte, i int, c byte) bool {
	switch c {
	case ',', ':', '[', '{', '?':
		return true
	case '-':
		return i+1 == len(data) || data[i+1] <= ' ' || data[i+1] >= 0x80
	}
	return false
}

func sizeText(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// checkCount faults the service with which a file makes too many checks.
func (d *decoder) checkCount(seen given, bound Bound) {
	total := 0
	for i := range d.cfg.Services {
		s := &d.cfg.Services[i]
		for p := range s.Pools {
			total += len(s.Pools[p].Endpoints) * len(s.Monitors)
		}
		if total > bound.Checks {
			d.fault(seen["services"], "with %s the services make more than %d checks, each a monitor applied to an endpoint: split them over several resolvers", plain(s.Name), bound.Checks)
			break
		}
	}
	d.cfg.size.Checks = total
}
