// Package e2e runs the whole command on loopback, with other plugins of CoreDNS
// in the same Corefile, and looks at it from outside with other people's
// programs.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// TestMain removes what the tests built.
func TestMain(m *testing.M) { os.Exit(kit.Run(m)) }

// process is a running resolver.
type process struct {
	t     *testing.T
	dir   string
	port  string
	bin   string // of the command
	group string // the file of the control group that it runs in, as container says; "" = the test's own
	cmd   *exec.Cmd
	out   kit.Output
}

// backend is a web server in a region, on an address of loopback.
func backend(t *testing.T, ip, port string) *http.Server {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, port))
	if err != nil {
		t.Skipf("needs the address %s on loopback: %v", ip, err)
	}
	s := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }),
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// shop is a failover.yaml with one service over two regions on loopback.
func shop(dir, port, extra string) string {
	return fmt.Sprintf(`version: 1
monitors:
  web: {type: http, port: %s, path: /, interval: 500ms, timeout: 500ms, confirm: 100ms}
services:
  shop.example.org:
    monitors: [web]
    port: 443
    alpn: [h2]
    pools:
      - aws/us-east-1:    [127.0.1.1]
      - gcp/europe-west1: [127.0.2.1]
probes: {allow_targets: [127.0.0.0/8]}
state: {dir: %s/state}
admin: {listen: "unix://%s/admin.sock"}
%s`, port, dir, dir, extra)
}

// start writes the files and runs the resolver until the test ends. PORT in the
// Corefile is the one that it is asked on.
func start(t *testing.T, files map[string]string) *process {
	t.Helper()
	return startIn(t, "", files)
}

// startIn is start in a control group, as container makes it.
func startIn(t *testing.T, group string, files map[string]string) *process {
	t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: t.TempDir(), port: kit.FreePort(t), group: group}
	for name, text := range files {
		p.write(name, text)
	}
	p.serve(bin)
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the resolver said:\n%s", p.out.String())
		}
	})
	return p
}

// serve runs the resolver on what is in its directory.
func (p *process) serve(bin string) {
	p.t.Helper()
	p.spawn(bin)
	p.eventually("the resolver answers", func() bool { return p.ask("shop.example.org.", dns.TypeA) != nil })
}

// spawn starts the resolver with more in its environment.
func (p *process) spawn(bin string, env ...string) {
	p.t.Helper()
	p.bin = bin
	p.cmd = exec.Command(bin, "serve", "--config", filepath.Join(p.dir, "Corefile"))
	if p.group != "" {
		p.cmd = exec.Command("sh", append([]string{"-c", `echo $$ >"$0" && exec "$@"`, p.group}, p.cmd.Args...)...)
	}
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), ofRuntime), env...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = p.dir, &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// ofRuntime reports whether a setting of the environment changes how the runtime uses
// memory. Those of who runs the tests are not the resolver's.
func ofRuntime(setting string) bool {
	name, _, _ := strings.Cut(setting, "=")
	return name == "GOGC" || name == "GOMEMLIMIT" || name == "AUTOMEMLIMIT"
}

// end ends the resolver and waits until it is gone.
func (p *process) end(how syscall.Signal) {
	_ = p.cmd.Process.Signal(how)
	_ = p.cmd.Wait()
}

// again ends the resolver and starts it anew on the same directory.
func (p *process) again(how syscall.Signal) {
	p.t.Helper()
	p.end(how)
	p.serve(p.bin)
}

// write puts a file into the resolver's directory. DIR and PORT in it are filled in.
func (p *process) write(name, text string) {
	p.t.Helper()
	text = strings.NewReplacer("DIR", p.dir, "PORT", p.port).Replace(text)
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// ask sends one question over UDP and returns the reply, nil if there was none.
func (p *process) ask(name string, t uint16) *dns.Msg {
	c := dns.Client{Timeout: time.Second}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, t), "127.0.0.1:"+p.port)
	if err != nil {
		return nil
	}
	return m
}

// leads returns the address that one answer leads to.
func (p *process) leads() string {
	m := p.ask("shop.example.org.", dns.TypeA)
	if m == nil || len(m.Answer) == 0 {
		return ""
	}
	a, ok := m.Answer[0].(*dns.A)
	if !ok {
		return ""
	}
	return a.A.String()
}

// eventually waits until f is true.
func (p *process) eventually(what string, f func() bool) {
	p.t.Helper()
	p.within(15*time.Second, what, f)
}

// within waits until f is true, so long at most.
func (p *process) within(limit time.Duration, what string, f func() bool) {
	p.t.Helper()
	if err := kit.Every(50*time.Millisecond, limit, f); err != nil {
		p.t.Fatalf("%s: %v\n%s", what, err, p.out.String())
	}
}

// need skips the test if a program is missing.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s (Debian: bind9-dnsutils knot-dnsutils unbound)", tool)
		}
	}
}

// run runs a command to its end and returns what it said and its exit code.
func run(t *testing.T, name string, args ...string) (out string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return string(text), exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	return string(text), 0
}

// command is the command against the running resolver, not started yet.
func command(p *pair, args ...string) *exec.Cmd {
	return exec.Command(p.bin, append(args, "--admin", "unix://"+filepath.Join(p.dir, "admin.sock"))...)
}
