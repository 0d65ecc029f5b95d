package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// store is a real Consul server as a process of its own, on loopback.
type store struct {
	addr string // host:port of its HTTP API
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
}

// consulBinary returns the server that test/run and test/bench/run build, "" if it
// is not there.
func (b *bench) consulBinary() string {
	path := b.consul
	if path == "" {
		dir := os.Getenv("DETOUR_TOOLS")
		if home, err := os.UserHomeDir(); dir == "" && err == nil {
			dir = filepath.Join(home, ".cache", "detour-tools")
		}
		path = filepath.Join(dir, "consul")
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// startStore starts a server and waits until it takes writes. Without a server to
// start it returns nil, and the table says so.
func (b *bench) startStore(id, part string) (*store, error) {
	bin := b.consulBinary()
	if bin == "" {
		b.rows = append(b.rows, row{ID: id, What: part + ": left out, no Consul server is built (test/bench/run builds it)", Met: true})
		return nil, nil
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &store{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])), dir: filepath.Join(b.dir, "consul-"+part), done: make(chan struct{})}
	config, err := s.configure(ports)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(s.dir + "/log")
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the server has its own
	s.cmd = exec.Command(bin, "agent", "-config-file", config)
	s.cmd.Env = append(os.Environ(), "CHECKPOINT_DISABLE=1")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	if err := s.leads(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// freePorts returns ports of loopback that nobody uses, neither over TCP nor UDP.
func freePorts(n int) (out []int, err error) {
	for tries := 0; len(out) < n && tries < 50; tries++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // held until all are found, so that no port is found twice
		u, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			continue
		}
		_ = u.Close()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	if len(out) < n {
		return nil, fmt.Errorf("found %d free ports, not %d", len(out), n)
	}
	return out, nil
}

// configure writes the server's configuration: nothing that it could tell others,
// and as few ports as it can live with. All observers come from one address here,
// with four connections each, and the server's limit of 200 from one is meant for
// one host.
func (s *store) configure(ports []int) (path string, err error) {
	text, err := json.Marshal(map[string]any{
		"server": true, "bootstrap_expect": 1, "node_name": "bench", "bind_addr": "127.0.0.1", "client_addr": "127.0.0.1",
		"datacenter": "dc1", "data_dir": filepath.Join(s.dir, "data"), "log_level": "warn",
		"ports": map[string]int{
			"http": ports[0], "server": ports[1], "serf_lan": ports[2],
			"https": -1, "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1,
		},
		"performance": map[string]any{"raft_multiplier": 1, "leave_drain_time": "0s"},
		"limits":      map[string]int{"http_max_conns_per_client": 1000},
		"connect":     map[string]bool{"enabled": false}, "ui_config": map[string]bool{"enabled": false},
		"disable_update_check": true, "disable_remote_exec": true,
	})
	if err == nil {
		err = os.MkdirAll(s.dir, 0o700)
	}
	path = filepath.Join(s.dir, "consul.json")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	return path, err
}

// leads waits until the server takes writes and knows its node, which sessions need.
func (s *store) leads() error {
	for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		select {
		case <-s.done:
			return fmt.Errorf("the Consul server ended:\n%s", s.said())
		default:
		}
		if _, err := s.do(http.MethodPut, "/v1/kv/bench/started", "1"); err != nil {
			continue
		}
		nodes, err := s.do(http.MethodGet, "/v1/catalog/nodes?consistent", "")
		if err == nil && bytes.Contains(nodes, []byte(`"bench"`)) {
			return nil
		}
	}
	return fmt.Errorf("the Consul server does not lead:\n%s", s.said())
}

// said returns the end of the server's log.
func (s *store) said() string {
	text, _ := os.ReadFile(s.dir + "/log")
	return string(text[max(0, len(text)-2000):])
}

func (s *store) do(method, path, body string) ([]byte, error) {
	req, err := http.NewRequest(method, "http://"+s.addr+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
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

// stop ends the server at once.
func (s *store) stop() {
	_ = s.cmd.Process.Kill()
	<-s.done
}
