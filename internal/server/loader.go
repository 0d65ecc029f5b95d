package server

import (
	"errors"
	"sync/atomic"

	"github.com/coredns/caddy"
)

// running is the process's server. Caddy's loaders and event hooks belong to the
// process, so there is one at a time.
var running atomic.Pointer[Server]

// errOurs is all that stock `reload` ever gets. It is never shown: `reload` waits
// for its next turn.
var errOurs = errors.New("the server reads, checks and applies its Corefile itself")

func init() {
	caddy.RegisterCaddyfileLoader("detour", caddy.LoaderFunc(load))
	caddy.RegisterEventHook("detour-server", onEvent)
	caddy.RegisterParsingCallback("dns", directives[0], onSetup)
	caddy.RegisterParsingCallback("dns", directives[len(directives)-1], func(caddy.Context) error {
		if s := running.Load(); s != nil && s.pending.Load() != nil {
			putInFront(s.pending.Load())
		}
		return nil
	})
}

// load is what stock `reload` calls at each of its turns. It passes the turn on
// to the server, and returns an error so that `reload` does nothing itself:
// there is one way by which a Corefile comes into use, one at a time. (To return
// the Corefile in use would mostly do. But `reload` parses it again, and would
// apply imported files that nobody has checked; and Caddy notes without a lock
// which loader served it.)
//
// No loader after this one is asked. Theirs would be any file named Corefile in
// the working directory, or else `whoami` on port 53.
func load(string) (caddy.Input, error) {
	if s := running.Load(); s != nil {
		s.look()
	}
	return nil, errOurs
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
