package guard

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/guard"
)

func init() { plugin.Register(pluginName, setup) }

// options are what a directive says.
type options struct {
	rules guard.Rules
	port  uint16 // of proof tcp
	allow []netip.Prefix
	state string // directory, "" = none
	said  bool   // the block itself says which

	dial  func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) // nil = the system's
	roots *x509.CertPool                                                                 // nil = the system's
}

// targets says where proofs may go.
func (o *options) targets() config.Targets { return config.Targets{Allow: o.allow} }

// seconds is the lifetime of what stands in.
func (o *options) seconds() uint32 { return uint32(o.rules.TTL / time.Second) } // #nosec G115 -- at most a minute

// The defaults.
const (
	keepProven   = 24 * time.Hour
	keepUnproven = 15 * time.Minute
	keepMost     = 7 * 24 * time.Hour // RFC 8767 section 5
	ttlUsual     = 15 * time.Second
	ttlMost      = time.Minute
)

func usual() options {
	return options{
		rules: guard.Rules{
			On: guard.Usual, KeepProven: keepProven, KeepUnproven: keepUnproven, TTL: ttlUsual, Place: place,
		},
		state: config.DefaultStateDir(),
	}
}

// place stands for the provider and region of an address: nothing nearer is known
// than its network, /16 or /32.
func place(ip netip.Addr) string {
	bits := 16
	if ip.Is6() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p.String()
}

// setup reads the directive. It starts nothing: a throw-away setup leaves nothing
// behind.
func setup(c *caddy.Controller) error {
	g, err := parse(c)
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	if g.prove, err = newProver(&g.opts); err != nil {
		return plugin.Error(pluginName, err)
	}
	block := dnsserver.GetConfig(c)
	block.AddPlugin(func(next plugin.Handler) plugin.Handler {
		g.Next = next
		return g
	})
	g.table = newTable("", office, nil) // until it starts
	c.OnStartup(func() error {
		if g.Next != nil { // else another key of the same server block has it
			g.opts.settle(c)
			office.enter(g, block.Zone+":"+block.Port+"/"+block.ViewName)
		}
		return nil
	})
	c.OnShutdown(func() error { office.depart(g); return nil })
	c.OnFinalShutdown(func() error { office.leave(); return nil })
	return nil
}

// settle takes the state directory of the process, if failover.yaml names one and the
// block does not. It is known once every directive was set up.
func (o *options) settle(c *caddy.Controller) {
	if o.said {
		return
	}
	for _, block := range []int{c.ServerBlockIndex + 1, 0} {
		if dir, ok := c.Get(guard.StateDir{Block: block}).(string); ok {
			o.state = dir
			return
		}
	}
}

// Faults are all that is wrong with a directive.
type Faults []error

// Error returns one fault a line.
func (f Faults) Error() string { return errors.Join(f...).Error() }

// parse reads the directive of a server block. Its error may be of type Faults.
func parse(c *caddy.Controller) (*Guard, error) {
	g := &Guard{opts: usual(), names: newList()}
	for n := 0; c.Next(); n++ {
		if n > 0 {
			return nil, plugin.ErrOnce
		}
		if faults := g.read(c); len(faults) > 0 {
			return nil, faults
		}
	}
	if len(g.names.named) == 0 && g.names.file == "" && len(g.names.patterns) == 0 {
		return nil, c.Errf("guards nothing: write the names that must not vanish behind it (guard login.partner.example), or file, preset or pattern")
	}
	return g, nil
}

// read reads the names behind the directive, and its options.
func (g *Guard) read(c *caddy.Controller) (faults Faults) {
	add := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	add(g.addNames(c, c.RemainingArgs()))
	for c.NextBlock() {
		option, known := readers[c.Val()]
		if !known {
			add(c.Errf("unknown option %q: use file, preset, pattern, on, proof, keep, ttl, deny, allow_targets or state", c.Val()))
			c.RemainingArgs()
			continue
		}
		add(option(g, c, c.RemainingArgs()))
	}
	return faults
}

func (g *Guard) addNames(c *caddy.Controller, args []string) error {
	for _, a := range args {
		name, err := guard.CheckName(a)
		if err != nil {
			return c.Errf("%v", err)
		}
		g.names.named[name] = true
	}
	return nil
}

var readers = map[string]func(g *Guard, c *caddy.Controller, args []string) error{
	"file":          readFile,
	"preset":        readPreset,
	"pattern":       readPattern,
	"on":            readOn,
	"proof":         readProof,
	"keep":          readKeep,
	"ttl":           readTTL,
	"deny":          readDeny,
	"allow_targets": readAllow,
	"state":         readState,
}

func readFile(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) != 1 || g.names.file != "" {
		return c.Errf("file takes one path, once: file /etc/detour/guarded.txt")
	}
	g.names.file = rooted(c, args[0])
	if err := g.names.readFile(); err != nil {
		return c.Errf("file: %v", err)
	}
	return nil
}

// rooted takes a path that is not absolute from the server block's root.
func rooted(c *caddy.Controller, path string) string {
	if root := dnsserver.GetConfig(c).Root; !filepath.IsAbs(path) && root != "" {
		return filepath.Join(root, path)
	}
	return path
}

func readDeny(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) == 0 {
		return c.Errf("deny takes names: deny old.partner.example *.lab.example")
	}
	for _, a := range args {
		base, wild := strings.CutPrefix(a, "*.")
		name, err := guard.CheckName(base)
		if err != nil {
			return c.Errf("deny: %v", err)
		}
		if wild {
			name = "*." + name
		}
		g.names.denied[name] = true
	}
	return nil
}

func readAllow(g *Guard, c *caddy.Controller, args []string) error {
	for _, a := range args {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return c.Errf("allow_targets: %q is not a network: write it as 10.0.0.0/8", a)
		}
		g.opts.allow = append(g.opts.allow, p.Masked())
	}
	return nil
}

func readState(g *Guard, c *caddy.Controller, args []string) error {
	g.opts.said = true
	switch {
	case len(args) == 1 && args[0] == "off":
		g.opts.state = ""
	case len(args) == 1 && filepath.IsAbs(args[0]):
		g.opts.state = filepath.Clean(args[0])
	default:
		return c.Errf("state takes an absolute path, such as /var/lib/detour, or off: what is kept is then lost with the process")
	}
	return nil
}
