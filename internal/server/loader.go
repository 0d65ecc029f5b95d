package server

import (
	"errors"
	"sync/atomic"

	"github.com/coredns/caddy"
)

// running is the process's server. Caddy's loaders and event hooks belong to the
// process, so there is one at a time.
var running atomic.Pointer[Server]

// errChecked stops stock `reload` from parsing, and then applying, what nobody
// has checked. It is never shown: `reload` waits for its next turn.
var errChecked = errors.New("the server itself reloads this Corefile, once it is checked")

func init() {
	caddy.RegisterCaddyfileLoader("detour", caddy.LoaderFunc(load))
	// CoreDNS's own default would read any file named Corefile in the working
	// directory; without one, Caddy's would be `whoami` on port 53.
	caddy.SetDefaultCaddyfileLoader("detour", caddy.LoaderFunc(func(string) (caddy.Input, error) {
		return nil, errChecked
	}))
	caddy.RegisterEventHook("detour-server", onEvent)
	caddy.RegisterParsingCallback("dns", directives[0], onSetup)
}

// load is what stock `reload` calls at each of its turns. It passes the turn on
// to the server, which reads, checks and applies, and returns the Corefile in
// use: so that for `reload` nothing has ever changed, and there is one path on
// which a Corefile comes into use.
func load(string) (caddy.Input, error) {
	s := running.Load()
	if s == nil {
		return nil, nil
	}
	s.look()
	inst := s.instance()
	if inst == nil || imports(inst.Caddyfile()) {
		return nil, errChecked // parsed again, it may mean something else
	}
	return inst.Caddyfile(), nil
}

// onEvent learns which instance is in use, whoever started it.
func onEvent(event caddy.EventName, info any) error {
	s := running.Load()
	inst, ok := info.(*caddy.Instance)
	if s == nil || !ok || event != caddy.InstanceStartupEvent {
		return nil
	}
	if in := inst.Caddyfile(); in != nil && in.Path() == s.name {
		s.inst.Store(inst)
	}
	return nil
}

// onSetup notes the instance that is being set up, which is the last in Caddy's
// list. If it fails to start, Caddy forgets it without ending what it began.
func onSetup(caddy.Context) error {
	all := caddy.Instances()
	if s := running.Load(); s != nil && len(all) > 0 {
		s.pending.Store(all[len(all)-1])
	}
	return nil
}
