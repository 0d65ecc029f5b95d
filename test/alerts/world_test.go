package alerts

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// TestMain removes what the tests built.
func TestMain(m *testing.M) { os.Exit(kit.Run(m)) }

// The regions of the world, by the address of their machines.
const (
	aws   = "127.0.1.1"
	gcp   = "127.0.2.1"
	azure = "127.0.3.1"
)

// world is machines in three regions, things that a resolver proves its own
// network with, and resolvers that watch them. All of it is on loopback.
type world struct {
	t    *testing.T
	web  string // port of what shop.example.org runs on
	sql  string // and db.example.org
	near string // what resolvers check themselves with
	open map[string]io.Closer
	all  []*resolver

	dns    *upstreams               // nil: there is none
	consul *kit.ConsulServer        // nil: there is none
	mute   bool                     // it never answered
	cutOff atomic.Pointer[resolver] // one that reaches gcp's web server on no good path
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, web: kit.FreePort(t), sql: kit.FreePort(t), near: kit.FreePort(t), open: map[string]io.Closer{}}
	for _, ip := range []string{aws, gcp, azure} {
		w.serve(ip, w.web, 0)
		w.serve(ip, w.sql, 0)
	}
	w.serve("127.0.9.1", w.near, 0)
	w.serve("127.0.9.2", w.near, 0)
	return w
}

// serve runs a web server that answers after a while.
func (w *world) serve(ip, port string, after time.Duration) {
	w.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		w.t.Skipf("needs the address %s on loopback: %v", ip, err)
	case err != nil:
		w.t.Fatal(err)
	}
	s := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if cut := w.cutOff.Load(); cut != nil && ip == gcp && cut.owns(r.RemoteAddr) {
				rw.WriteHeader(http.StatusBadGateway)
				return
			}
			select {
			case <-time.After(after):
				fmt.Fprintln(rw, "ok")
			case <-r.Context().Done():
			}
		}),
	}
	go func() { _ = s.Serve(l) }()
	w.open[l.Addr().String()] = s
	w.t.Cleanup(func() { _ = s.Close() })
}

// stop ends what listens on a port, at all of some addresses.
func (w *world) stop(port string, ips ...string) {
	w.t.Helper()
	for _, ip := range ips {
		if err := w.open[net.JoinHostPort(ip, port)].Close(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// failover is the resolvers' failover.yaml: two services with different monitors
// over the three regions.
func (w *world) failover(name, dir string) string {
	return w.sharing(name, fmt.Sprintf(`version: 1
defaults: {monitor: {interval: 500ms, timeout: 500ms, confirm: 100ms}}
monitors:
  web: {type: http, port: %s, path: /}
  sql: {type: tcp, port: %s}
services:
  shop.example.org:
    monitors: [web]
    pools: [{aws/us-east-1: [127.0.1.1]}, {gcp/europe-west1: [127.0.2.1]}, {azure/westeurope: [127.0.3.1]}]
  db.example.org:
    monitors: [sql]
    pools: [{aws/us-east-1: [127.0.1.1]}, {gcp/europe-west1: [127.0.2.1]}, {azure/westeurope: [127.0.3.1]}]
self: {checks: ["tcp://127.0.9.1:%[3]s", "tcp://127.0.9.2:%[3]s"]}
probes: {allow_targets: [127.0.0.0/8]}
state: {dir: %[4]s/state}
admin: {listen: "unix://%[4]s/admin.sock"}
`, w.web, w.sql, w.near, dir))
}

// resolver is a running resolver.
type resolver struct {
	w       *world
	name    string // as Prometheus calls it: the label instance
	dir     string
	metrics string // address
	dns     string // and where it answers
	cmd     *exec.Cmd
	out     kit.Output
}

// resolver starts one, with its failover.yaml edited if need be, and waits until
// all that it checks passes.
func (w *world) resolver(name string, edit func(string) string) *resolver {
	w.t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		w.t.Fatal(err)
	}
	r := &resolver{w: w, name: name, dir: w.t.TempDir(), metrics: "127.0.0.1:" + kit.FreePort(w.t)}
	port, guards := kit.FreePort(w.t), ""
	if w.dns != nil {
		guards = w.guards()
	}
	r.dns = "127.0.0.1:" + port
	r.write("Corefile", fmt.Sprintf(".:%s {\n    bind 127.0.0.1\n    prometheus %s\n    failover failover.yaml\n%s}\n", port, r.metrics, guards))
	yaml := w.failover(name, r.dir)
	if edit != nil {
		yaml = edit(yaml)
	}
	r.write("failover.yaml", yaml)
	r.cmd = exec.Command(bin, "serve", "--config", filepath.Join(r.dir, "Corefile"))
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = r.dir, &r.out, &r.out
	r.cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(r.dir, "guarded"))
	if err := r.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.stop)
	w.all = append(w.all, r)
	r.until("it serves, and every check passes", func(s scrape) bool { // metrics come before the sockets for DNS
		return strings.Contains(r.out.String(), " serves ") && s[prefix+`checks{verdict="up"}`] == w.checks() && s[prefix+`config_last_reload_success`] == "1"
	})
	return r
}

func (r *resolver) stop() {
	if r.cmd.ProcessState != nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	_ = r.cmd.Wait()
	if r.w.t.Failed() {
		r.w.t.Logf("resolver %s said:\n%s", r.name, r.out.String())
	}
}

func (r *resolver) write(name, text string) {
	r.w.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.w.t.Fatal(err)
	}
}

// do runs the command of an operator.
func (r *resolver) do(args ...string) {
	r.w.t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		r.w.t.Fatal(err)
	}
	args = append(args, "--admin", "unix://"+filepath.Join(r.dir, "admin.sock"))
	if out, err := exec.Command(bin, args...).CombinedOutput(); err != nil {
		r.w.t.Fatalf("resolver %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// scrape is what Prometheus reads: values as they are written, by series.
type scrape map[string]string

// scrape reads the metrics, nil if that fails.
func (r *resolver) scrape() scrape {
	c := http.Client{Timeout: 5 * time.Second}
	resp, err := c.Get("http://" + r.metrics + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	out := scrape{}
	for line := range strings.Lines(string(text)) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && strings.HasPrefix(line, prefix) {
			out[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return out
}

// until waits for a scrape of which f is true.
// A member that stops to answer is proven once a minute, and is out at the second
// proof in a row that fails.
func (r *resolver) until(what string, f func(scrape) bool) {
	r.w.t.Helper()
	var last scrape
	if err := kit.Every(50*time.Millisecond, 150*time.Second, func() bool { last = r.scrape(); return f(last) }); err != nil {
		r.w.t.Fatalf("%s: %v; the last scrape is\n%v\nresolver %s said:\n%s", what, err, last, r.name, r.out.String())
	}
}
