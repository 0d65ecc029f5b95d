package kit

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How long a server may take: the machine may be busy with other tests.
const (
	consulStarts = 30 * time.Second
	consulStops  = 10 * time.Second
)

// ConsulOptions say how a server runs. The zero value is plain HTTP in datacenter
// dc1, and everybody may do everything.
type ConsulOptions struct {
	Datacenter string
	ACL        bool // deny by default; ConsulServer.Token may do everything
	TLS        bool // HTTPS only, and clients must show a certificate
}

// ConsulServer is a real Consul server, alone in its datacenter. What it stores
// outlives Stop and Start.
type ConsulServer struct {
	Addr  string       // host:port of its HTTP or HTTPS API
	URL   string       // the same with the scheme
	Token string       // of management, "" without ACL
	TLS   *ConsulCerts // nil without TLS

	t      testing.TB
	dir    string
	client *http.Client
	cmd    *exec.Cmd
	ended  chan struct{} // closed once cmd is gone
	out    Output
}

// ConsulBinary returns the path of the server, which test/run builds from
// test/tools/consul.
func ConsulBinary() (string, error) {
	path, err := tool("consul")
	if err != nil {
		return "", errors.New("no Consul server is built: run test/run once, or see there how")
	}
	return path, nil
}

// Consul starts a server and waits until it leads. The test is skipped where no
// server is built.
func Consul(t testing.TB, o ConsulOptions) *ConsulServer {
	t.Helper()
	if _, err := ConsulBinary(); err != nil {
		t.Skip(err)
	}
	s := &ConsulServer{t: t, dir: t.TempDir(), client: &http.Client{Timeout: 10 * time.Second}}
	if o.ACL {
		s.Token = randomUUID()
	}
	scheme := "http"
	if o.TLS {
		scheme = "https"
		s.TLS = MakeConsulCerts(t, s.dir)
		s.client.Transport = &http.Transport{TLSClientConfig: s.TLS.Client()}
	}
	ports := freePorts(t, 3)
	s.Addr = "127.0.0.1:" + ports[0]
	s.URL = scheme + "://" + s.Addr
	s.configure(o, ports)
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("what Consul at %s said last:\n%s", s.Addr, tail(s.out.String(), 4000))
		}
	})
	s.Start()
	return s
}

// freePorts returns n ports, each another one: FreePort may return the same again.
func freePorts(t testing.TB, n int) (ports []string) {
	t.Helper()
	for len(ports) < n {
		if p := FreePort(t); !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports
}

// configure writes the server's configuration: nothing that it could tell others,
// and as few ports as it can live with, which are its API's first.
func (s *ConsulServer) configure(o ConsulOptions, free []string) {
	s.t.Helper()
	ports := map[string]any{
		"http": -1, "https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1,
		"server": json.Number(free[1]), "serf_lan": json.Number(free[2]),
	}
	c := map[string]any{
		"server": true, "bootstrap_expect": 1, "node_name": "test", "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1",
		"datacenter": "dc1", "data_dir": filepath.Join(s.dir, "data"), "ports": ports, "log_level": "info",
		"performance": map[string]any{"raft_multiplier": 1, "leave_drain_time": "0s"}, "connect": map[string]any{"enabled": false},
		"ui_config": map[string]any{"enabled": false}, "disable_update_check": true, "disable_remote_exec": true,
	}
	if o.Datacenter != "" {
		c["datacenter"] = o.Datacenter
	}
	if s.Token != "" {
		c["acl"] = map[string]any{
			"enabled": true, "default_policy": "deny",
			"tokens": map[string]any{"initial_management": s.Token, "agent": s.Token},
		}
	}
	ports["http"] = json.Number(free[0])
	if s.TLS != nil {
		ports["http"], ports["https"] = -1, json.Number(free[0])
		c["tls"] = map[string]any{"https": map[string]any{
			"ca_file": s.TLS.CA, "cert_file": s.TLS.ServerCert, "key_file": s.TLS.ServerKey, "verify_incoming": true,
		}}
	}
	text, err := json.Marshal(c)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "consul.json"), text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Start starts the server, again after Stop, and waits until it leads.
func (s *ConsulServer) Start() {
	s.t.Helper()
	path, err := ConsulBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(path, "agent", "-config-file", filepath.Join(s.dir, "consul.json"))
	s.cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait()
		close(ended)
	}(s.cmd, s.ended)
	if err := Every(50*time.Millisecond, consulStarts, s.leads); err != nil {
		s.t.Fatalf("Consul does not lead: %v\n%s", err, tail(s.out.String(), 4000))
	}
}

// leads reports whether the server takes writes: it knows itself as the leader
// some time before that.
func (s *ConsulServer) leads() bool {
	select {
	case <-s.ended:
		s.t.Fatalf("Consul ended:\n%s", tail(s.out.String(), 4000))
	default:
	}
	if _, err := s.try(http.MethodPut, "/v1/kv/kit/started", []byte("1")); err != nil {
		return false
	}
	nodes, err := s.try(http.MethodGet, "/v1/catalog/nodes?consistent", nil)
	return err == nil && bytes.Contains(nodes, []byte(`"test"`)) // sessions need the node
}

// Stop ends the server at once. It may be stopped before.
func (s *ConsulServer) Stop() {
	s.t.Helper()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	select {
	case <-s.ended:
	case <-time.After(consulStops):
		s.t.Errorf("Consul at %s does not end", s.Addr)
	}
	s.cmd = nil
	s.client.CloseIdleConnections()
}

// Pause makes the server hang as a machine without a CPU does: it takes
// connections, and says nothing.
func (s *ConsulServer) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	if err := Every(time.Millisecond, consulStops, s.stopped); err != nil {
		s.t.Fatalf("Consul at %s does not stop: %v", s.Addr, err)
	}
}

// stopped reports whether every thread is: a signal takes its time. The state stands
// behind the name in parentheses, proc(5).
func (s *ConsulServer) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
	for _, path := range tasks {
		text, rerr := os.ReadFile(path)
		if rerr != nil || !strings.Contains(string(text), ") T ") {
			return false
		}
	}
	return err == nil
}

// Resume ends Pause.
func (s *ConsulServer) Resume() { s.signal(syscall.SIGCONT) }

func (s *ConsulServer) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Snapshot returns all that the server stores.
func (s *ConsulServer) Snapshot() []byte {
	s.t.Helper()
	return s.Do(http.MethodGet, "/v1/snapshot", nil)
}

// Restore makes the server store what it did at the Snapshot, and nothing else.
func (s *ConsulServer) Restore(snapshot []byte) {
	s.t.Helper()
	s.Do(http.MethodPut, "/v1/snapshot", snapshot)
}

// Do asks the server's API with all rights, and returns the answer.
func (s *ConsulServer) Do(method, path string, body []byte) []byte {
	s.t.Helper()
	out, err := s.try(method, path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// Value returns what a key holds, nil if there is no such key or no answer.
func (s *ConsulServer) Value(key string) []byte {
	v, err := s.try(http.MethodGet, "/v1/kv/"+key+"?raw", nil)
	if err != nil {
		return nil
	}
	return v
}

func (s *ConsulServer) try(method, path string, body []byte) ([]byte, error) {
	return s.request(s.Token, method, path, body)
}

func (s *ConsulServer) request(token, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("X-Consul-Token", token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, out)
	}
	return out, err
}

// Grant makes a policy of rules and returns a token that has just that.
func (s *ConsulServer) Grant(name, rules string) string {
	s.t.Helper()
	policy, _ := json.Marshal(map[string]string{"Name": name, "Rules": rules})
	s.Do(http.MethodPut, "/v1/acl/policy", policy)
	id := randomUUID()
	token, _ := json.Marshal(map[string]any{"SecretID": id, "Policies": []map[string]string{{"Name": name}}})
	s.Do(http.MethodPut, "/v1/acl/token", token)
	return id
}

// As asks the server's API with a token. What is refused is an error.
func (s *ConsulServer) As(token, method, path string, body []byte) ([]byte, error) {
	return s.request(token, method, path, body)
}

// randomUUID returns a token in the form that Consul wants.
func randomUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
