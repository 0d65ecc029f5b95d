package server

import (
	"io"
	"reflect"
	"unsafe"

	"github.com/coredns/caddy"
)

// shut closes the sockets of an instance that has been stopped, or given up.
//
// Stopping is not enough. A server whose goroutine has not run yet does not
// know its socket, so Caddy's Stop passes it by; it begins to serve afterwards,
// and nothing ever ends it. After two reloads in quick succession such a server
// would answer a share of the queries from the Corefile before. And an instance
// that fails to start keeps the sockets that it had opened until then.
//
// The instance in use has descriptors of its own, so that closing these does not
// touch it, nor what waits in the queues that they share.
func shut(inst *caddy.Instance) {
	if inst == nil {
		return
	}
	for _, s := range sockets(inst) {
		_ = s.Close() // mostly closed already, by Stop
	}
}

// sockets returns what an instance listens with. Caddy tells only the addresses,
// so the fields are read past the language's rules; a test notices if they are
// renamed.
func sockets(inst *caddy.Instance) []io.Closer {
	var out []io.Closer
	servers := inst.Servers()
	for i := range servers {
		v := reflect.ValueOf(&servers[i]).Elem()
		for _, name := range []string{"listener", "packet"} {
			f := v.FieldByName(name)
			if !f.IsValid() {
				continue
			}
			f = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
			if c, ok := f.Interface().(io.Closer); ok {
				out = append(out, c)
			}
		}
	}
	return out
}
