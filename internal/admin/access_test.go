package admin

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/journal"
)

const (
	aFreeze = `{"reason":"r","owner":"root"}`
	aDrain  = `{"do":"drain","reason":"r","owner":"root"}`
)

// changes are requests that change something, one for each route that does.
func changes() map[string]string {
	out := map[string]string{}
	for i := range api {
		if r := &api[i]; r.changes() {
			path := strings.NewReplacer("{target}", "aws/us-east-1", "{name}", "a.example").Replace(r.path)
			out[r.method+" "+path] = map[string]string{"/v1/overrides/{target}": aDrain, "/v1/failback": `{"target":"*","owner":"root"}`}[r.path]
			if r.path == "/v1/freeze" && r.method == "PUT" {
				out[r.method+" "+path] = aFreeze
			}
		}
	}
	return out
}

// TestNobodyByTCP: who comes by TCP without a token asks and changes nothing, whatever
// it says of itself and however it sends it.
func TestNobodyByTCP(t *testing.T) {
	s := newSystem(t, fleet)
	for _, file := range []string{"", write(t, "tokens", "dash read "+tokenA+"\n")} {
		srv := s.listen(t, config.Admin{Listen: loopback(), TokenFile: file})
		token := func(r *http.Request) {
			if file != "" {
				r.Header.Set("Authorization", "Bearer "+tokenA)
			}
		}
		for line, body := range changes() {
			method, path, _ := strings.Cut(line, " ")
			for _, change := range []func(*http.Request){
				func(*http.Request) {}, token,
				func(r *http.Request) { token(r); chunked(r) },
			} {
				if r := send(t, srv, method, path, body, change); r.status != 403 && r.status != 401 {
					t.Errorf("%s by %q: %d %s", line, file, r.status, r.body)
				}
			}
		}
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			if r := send(t, srv, "GET", "/v1/overrides/aws/us-east-1", aDrain, token, header(name, "PUT")); r.status != 404 {
				t.Errorf("%s: %d", name, r.status)
			}
		}
		for path, body := range map[string]string{"/v1/check": "version: 1\n", "/v1/probe": `{"target":"self"}`} {
			if r := send(t, srv, "POST", path, body, token); r.status == 401 || r.status == 403 {
				t.Errorf("%s asks, and is refused: %d %s", path, r.status, r.body)
			}
		}
		if r := send(t, srv, "GET", "/v1/status", ""); r.status != 200 {
			t.Errorf("a dashboard of this machine: %d", r.status)
		}
		pipelined(t, srv)
	}
	if o, f := s.eng.Hands(); len(o) != 1 || len(f) != 0 {
		t.Errorf("something changed: %v %v", o, f)
	}
}

// pipelined sends a change behind a question on one connection.
func pipelined(t *testing.T, srv *Server) {
	t.Helper()
	c, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	put := "PUT /v1/freeze HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\n" + aFreeze + "\r\n0\r\n\r\n"
	if _, err := c.Write([]byte("GET /v1/freeze HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + put)); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if got := all.String(); strings.Contains(got, " 200 ") || !strings.Contains(got, " 403 ") && !strings.Contains(got, " 401 ") {
		t.Errorf("pipelined: %s", got)
	}
}

// TestOtherUsers: the kernel says who uses the socket, and the socket's mode who may.
func TestOtherUsers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: only root becomes another user")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl, to ask as another user")
	}
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{})
	path := srv.Addr()
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		cmd := exec.Command("curl", "-sSf", "--max-time", "10", "--unix-socket", path, "-X", "PUT", "-d", aFreeze, "http://localhost/v1/freeze")
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return cmd.Run()
	}
	if ask() == nil {
		t.Error("nobody changed something through a socket of mode 0660")
	}
	if err := os.Chown(path, 0, 65534); err != nil { // as a member of the group may
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if who := "uid 65534 (" + userName(65534) + ")"; !strings.Contains(s.log.String(), "peer=\""+who) || !strings.Contains(s.log.String(), "owner=root") {
		t.Errorf("the log does not say %s:\n%s", who, s.log.String())
	}
	for _, e := range s.eng.Journal().Find(journal.Query{}) {
		if e.Kind == "freeze" && !strings.HasPrefix(e.Who, "uid 65534") {
			t.Errorf("the event says %q", e.Who)
		}
	}
}

// TestScopes: a read token asks, an operate token changes, and both end when they are
// taken out of the file.
func TestScopes(t *testing.T) {
	s := newSystem(t, fleet)
	path := filepath.Join(t.TempDir(), "tokens")
	dash, err := NewToken(path, "dash", "read")
	if err != nil {
		t.Fatal(err)
	}
	ops, err := NewToken(path, "ops", "operate")
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for _, bad := range [][2]string{{"ops", "read"}, {"", "read"}, {"a b", "read"}, {"x", "admin"}} {
		if _, err := NewToken(path, bad[0], bad[1]); err == nil {
			t.Errorf("%q was made", bad)
		}
	}
	all, err := Tokens(path)
	if err != nil || len(all) != 2 || all[0] != (Token{Name: "dash", Scope: "read"}) || all[1] != (Token{Name: "ops", Scope: "operate"}) {
		t.Errorf("%v, %v", all, err)
	}
	srv := s.listen(t, config.Admin{Listen: loopback(), TokenFile: path})
	put := func(secret string) int {
		return send(t, srv, "PUT", "/v1/freeze", aFreeze, header("Authorization", "Bearer "+secret)).status
	}
	if a, b := put(dash.Secret), put(ops.Secret); a != 403 || b != 200 {
		t.Errorf("read: %d, operate: %d", a, b)
	}
	if n, err := RevokeToken(path, "ops"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := RevokeToken(path, "ops"); err == nil {
		t.Error("revoked twice")
	}
	if a := put(ops.Secret); a != 403 {
		t.Errorf("revoked: %d", a)
	}
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := readTokens(path); !errors.Is(err, files.ErrDistrusted) {
		t.Errorf("a token file that anybody writes: %v", err)
	}
}

// TestPace: a token changes twenty things at once, and then one a second.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		take := func(n int) (done int) {
			for range n {
				if p.take("ops") == nil {
					done++
				}
			}
			return done
		}
		if n := take(50); n != burst {
			t.Errorf("%d at once", n)
		}
		var wait *Problem
		if err := p.take("ops"); !errors.As(err, &wait) || wait.Status != 429 || wait.Retry != 1 {
			t.Errorf("%+v", wait)
		}
		<-time.After(3 * time.Second)
		if n := take(50); n != 3 {
			t.Errorf("%d after 3 s", n)
		}
		if p.take("other") != nil || p.take("") != nil {
			t.Error("one token's pace holds up others")
		}
		<-time.After(time.Hour)
		if n := take(50); n != burst {
			t.Errorf("%d after an hour", n)
		}
	})
}

// TestStolenToken: whoever has an operator's token leaves every service an answer, and
// is slow.
func TestStolenToken(t *testing.T) {
	s := newSystem(t, fleet)
	srv := s.listen(t, config.Admin{Listen: loopback(), TokenFile: write(t, "tokens", "ops operate "+tokenA)})
	auth := header("Authorization", "Bearer "+tokenA)
	if r := send(t, srv, "PUT", "/v1/overrides/solo.example.org", aDrain, auth); r.status != 409 {
		t.Errorf("the last ready region: %d", r.status)
	}
	glass := strings.Replace(aDrain, "{", `{"break_glass":true,`, 1)
	for _, target := range []string{"aws/us-east-1", "gcp/europe-west1", "azure/westeurope", "solo.example.org", "shop.example.org"} {
		if r := send(t, srv, "PUT", "/v1/overrides/"+target, glass, auth); r.status != 200 {
			t.Errorf("%s: %d %s", target, r.status, r.body)
		}
	}
	for _, name := range []string{"shop.example.org", "db.example.org", "solo.example.org"} {
		if r := send(t, srv, "GET", "/v1/explain?name="+name, ""); !strings.Contains(r.body, `"answer":"addresses"`) {
			t.Errorf("%s is left without an answer: %s", name, r.body)
		}
	}
	status := 0
	for range burst + 1 {
		r := send(t, srv, "DELETE", "/v1/freeze", "", auth)
		if status = r.status; status == 429 && r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if status != 429 {
		t.Errorf("the last of many: %d", status)
	}
}

// TestPlaces: the socket is where the command looks, in the same order.
func TestPlaces(t *testing.T) {
	base := t.TempDir()
	defer func(old string) { runDir = old }(runDir)
	runDir = filepath.Join(base, "run", "detour")
	t.Setenv(EnvAddr, "")
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(base, "xdg"))
	t.Setenv("STATE_DIRECTORY", filepath.Join(base, "state"))
	if got := places("/s", true); len(got) != 2 || got[1] != "/s/admin.sock" {
		t.Errorf("root: %v", got)
	}
	if got := places("/s", false); len(got) != 3 || !strings.HasSuffix(got[1], "/xdg/detour/admin.sock") {
		t.Errorf("a user: %v", got)
	}
	if _, err := NewClient(ClientOptions{}); err == nil || !strings.Contains(err.Error(), "no resolver answers at "+runDir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("nobody there: %v", err)
	}
	s := newSystem(t, fleet)
	listen := func() *Server {
		srv, err := Listen(config.Admin{}, s.eng, nil)
		if err != nil {
			t.Fatal(err)
		}
		return srv
	}
	if err := os.Mkdir(filepath.Dir(runDir), 0o755); err != nil {
		t.Fatal(err)
	}
	srv := listen()
	if srv.Addr() != filepath.Join(runDir, "admin.sock") {
		t.Errorf("listens at %s", srv.Addr())
	}
	if _, err := Listen(config.Admin{}, s.eng, nil); err == nil || !strings.Contains(err.Error(), srv.Addr()+" is in use") {
		t.Errorf("a live one: %v", err)
	}
	c, err := NewClient(ClientOptions{})
	if err == nil {
		_, err = c.Status(t.Context())
	}
	if err != nil {
		t.Error(err)
	}
	if err := errors.Join(srv.Close(), os.Chmod(runDir, 0o777)); err != nil { // anybody may plant a socket there
		t.Fatal(err)
	}
	srv = listen()
	defer func() { _ = srv.Close() }()
	if filepath.Dir(srv.Addr()) == runDir {
		t.Error("listens in a directory that anybody writes to")
	}
}

// TestPlanted: a socket, a symlink or a file that somebody else put in the place of the
// resolver's is neither used nor replaced.
func TestPlanted(t *testing.T) {
	base := t.TempDir()
	defer func(old string) { runDir = old }(runDir)
	runDir = filepath.Join(base, "detour")
	t.Setenv(EnvAddr, "")
	path := filepath.Join(runDir, "admin.sock")
	if err := os.Mkdir(runDir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, fleet)
	refused := func(says string) {
		t.Helper()
		if _, err := NewClient(ClientOptions{}); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %s", err, says)
		}
		c, err := NewClient(ClientOptions{Addr: "unix://" + path})
		if err == nil {
			_, err = c.Status(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("named: got %v, want %s", err, says)
		}
	}
	if err := os.Symlink("/dev/null", path); err != nil {
		t.Fatal(err)
	}
	refused("is a symlink")
	if _, err := Listen(config.Admin{Listen: &url.URL{Scheme: "unix", Path: path}}, s.eng, nil); err == nil || !strings.Contains(err.Error(), "is a symlink") {
		t.Errorf("listening over a symlink: %v", err)
	}
	l := errors.Join(os.Remove(path))
	planted, err := net.Listen("unix", path)
	if err = errors.Join(l, err); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = planted.Close() }()
	if err := os.Chmod(runDir, 0o777); err != nil {
		t.Fatal(err)
	}
	refused("other users may replace it")
	if os.Getuid() != 0 {
		t.Skip("needs root for the rest: only root gives files to another user")
	}
	if err := errors.Join(os.Chmod(runDir, 0o755), os.Lchown(path, 65534, 65534)); err != nil {
		t.Fatal(err)
	}
	refused("is a socket of uid 65534")
}
