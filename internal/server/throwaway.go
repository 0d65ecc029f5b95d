package server

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	"github.com/detour-dns/detour/internal/unexported"
)

// throwaway is a Caddy instance that is set up and never started, to find out
// what is wrong with a Corefile.
type throwaway struct {
	path       string
	controller *caddy.Controller // copied for each directive; holds the instance
	storage    map[string]any    // what setup functions keep, by block and directive
}

func newThrowaway(path string) *throwaway {
	return &throwaway{path: path, controller: caddy.NewTestController("dns", ""), storage: map[string]any{}}
}

// inspect registers the blocks and returns them with their keys normalized.
func (t *throwaway) inspect(blocks []caddyfile.ServerBlock) (out []caddyfile.ServerBlock, err error) {
	defer recovered(&err)
	return t.controller.Context().InspectServerBlocks(t.path, blocks)
}

// controllerOf returns what the setup function of a directive is given, as
// Caddy makes it.
func (t *throwaway) controllerOf(index int, b caddyfile.ServerBlock, dir string, tokens []caddyfile.Token) *caddy.Controller {
	c := *t.controller
	c.Dispenser = caddyfile.NewDispenserTokens(t.path, tokens)
	c.Key, c.ServerBlockKeys = b.Keys[0], b.Keys
	c.ServerBlockIndex, c.ServerBlockKeyIndex = index, 0
	c.ServerBlockStorage = t.storage[fmt.Sprint(index, dir)]
	once := false
	c.OncePerServerBlock = func(f func() error) error {
		if once {
			return nil
		}
		once = true
		return f()
	}
	return &c
}

// setup runs one setup function. A panic in it is its fault, not ours.
func (t *throwaway) setup(index int, b caddyfile.ServerBlock, dir string, tokens []caddyfile.Token) (err error) {
	defer recovered(&err)
	action, err := setupOf(dir)
	if err != nil {
		return err
	}
	c := t.controllerOf(index, b, dir, tokens)
	err = action(c)
	t.storage[fmt.Sprint(index, dir)] = c.ServerBlockStorage
	return err
}

// setupOf returns the setup function of a directive, or ours where the real one
// would change what the running instance does.
func setupOf(dir string) (caddy.SetupFunc, error) {
	if dir == "ready" {
		return checkReady, nil
	}
	return caddy.DirectiveAction("dns", dir)
}

// servers compiles the blocks into servers, which finds what is wrong between
// blocks, and returns the addresses that they would listen on.
func (t *throwaway) servers() (addrs []string, err error) {
	defer recovered(&err)
	debug := clog.D.Value() // making a server sets it, for the process
	defer func() {
		if debug {
			clog.D.Set()
		} else {
			clog.D.Clear()
		}
	}()
	servers, err := t.controller.Context().MakeServers()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if a, ok := s.(interface{ Address() string }); ok {
			addrs = append(addrs, a.Address())
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs), nil
}

// close lets go of what setup functions began.
func (t *throwaway) close() { release(instanceOf(t.controller)) }

// instanceOf returns the instance that a controller works for. Caddy keeps it to
// itself, and has no other way to the shutdown callbacks of an instance that
// was never started.
func instanceOf(c *caddy.Controller) *caddy.Instance {
	return *unexported.Field[*caddy.Instance](c, "instance")
}

// Some setup functions begin things at once: a timer, a client, an open file.
// Their callbacks may be run on an instance that never started. Those of others
// must not: the one of `file` waits for a goroutine that is not there.
var (
	releaseOnShutdown = []string{"hosts", "route53", "clouddns", "azure", "etcd", "grpc", "tls", "pprof"}
	releaseOnRestart  = []string{"health", "dnstap"}
)

// release runs the callbacks of an instance that is given up before, or while,
// it was started.
func release(inst *caddy.Instance) {
	if inst == nil {
		return
	}
	runFor(releaseOnShutdown, inst.OnShutdown)
	runFor(releaseOnRestart, inst.OnRestart)
}

func runFor(plugins []string, callbacks []func() error) {
	for _, fn := range callbacks {
		if slices.Contains(plugins, pluginOf(fn)) {
			_ = guarded(fn)
		}
	}
}

// pluginOf returns the name of the plugin that a callback belongs to.
func pluginOf(fn func() error) string {
	name := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()
	_, rest, _ := strings.Cut(name, "/plugin/")
	name, _, _ = strings.Cut(rest, ".")
	return name
}

func guarded(fn func() error) (err error) {
	defer recovered(&err)
	return fn()
}

// recovered makes an error of a panic.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("a panic, please report it: %v", r)
	}
}
