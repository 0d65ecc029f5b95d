// Package lab runs the real command against real backends in network namespaces
// that it makes itself and takes down again: a resolver, three regions with
// nginx, and a router between them on which faults are made.
package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/detour-dns/detour/test/kit"
)

// TestMain removes what the tests built.
func TestMain(m *testing.M) { os.Exit(kit.Run(m)) }

// lab is one set of namespaces.
type lab struct {
	t      *testing.T
	prefix string // of the namespaces' names
	octet  int    // 10.<octet>.x.y
	dir    string
	places []string // the namespaces behind the router, by their third octet
}

var regionOf = map[string]string{"aws": "aws/us-east-1", "gcp": "gcp/europe-west1", "azure": "azure/westeurope"}

// labs is how many labs this process has made: each has networks of its own.
var labs atomic.Int32

// newLab makes the namespaces, a resolver's, three regions' and more, or skips the
// test and says what is missing.
func newLab(t *testing.T, more ...string) *lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	for _, tool := range []string{"ip", "nft", "nginx", "dig", "kdig"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: iproute2 nftables nginx-light bind9-dnsutils knot-dnsutils)", tool)
		}
	}
	octet := int(labs.Add(1))
	l := &lab{t: t, prefix: fmt.Sprintf("dl%d-%d-", os.Getpid()%10000, octet), octet: octet, dir: t.TempDir()}
	l.places = append([]string{"res", "aws", "gcp", "azure"}, more...)
	if out, err := exec.Command("ip", "netns", "add", l.prefix+"router").CombinedOutput(); err != nil {
		t.Skipf("this machine makes no network namespaces: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", l.prefix+"router").Run() })
	l.in("router", "sysctl", "-qw", "net.ipv4.ip_forward=1")
	for i, p := range l.places {
		l.link(i, p)
	}
	return l
}

// link makes namespace p and joins it to the router.
func (l *lab) link(i int, p string) {
	l.sh("ip", "netns", "add", l.prefix+p)
	l.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", l.prefix+p).Run() })
	inner, outer := fmt.Sprintf("d%d%s", l.octet, p), fmt.Sprintf("r%d%s", l.octet, p)
	l.sh("ip", "link", "add", inner, "netns", l.prefix+p, "type", "veth", "peer", "name", outer, "netns", l.prefix+"router")
	l.in("router", "ip", "addr", "add", l.addr(i, 1)+"/24", "dev", outer)
	l.in("router", "ip", "link", "set", outer, "up")
	l.in(p, "ip", "addr", "add", l.addr(i, 2)+"/24", "dev", inner)
	l.in(p, "ip", "link", "set", inner, "up")
	l.in(p, "ip", "link", "set", "lo", "up")
	l.in(p, "ip", "route", "add", "default", "via", l.addr(i, 1))
}

func (l *lab) addr(place, host int) string { return fmt.Sprintf("10.%d.%d.%d", l.octet, place, host) }

// of is the address of a place's machine.
func (l *lab) of(place string) string {
	for i, p := range l.places {
		if p == place {
			return l.addr(i, 2)
		}
	}
	l.t.Fatalf("no place %s", place)
	return ""
}

func (l *lab) sh(name string, args ...string) string {
	l.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in runs a command in a namespace.
func (l *lab) in(place string, args ...string) string {
	l.t.Helper()
	return l.sh("ip", append([]string{"netns", "exec", l.prefix + place}, args...)...)
}

// dark makes a region silent: the router throws away what goes there.
func (l *lab) dark(place string) {
	l.in("router", "ip", "route", "add", "blackhole", l.of(place)+"/32")
}

// light ends dark.
func (l *lab) light(place string) {
	l.in("router", "ip", "route", "del", "blackhole", l.of(place)+"/32")
}

// lose drops a share of all packets that the router passes on.
func (l *lab) lose(percent int) {
	l.in("router", "nft", "add table inet lab; add chain inet lab f { type filter hook forward priority 0; }; "+
		fmt.Sprintf("add rule inet lab f numgen random mod 100 < %d drop", percent))
}

// process is a command that runs until the test ends.
type process struct {
	cmd *exec.Cmd
	out kit.Output
}

// start runs a command in a namespace in the background.
func (l *lab) start(place string, args ...string) *process {
	l.t.Helper()
	p := &process{cmd: exec.Command("ip", append([]string{"netns", "exec", l.prefix + place}, args...)...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	})
	return p
}

// backend runs nginx in a region; it says the region's name.
func (l *lab) backend(place string) { l.web(place, l.of(place), regionOf[place]) }

// web runs nginx on an address of a place.
func (l *lab) web(place, ip, says string) *process {
	dir := filepath.Join(l.dir, place+"-"+ip)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 512; }
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f;
  uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s:80; location / { return 200 "%[3]s\n"; } } }
`, dir, ip, says)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.start(place, "nginx", "-c", path, "-e", filepath.Join(dir, "start.log"))
}

// inside runs f in a namespace: a thread enters it and is thrown away.
func (l *lab) inside(place string, f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		ns, oerr := os.Open(filepath.Join("/run/netns", l.prefix+place))
		if oerr != nil {
			err = oerr
			return
		}
		defer ns.Close() //nolint:errcheck // only read
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
			err = f()
		}
	}()
	<-done
	return err
}

// dialIn opens a socket in a namespace.
func (l *lab) dialIn(place, network, to string) (c net.Conn, err error) {
	err = l.inside(place, func() (err error) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		c, err = new(net.Dialer).DialContext(ctx, network, to)
		return err
	})
	return c, err
}
