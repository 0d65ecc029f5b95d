package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

// user is another user with a directory of its own: the resolver that root runs would have
// the one socket of the machine.
type user struct {
	t   *testing.T
	dir string
	bin string
}

func newUser(t *testing.T) *user {
	t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "user") //nolint:usetesting // its parents must let another user in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	u := &user{t, dir, filepath.Join(dir, "resolver")}
	if out, err := exec.Command("cp", bin, u.bin).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	u.owns(".", "run", "resolver")
	return u
}

// owns gives files to the user.
func (u *user) owns(names ...string) {
	for _, name := range names {
		if err := os.Chown(filepath.Join(u.dir, name), u.id(), u.id()); err != nil {
			u.t.Fatal(err)
		}
	}
}

// id is nobody's for root, else that of who runs the test.
func (u *user) id() int {
	if os.Geteuid() == 0 {
		return 65534
	}
	return os.Geteuid()
}

func (u *user) write(name, text string) {
	u.t.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
	u.owns(name)
}

func (u *user) command(args ...string) *exec.Cmd {
	cmd := exec.Command(u.bin, args...)
	cmd.Dir, cmd.Env = u.dir, []string{"HOME=" + u.dir, "XDG_RUNTIME_DIR=" + filepath.Join(u.dir, "run"), "PATH=" + os.Getenv("PATH")}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return cmd
}

// says runs a verb, and returns what it prints.
func (u *user) says(args ...string) string {
	out, _ := u.command(args...).CombinedOutput()
	return string(out)
}

// A resolver without failover has a status too, of its guards and its Corefile; with the
// first failover.yaml it becomes that of its services, and the other way round.
func TestStatusWithoutFailover(t *testing.T) {
	u := newUser(t)
	port := kit.FreePort(t)
	bare := ".:" + port + " {\n bind 127.0.0.1\n guard {\n  pattern *.bank.example 10\n }\n whoami\n}\n"
	u.write("failover.yaml", "version: 1\nmonitors: {web: {type: tcp, port: 1, interval: 1h}}\nprobes: {allow_targets: [127.0.0.0/8]}\n"+
		"services: {shop.example.org: {monitors: [web], pools: [{aws/us-east-1: [127.0.1.1]}]}}\n")
	u.write("Corefile", bare)
	p := &process{t: t, dir: u.dir, port: port, cmd: u.command("serve", "--config", filepath.Join(u.dir, "Corefile"))}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.end(syscall.SIGTERM)
	is := func(what, want string, args ...string) {
		t.Helper()
		last := ""
		defer func() {
			if t.Failed() {
				t.Log(last)
			}
		}()
		p.eventually(what, func() bool { last = u.says(args...); return strings.Contains(last, want) })
	}
	is("a status without services", "HEALTHY  no services are configured: all names are answered as the Corefile says\n", "status")
	is("its guard", "guard     ", "status")
	is("who answers", "this resolver has no failover.yaml: its Corefile says who answers", "explain", "www.example.com")
	for _, turn := range []struct{ corefile, want string }{{strings.Replace(bare, " guard", " failover failover.yaml\n guard", 1), "\nshop.example.org "}, {bare, "no services are configured"}} {
		u.write("Corefile", turn.corefile)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		is("after the reload", turn.want, "status")
	}
}
