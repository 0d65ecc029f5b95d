package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
	"github.com/coredns/coredns/plugin/pkg/log"
)

// Files that a Corefile names are read when it is: certificates and keys, the
// resolv.conf that `forward` follows, secrets of `tsig`, keys of `dnssec`. They change
// while the Corefile does not, by cert-manager, DHCP or a VPN. So they are looked at,
// and the Corefile in use is read again when one has changed.
const (
	lookAtNamed = 2 * time.Second
	maxNamed    = 1 << 20 // bytes of a file that count: keys and lists of servers are smaller
)

// selfReading are the directives whose plugins look at their files themselves, or
// whose arguments are no files that they read.
var selfReading = []string{"failover", "file", "auto", "hosts", "root", "bind", "reload", "log", "errors"}

// named are the files that a Corefile names, and what they held.
type named struct {
	paths  []string // sorted
	stamps []stamp  // of each
	sums   []hash256
	bad    bool // with what they hold now the Corefile was refused
}

type hash256 = [sha256.Size]byte

// stamp is what changes when a file does, mostly.
type stamp struct {
	size     int64
	modified time.Time
}

// namedIn returns the files that a Corefile names.
func namedIn(in caddy.Input) (n named) {
	blocks, err := caddyfile.Parse(in.Path(), bytes.NewReader(in.Body()), nil)
	if err != nil {
		return named{}
	}
	for _, b := range blocks {
		n.paths = append(n.paths, namedBy(b)...)
	}
	slices.Sort(n.paths)
	n.paths = slices.Compact(n.paths)
	n.stamps, n.sums = make([]stamp, len(n.paths)), make([]hash256, len(n.paths))
	n.look()
	return n
}

// namedBy returns the files that a server block names.
func namedBy(b caddyfile.ServerBlock) (out []string) {
	root := ""
	if tokens := b.Tokens["root"]; len(tokens) > 1 {
		root = tokens[1].Text
	}
	for dir, tokens := range b.Tokens {
		if slices.Contains(selfReading, dir) {
			continue
		}
		for _, t := range tokens[1:] {
			out = append(out, filesOf(root, t.Text)...)
		}
	}
	return out
}

// filesOf returns the files that an argument names: itself, or the two of a key of
// `dnssec`, which is named without their ends. Plugins differ in whether they look in
// the block's root.
func filesOf(root, arg string) (out []string) {
	for _, end := range []string{"", ".key", ".private"} {
		out = append(out, regular(arg+end)...)
		if !filepath.IsAbs(arg) && root != "" {
			out = append(out, regular(filepath.Join(root, arg+end))...)
		}
	}
	return out
}

// regular returns the absolute path of a file, nothing if there is none.
func regular(path string) []string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil
	}
	return []string{path}
}

// look reads each file anew that may have changed, and returns those that have. A
// file that is gone, or cannot be read, has changed too.
func (n *named) look() (changed []string) {
	for i, path := range n.paths {
		var now stamp
		if info, err := os.Stat(path); err == nil {
			now = stamp{info.Size(), info.ModTime()}
		}
		if now == n.stamps[i] {
			continue
		}
		n.stamps[i] = now
		if sum := sumOf(path); sum != n.sums[i] {
			n.sums[i] = sum
			changed = append(changed, path)
		}
	}
	return changed
}

// sumOf is the hash of what a file holds, zero if it cannot be read.
func sumOf(path string) (sum hash256) {
	f, err := os.Open(path) // #nosec G304 -- the Corefile names it
	if err != nil {
		return sum
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxNamed)); err != nil {
		return sum
	}
	return hash256(h.Sum(nil))
}

// watchNamed reads the Corefile in use again when a file that it names has changed,
// until ctx is done.
func (s *Server) watchNamed(ctx context.Context) {
	tick := time.NewTicker(lookAtNamed)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.reloadIfNamedChanged()
		case <-ctx.Done():
			return
		}
	}
}

// reloadIfNamedChanged does that once. What was refused is tried again when a file
// changes again: the second half of a certificate and its key, say.
func (s *Server) reloadIfNamedChanged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	changed := s.named.look()
	in, ok := s.instance().Caddyfile().(caddy.CaddyfileInput)
	if len(changed) == 0 || !ok {
		return
	}
	log.Infof("%s changed, which %s names", strings.Join(changed, " and "), s.name)
	if err := s.apply(in, s.applied); err != nil { // it has said what is wrong
		s.named.bad = true
	}
}
