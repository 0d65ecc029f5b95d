package alerts

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/detour-dns/detour/test/kit"
)

// older reports whether a series is greater than a number of seconds.
func older(s scrape, series string, seconds float64) bool {
	v, err := strconv.ParseFloat(s[prefix+series], 64)
	return err == nil && v > seconds
}

// hears reports whether what a resolver shares with is as many, itself included.
func hears(s scrape, state string, n int) bool {
	return s[prefix+`observers{state="`+state+`"}`] == strconv.Itoa(n)
}

// every reports whether f is true of every resolver that runs.
func (w *world) every(f func(scrape) bool) bool {
	for _, r := range w.all {
		if s := r.scrape(); s != nil && !f(s) {
			return false
		}
	}
	return true
}

// meet starts a Consul with a catalog. Resolvers of this world share from now on.
func (w *world) meet() {
	w.t.Helper()
	w.consul = kit.Consul(w.t, kit.ConsulOptions{})
	for ip, region := range map[string]string{aws: "us-east-1", gcp: "europe-west1"} {
		provider := map[string]string{aws: "aws", gcp: "gcp"}[ip]
		body, err := json.Marshal(map[string]any{
			"Node": "host-" + ip, "Address": ip,
			"Service": map[string]any{
				"ID": ip, "Service": "api", "Address": ip, "Port": 80, "Meta": map[string]string{"provider": provider, "region": region},
			},
			"Checks": []map[string]any{{"CheckID": "service:" + ip, "ServiceID": ip, "Name": "api", "Status": "passing"}},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.consul.Do(http.MethodPut, "/v1/catalog/register", body)
	}
}

// sharing makes a failover.yaml one of a resolver that shares, if there is a Consul.
func (w *world) sharing(name, yaml string) string {
	if w.consul == nil {
		return yaml
	}
	self := fmt.Sprintf("self: {name: %s, zone: onprem/%[1]s, checks:", name)
	return strings.Replace(yaml, "self: {checks:", self, 1) + fmt.Sprintf(`share: {consul: [{address: %s}]}
sources:
  - consul:
      address: %[1]s
      services:
        api: {name: api.example.org, monitors: [consul], order: [aws/us-east-1, gcp/europe-west1]}
`, w.consul.URL)
}

// checks is how many checks a resolver has.
func (w *world) checks() string {
	if w.consul == nil || w.mute {
		return "8"
	}
	return "10"
}

// agree waits until all resolvers that share hear one another and answer alike.
func (w *world) agree() {
	w.t.Helper()
	if w.consul == nil {
		return
	}
	for _, r := range w.all {
		r.until("all are heard and answer alike", func(s scrape) bool {
			return hears(s, "heard", len(w.all)) && s[prefix+"opinions_disagree"] == "0" &&
				s[prefix+"decision_hash"] == w.all[0].scrape()[prefix+"decision_hash"]
		})
	}
}

// owns reports whether the other end of a connection is this resolver's.
func (r *resolver) owns(remote string) bool {
	_, port, _ := net.SplitHostPort(remote)
	n, _ := strconv.Atoi(port)
	table, _ := os.ReadFile("/proc/net/tcp")
	sockets := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
			sockets["socket:["+f[9]+"]"] = true
		}
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", r.cmd.Process.Pid))
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil && sockets[target] {
			return true
		}
	}
	return false
}
