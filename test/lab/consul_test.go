package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// server is one Consul server.
type server struct {
	name, dc string
	cmd      *exec.Cmd
	out      *kit.Output
}

const consulPort = "8501"

// startServers starts the servers of the layout and waits until each datacenter
// takes writes.
func (f *fleet) startServers() {
	f.t.Helper()
	for i := range f.datacenters {
		f.servers = append(f.servers, f.server(i))
		if f.behind {
			f.proxies = append(f.proxies, f.proxied("res", f.via(i), f.of(f.servers[i].name)+":"+consulPort))
		}
	}
	for _, s := range f.servers {
		f.eventually(time.Minute, "Consul takes writes in "+s.dc, func() bool {
			return f.api(s.name, http.MethodPut, "/v1/kv/test", []byte("1")) != nil && f.api(s.name, http.MethodGet, "/v1/catalog/nodes?consistent", nil) != nil
		})
	}
}

// via is where resolvers reach server i.
func (f *fleet) via(i int) string {
	if f.behind {
		return fmt.Sprintf("%s:%d", f.of("res"), 8600+i)
	}
	return f.of(fmt.Sprint("c", i+1)) + ":" + consulPort
}

// configureServer writes the configuration of server i. Servers of one datacenter
// vote with each other; those of all datacenters know of each other.
func (f *fleet) configureServer(i int, name, path string) {
	f.t.Helper()
	dc := f.datacenters[i]
	var near, far []string
	for j, other := range f.datacenters {
		if ip := f.of(fmt.Sprint("c", j+1)); other == dc {
			near = append(near, ip)
		} else {
			far = append(far, ip)
		}
	}
	ports := map[string]any{"http": -1, "https": json.Number(consulPort), "dns": -1, "grpc": -1, "grpc_tls": -1}
	if len(far) == 0 {
		ports["serf_wan"] = -1
	}
	text, err := json.Marshal(map[string]any{
		"server": true, "bootstrap_expect": len(near), "node_name": name, "datacenter": dc, "data_dir": filepath.Join(f.dir, name),
		"bind_addr": f.of(name), "client_addr": "0.0.0.0", "retry_join": near, "retry_interval": "1s",
		"retry_join_wan": far, "retry_interval_wan": "1s",
		"performance": map[string]any{"raft_multiplier": 1}, "connect": map[string]any{"enabled": false}, "ui_config": map[string]any{"enabled": false},
		"disable_update_check": true, "log_level": "warn", "ports": ports,
		"acl": map[string]any{
			"enabled": true, "default_policy": "deny", "tokens": map[string]any{"initial_management": f.token, "agent": f.token},
		},
		"tls": map[string]any{"https": map[string]any{
			"ca_file": f.certs.CA, "cert_file": f.certs.ServerCert, "key_file": f.certs.ServerKey, "verify_incoming": true,
		}},
	})
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// server starts Consul server i.
func (f *fleet) server(i int) *server {
	f.t.Helper()
	s := &server{name: fmt.Sprint("c", i+1), dc: f.datacenters[i], out: new(kit.Output)}
	path := filepath.Join(f.dir, s.name+".json")
	f.configureServer(i, s.name, path)
	bin, _ := kit.ConsulBinary()
	s.cmd = exec.Command("ip", "netns", "exec", f.prefix+s.name, bin, "agent", "-config-file", path)
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

// kill ends servers without a word.
func (f *fleet) kill(servers ...*server) {
	for _, s := range servers {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// again starts servers that were killed.
func (f *fleet) again(servers ...*server) {
	for _, s := range servers {
		i := slices.Index(f.servers, s)
		f.servers[i] = f.server(i)
	}
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

// grant makes a policy for a resolver in the datacenter of a server and returns a
// token with it.
func (f *fleet) grant(m *member, at *server) string {
	f.t.Helper()
	rules := ""
	for _, file := range []string{"observer.hcl", "operator.hcl"} {
		out := kit.Policy(f.t, file, "main", m.zone, m.place, at.name)
		name := m.place + "-" + strings.TrimSuffix(file, ".hcl")
		policy, _ := json.Marshal(map[string]string{"Name": name, "Rules": out})
		if f.api(at.name, http.MethodPut, "/v1/acl/policy", policy) == nil {
			f.t.Fatalf("Consul does not take policy %s:\n%s", name, out)
		}
		rules += `{"Name": "` + name + `"},`
	}
	var token struct{ SecretID string }
	reply := f.api(at.name, http.MethodPut, "/v1/acl/token", []byte(`{"Policies": [`+strings.TrimSuffix(rules, ",")+`]}`))
	if err := json.Unmarshal(reply, &token); err != nil {
		f.t.Fatal(err)
	}
	return token.SecretID
}
