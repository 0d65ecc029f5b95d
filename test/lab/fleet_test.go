package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// fleet is five resolvers in three zones that agree over three Consul servers.
type fleet struct {
	*lab
	servers   []*server
	proxies   []*proxy // before each of them
	resolvers []*member
	token     string // may do everything in Consul
	certs     *kit.ConsulCerts
	asked     atomic.Int64
	lost      atomic.Int64
	interval  string // of the probes
	stop      chan struct{}
	wg        sync.WaitGroup
}

// server is one Consul server.
type server struct {
	name string
	cmd  *exec.Cmd
	out  *kit.Output
}

// member is one resolver.
type member struct {
	place, zone string
	consul      int          // the server that it talks to
	at          atomic.Value // the place that its last answer led to
	p           *process
}

const consulPort = "8501"

// newFleet makes the namespaces and starts the servers. Resolvers come with serve.
func newFleet(t *testing.T, octet int) *fleet {
	t.Helper()
	if _, err := kit.ConsulBinary(); err != nil {
		t.Skip(err)
	}
	f := &fleet{lab: newLab(t, octet, "c1", "c2", "c3", "r1", "r2", "r3", "r4", "r5"), token: "11111111-2222-3333-4444-555555555555", stop: make(chan struct{})}
	f.certs = kit.MakeConsulCerts(t, f.dir)
	for _, p := range []string{"aws", "gcp", "azure"} {
		f.backend(p)
	}
	for i := range 3 {
		f.servers = append(f.servers, f.server(i))
		f.proxies = append(f.proxies, f.proxied("res", f.via(i), f.of(f.servers[i].name)+":"+consulPort))
	}
	f.eventually(time.Minute, "Consul takes writes", func() bool {
		return f.api("c1", http.MethodPut, "/v1/kv/test", []byte("1")) != nil && f.api("c2", http.MethodGet, "/v1/catalog/nodes?consistent", nil) != nil
	})
	for i, m := range []struct {
		zone   string
		consul int
	}{{"aws/us-east-1", 0}, {"gcp/europe-west1", 1}, {"gcp/europe-west1", 1}, {"azure/westeurope", 2}, {"azure/westeurope", 2}} {
		f.resolvers = append(f.resolvers, &member{place: fmt.Sprint("r", i+1), zone: m.zone, consul: m.consul})
	}
	t.Cleanup(func() {
		close(f.stop)
		f.wg.Wait()
		if t.Failed() {
			for _, m := range f.resolvers {
				if m.p != nil {
					t.Logf("%s said:\n%s", m.place, tail(m.p.out.String()))
				}
			}
		}
	})
	return f
}

// via is where the proxy before server i listens.
func (f *fleet) via(i int) string { return fmt.Sprintf("%s:%d", f.of("res"), 8600+i) }

func tail(s string) string { return s[max(0, len(s)-4000):] }

// server starts Consul server i.
func (f *fleet) server(i int) *server {
	f.t.Helper()
	name := fmt.Sprint("c", i+1)
	conf := map[string]any{
		"server": true, "bootstrap_expect": 3, "node_name": name, "datacenter": "dc1", "data_dir": filepath.Join(f.dir, name),
		"bind_addr": f.of(name), "client_addr": "0.0.0.0", "retry_join": []string{f.of("c1"), f.of("c2"), f.of("c3")}, "retry_interval": "1s",
		"performance": map[string]any{"raft_multiplier": 1}, "connect": map[string]any{"enabled": false}, "ui_config": map[string]any{"enabled": false},
		"disable_update_check": true, "log_level": "warn",
		"ports": map[string]any{"http": -1, "https": json.Number(consulPort), "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1},
		"acl": map[string]any{
			"enabled": true, "default_policy": "deny", "tokens": map[string]any{"initial_management": f.token, "agent": f.token},
		},
		"tls": map[string]any{"https": map[string]any{
			"ca_file": f.certs.CA, "cert_file": f.certs.ServerCert, "key_file": f.certs.ServerKey, "verify_incoming": true,
		}},
	}
	text, err := json.Marshal(conf)
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, name+".json"), text, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	bin, _ := kit.ConsulBinary()
	s := &server{name: name, out: new(kit.Output)}
	s.cmd = exec.Command("ip", "netns", "exec", f.prefix+name, bin, "agent", "-config-file", filepath.Join(f.dir, name+".json"))
	s.cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	})
	return s
}

// api asks a Consul server from its own namespace, nil if it does not answer well.
func (f *fleet) api(place, method, path string, body []byte) []byte {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return f.dialIn(place, "tcp", f.of(place)+":"+consulPort)
		},
		TLSClientConfig: f.certs.Client(), DisableKeepAlives: true,
	}}
	req, err := http.NewRequest(method, "https://"+kit.ConsulServerName+path, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("X-Consul-Token", f.token)
	resp, err := c.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	out, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	return out
}

// grant makes a policy and returns a token with it.
func (f *fleet) grant(m *member) string {
	f.t.Helper()
	rules := ""
	for _, file := range []string{"observer.hcl", "operator.hcl"} {
		text, err := os.ReadFile(filepath.Join("../../config/consul", file))
		if err != nil {
			f.t.Fatal(err)
		}
		out := strings.NewReplacer("CLUSTER", "main", "OBSERVER", m.place, "NODE", f.servers[m.consul].name).Replace(string(text))
		name := m.place + "-" + strings.TrimSuffix(file, ".hcl")
		policy, _ := json.Marshal(map[string]string{"Name": name, "Rules": out})
		if f.api("c1", http.MethodPut, "/v1/acl/policy", policy) == nil {
			f.t.Fatalf("Consul does not take policy %s:\n%s", name, out)
		}
		rules += `{"Name": "` + name + `"},`
	}
	var token struct{ SecretID string }
	reply := f.api("c1", http.MethodPut, "/v1/acl/token", []byte(`{"Policies": [`+strings.TrimSuffix(rules, ",")+`]}`))
	if err := json.Unmarshal(reply, &token); err != nil {
		f.t.Fatal(err)
	}
	return token.SecretID
}

// serve starts the resolvers, with or without Consul, and asks each of them ten
// times a second until the test ends.
func (f *fleet) serve(shared bool) {
	f.t.Helper()
	bin, err := kit.Binary()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range f.resolvers {
		dir := filepath.Join(f.dir, m.place)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			f.t.Fatal(err)
		}
		yaml := strings.ReplaceAll(f.config(cmp.Or(f.interval, "interval: 1s, timeout: 1s"), "{after: 1s, max: 2s, ramp: [100], step: 1s}"), f.dir, dir)
		yaml = strings.Replace(yaml, "hold_down: {step: 2s}", "hold_down: {step: 1s, max: 2s}", 1) + fmt.Sprintf("self: {name: %s, zone: %s}\n", m.place, m.zone)
		if shared {
			yaml += fmt.Sprintf("share: {consul: [{address: \"https://%s\", server_name: %s, token_file: token, ca_file: %s, cert_file: %s, key_file: %s}]}\n",
				f.via(m.consul), kit.ConsulServerName, f.certs.CA, f.certs.Cert, f.certs.Key)
			f.file(dir, "token", f.grant(m))
		}
		f.file(dir, "failover.yaml", yaml)
		f.file(dir, "Corefile", ".:"+port+" {\n  errors\n  failover "+filepath.Join(dir, "failover.yaml")+"\n}\n")
		m.at.Store("")
		m.p = f.start(m.place, bin, "serve", "--config", filepath.Join(dir, "Corefile"))
	}
	for _, m := range f.resolvers {
		f.eventually(20*time.Second, m.place+" answers", func() bool { return f.askAt(m.place) != "" })
		f.wg.Go(func() { f.watch(m) })
	}
}

func (f *fleet) file(dir, name, text string) {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// watch asks a resolver again and again.
func (f *fleet) watch(m *member) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.stop:
			return
		}
		f.asked.Add(1)
		at := f.askAt(m.place)
		if at == "" {
			f.lost.Add(1)
			continue
		}
		m.at.Store(at)
	}
}

// all waits until the given resolvers answer with a place, and returns how long it
// took.
func (f *fleet) all(limit time.Duration, place string, who ...*member) time.Duration {
	f.t.Helper()
	began := time.Now()
	for _, m := range who {
		if err := kit.Every(20*time.Millisecond, limit, func() bool { return m.at.Load() == place }); err != nil {
			f.t.Errorf("%s in %s answers %v and not %s after %v", m.place, m.zone, m.at.Load(), place, limit)
		}
	}
	return time.Since(began)
}

// status is what a resolver says of itself.
func (f *fleet) status(m *member) string {
	bin, _ := kit.Binary()
	out, _ := exec.Command(bin, "status", "--all", "--admin", "unix://"+filepath.Join(f.dir, m.place, "admin.sock")).CombinedOutput()
	return string(out)
}

// agreed waits until all resolvers hear one another and decide alike.
func (f *fleet) agreed() {
	f.t.Helper()
	for _, m := range f.resolvers {
		f.eventually(time.Minute, m.place+" agrees with all", func() bool { return strings.Contains(f.status(m), "5 observers fresh, agree") })
	}
}
