package engine

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/internal/journal"
)

// TestBlind: a check whose probes never get out of this machine judges nothing, and
// that is said, once when it begins and once when it ends.
func TestBlind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var denied atomic.Bool
		denied.Store(true)
		w := &world{}
		e, err := Start(Options{
			Config: parse(t, shop(dir)), Log: slog.New(slog.DiscardHandler),
			Dial: func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
				if denied.Load() && to.Addr() == netip.MustParseAddr("198.51.100.10") {
					return nil, os.NewSyscallError("connect", syscall.EPERM)
				}
				return w.dial(ctx, network, to)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		pass(20 * time.Second)
		if s := e.Summary().Blind; s != "" {
			t.Errorf("before it is stale: %s", s)
		}
		pass(20 * time.Second)
		const want = "1 check has no verdict for a reason of this machine: local_permission ("
		if s := e.Summary().Blind; !strings.HasPrefix(s, want) || !strings.Contains(s, "for shop.example.org") {
			t.Errorf("the summary says %q", s)
		}
		denied.Store(false)
		pass(20 * time.Second)
		if s := e.Summary().Blind; s != "" {
			t.Errorf("when it is over: %s", s)
		}
		var told []string
		for _, ev := range e.Journal().Find(journal.Query{Target: "shop.example.org"}) {
			if strings.Contains(ev.Text, "for a reason of this machine") {
				told = append(told, ev.From+" "+ev.To+" "+ev.Why)
			}
		}
		if strings.Join(told, ", ") != " unknown local_permission, unknown  " {
			t.Errorf("told: %q", told)
		}
	})
}
