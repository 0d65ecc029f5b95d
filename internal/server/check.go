package server

import (
	"slices"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
	"github.com/coredns/coredns/core/dnsserver"

	"github.com/detour-dns/detour/internal/startup"
)

// Report is what a check of a Corefile found.
type Report struct {
	Name     string   // of the Corefile, as messages show it
	Faults   Faults   // nothing is served with these
	Warnings Faults   // what could not be checked from here, such as a cluster's API
	Addrs    []string // to listen on, as transport://host:port; none if there are faults
	Beside   []string // what plugins listen on by themselves, as plugin://host:port
	Loops    Faults   // of Warnings: questions that are forwarded to where they come from
	Services []string // absolute paths of the failover files
}

// Check reads the Corefile at path, or the built-in one if path is "", and
// returns every fault in it and in the failover files that it names. It starts
// nothing. The error says that the file cannot be read.
func Check(path string) (Report, error) {
	path, back := besideCorefile(path)
	defer back()
	in, err := read(path)
	if err != nil {
		return Report{}, err
	}
	return check(in), nil
}

// check sets up every directive of every block on a throw-away instance. Caddy
// would stop at the first fault. Nothing is served without it, and setup functions
// want the registry of metrics that they know: so it ends what the start put off.
func check(in caddy.Input) Report {
	startup.Finish()
	c := checker{path: in.Path(), Report: Report{Name: in.Path()}}
	blocks, faults := parse(in)
	if line := strayBrace(in.Path(), in.Body()); line > 0 && len(faults) == 0 { // Caddy takes it for a zone, and misreads what follows
		c.Faults = Faults{{File: c.path, Line: line, Message: "a } closes nothing here: remove it"}}
		return c.Report
	}
	c.Faults = append(faults, unknown(c.path, blocks)...)
	if len(blocks) == 0 && len(c.Faults) == 0 {
		c.Faults = append(c.Faults, Fault{File: c.path, Message: "no server block: write one, on three lines: `. {`, `forward . 192.0.2.1` and `}`"})
	}
	c.lines, c.last = keyLines(in), map[string]int{}
	blocks = c.keys(blocks)
	c.setup(blocks)
	c.Faults, c.Warnings = c.Faults.sorted(c.path), c.Warnings.sorted(c.path)
	return c.Report
}

type checker struct {
	Report
	path    string
	partial bool             // a directive could not be set up here
	lines   map[string][]int // of the keys of blocks, in the order of the file
	last    map[string]int   // by a block's first key as Caddy writes it: where it stands last
}

// keys returns the blocks whose keys are addresses and zones.
func (c *checker) keys(blocks []caddyfile.ServerBlock) []caddyfile.ServerBlock {
	var good []caddyfile.ServerBlock
	for _, b := range blocks {
		alone := caddyfile.ServerBlock{Keys: slices.Clone(b.Keys), Tokens: b.Tokens}
		line := c.next(b.Keys[0])
		if len(b.Tokens) == 0 && slices.Contains(directives, b.Keys[0]) {
			c.Faults = append(c.Faults, Fault{
				File: c.path, Line: line,
				Message: "`" + b.Keys[0] + "` is read as the name of a zone here: put it into a block, on three lines: `. {`, `" + strings.Join(b.Keys, " ") + "` and `}`",
			})
			continue
		}
		normal, err := checkKeys(newThrowaway(c.path), alone)
		if err != nil {
			c.Faults = append(c.Faults, Fault{
				File: c.path, Line: line,
				Message: "the block for " + b.Keys[0] + ": " + trimPlugin(oneLine(err.Error())),
			})
			continue
		}
		c.last[normal] = line
		good = append(good, b)
	}
	return good
}

// next returns the line of a block's first key: that of the next time it stands
// in the file, or 0 if it is imported.
func (c *checker) next(key string) int {
	lines := c.lines[key]
	if len(lines) == 0 {
		return 0
	}
	c.lines[key] = lines[1:]
	return lines[0]
}

// setup runs the setup functions as Caddy does: each directive in all blocks,
// then the next.
func (c *checker) setup(blocks []caddyfile.ServerBlock) {
	t := newThrowaway(c.path)
	defer t.close()
	blocks, err := t.inspect(blocks)
	if err != nil {
		c.Faults = append(c.Faults, Fault{File: c.path, Message: oneLine(err.Error())})
		return
	}
	for _, dir := range directives {
		for i, b := range blocks {
			if tokens, ok := b.Tokens[dir]; ok {
				c.directive(t, i, b, dir, tokens)
			}
		}
	}
	c.unencrypted(blocks)
	c.Beside, c.Loops = besides(blocks), c.loops(blocks)
	c.Warnings = append(c.Warnings, c.Loops...)
	if len(c.Faults) > 0 || c.partial {
		return // the servers would be compiled without some of their plugins
	}
	if c.Addrs, err = t.servers(); err != nil {
		c.Faults = append(c.Faults, c.between(err))
	}
}

// directive sets up one directive of one block. If that fails and the block has
// it several times, each use is tried alone, so that every fault is found.
func (c *checker) directive(t *throwaway, index int, b caddyfile.ServerBlock, dir string, tokens []caddyfile.Token) {
	err := t.setup(index, b, dir, tokens)
	if dir == "failover" {
		c.services(t, index, b, tokens)
	}
	if err == nil {
		return
	}
	all := uses(dir, tokens)
	if len(all) > 1 && c.alone(b, dir, all) {
		return
	}
	c.fault(dir, tokens, err)
}

// alone reports whether a use of a directive is faulty by itself, and adds the
// faults of those that are.
func (c *checker) alone(b caddyfile.ServerBlock, dir string, all [][]caddyfile.Token) (found bool) {
	for _, use := range all {
		t := newThrowaway(c.path)
		lone := caddyfile.ServerBlock{Keys: slices.Clone(b.Keys), Tokens: b.Tokens}
		if _, err := t.inspect([]caddyfile.ServerBlock{lone}); err != nil {
			continue
		}
		if err := t.setup(0, lone, dir, use); err != nil {
			found = true
			c.fault(dir, use, err)
		}
		t.close()
	}
	return found
}

func (c *checker) fault(dir string, tokens []caddyfile.Token, err error) {
	where := place(c.path, tokens)
	where.Message = dir
	faults := locate(where, err)
	if needsOthers(dir, err) {
		c.Warnings, c.partial = append(c.Warnings, faults...), true
		return
	}
	c.Faults = append(c.Faults, faults...)
}

// services notes the files that a block's failover names.
func (c *checker) services(t *throwaway, index int, b caddyfile.ServerBlock, tokens []caddyfile.Token) {
	root := dnsserver.GetConfig(t.controllerOf(index, b, "failover", tokens)).Root
	for _, use := range uses("failover", tokens) {
		if len(use) < 2 {
			continue
		}
		path := absolute(root, use[1].Text)
		if !slices.Contains(c.Services, path) {
			c.Services = append(c.Services, path)
		}
	}
}
