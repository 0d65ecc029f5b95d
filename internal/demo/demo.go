// Package demo shows a failover as it happens: three regions on loopback, a real
// resolver with real probes, clients that ask it all the time, and then one
// region that falls silent.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/detour-dns/detour/internal/admin"
	"github.com/detour-dns/detour/internal/server"
)

// Options say how the story is told.
type Options struct {
	Out     io.Writer
	Port    int    // where the resolver listens if it is free
	Clients int    // at most 250
	Admin   string // where the resolver's admin API listens; "" chooses
	Command string // how the audience types the command; "" is "resolver"
	Loop    bool   // tell it again and again
	Pace    Pace
}

// Pace is how long the parts of the story take.
type Pace struct {
	Interval, Timeout, Confirm time.Duration // of the probes
	Calm                       time.Duration // before the cut
	Away                       time.Duration // from the move until the region answers again
	Failback                   time.Duration // from up to the ramp
	Step                       time.Duration // of the ramp
	Row                        time.Duration // between two lines of the table
	Ask                        time.Duration // between two questions of one client
	Limit                      time.Duration // of the whole story
}

// Default is the story in half a minute. There are more clients than a ramp
// needs to choose among them, and not among answers.
func Default(out io.Writer) Options {
	const s = time.Second
	return Options{Out: out, Port: 1053, Clients: 60, Pace: Pace{
		Interval: s, Timeout: s / 2, Confirm: s, Calm: 4 * s, Away: 4 * s,
		Failback: 4 * s, Step: 2 * s, Row: s, Ask: s, Limit: 90 * s,
	}}
}

const service = "shop.example.org"

// fall is how many failed probes in a row turn a region down.
const fall = 3

// Run tells the story until it ends or ctx does. Whatever happens, it leaves
// nothing behind.
func Run(ctx context.Context, o Options) error {
	s := &stage{Options: o}
	err := errors.Join(s.run(ctx), s.clear())
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		s.say("Stopped. Nothing is left behind.")
	}
	return err
}

func (s *stage) run(ctx context.Context) error {
	if err := s.build(); err != nil {
		return err
	}
	s.welcome()
	clients, err := newClients(ctx, s)
	if err != nil {
		return err
	}
	defer clients.stop()
	return newTale(s, clients).tell(ctx)
}

// stage is everything that must be cleared away.
type stage struct {
	Options
	dir     string
	regions []*region
	server  *server.Server
	api     *admin.Client
	apiAddr string
	moved   bool // the resolver is not on the port that was asked for
}

// build puts up the regions and starts the resolver.
func (s *stage) build() (err error) {
	if s.regions, err = openRegions("aws/us-east-1", "gcp/europe-west1", "azure/westeurope"); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "detour-demo-"); err != nil {
		return fmt.Errorf("no place for the demo's files: %w", err)
	}
	corefile, err := s.write()
	if err != nil {
		return err
	}
	if err := server.ConfigureLog("text", io.Discard); err != nil {
		return err
	}
	if s.server, err = server.Start(server.Options{Corefile: corefile}); err != nil {
		return err
	}
	s.api, err = admin.NewClient(admin.ClientOptions{Addr: s.apiAddr})
	return err
}

// clear ends and removes everything, in the reverse order.
func (s *stage) clear() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Stop(context.Background()))
	}
	for _, r := range s.regions {
		errs = append(errs, r.close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

func (s *stage) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Out, format+"\n", args...) // nobody may be looking any more
}

func (s *stage) welcome() {
	s.say("Three regions on this machine, each a small web server:")
	for _, r := range s.regions {
		s.say("  %-18s http://%s", r.name, r.addr)
	}
	if s.moved {
		s.say("Port %d is taken, so the resolver listens on another one.", s.Options.Port)
	}
	s.say("The resolver answers for %s on %s. %d clients ask it all the time.", service, s.server.Addr("udp"), s.Clients)
	s.say("Look for yourself in a second terminal:")
	s.say("  %s", s.dig())
	s.say("  %s status --admin %s", cmp.Or(s.Command, "resolver"), s.apiAddr)
	s.say("Times are short here, so that there is something to see: a probe each %v, answers that live 2s, a return after %v.", s.Pace.Interval, s.Pace.Failback)
	s.say("Unless failover.yaml says otherwise they are 5s, 30s and 5m.")
	s.say("")
}

func (s *stage) dig() string {
	host, port := split(s.server.Addr("udp"))
	return fmt.Sprintf("dig @%s -p %s %s", host, port, service)
}

// path is that of a file of the demo.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }
