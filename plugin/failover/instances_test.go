package failover

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// catalogOf serves the entries of a service as Consul does, which never change.
func catalogOf(t *testing.T, entries ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("index") == "7" {
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-Consul-Index", "7")
		w.Header().Set("X-Consul-Knownleader", "true")
		w.Header().Set("X-Consul-Lastcontact", "0")
		_, _ = io.WriteString(w, "["+strings.Join(entries, ",")+"]")
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// instanceAt is an entry with weights 10, and 1 in the state warning.
func instanceAt(id, address, status string, port int) string {
	return fmt.Sprintf(`{"Node":{"Node":%q,"Address":%q,"Meta":{"provider":"aws","region":"us-east-1"}},"Service":{"ID":%q,"Port":%d,"Weights":{"Passing":10,"Warning":1}},"Checks":[{"CheckID":"c","Name":"load","Status":%q}]}`,
		id, address, id, port, status)
}

// TestSRVOfInstances holds that SRV says each instance of a catalog with its own port and
// weight, at a name of its own that has its address, and that others are told nothing.
func TestSRVOfInstances(t *testing.T) {
	url := catalogOf(t, instanceAt("a", "10.88.0.1", "passing", 20001), instanceAt("b", "10.88.0.2", "warning", 20002), instanceAt("c", "10.88.0.1", "passing", 20003),
		instanceAt("d", "2001:db8::1", "passing", 0), instanceAt("e", "10.88.0.5", "critical", 20005))
	f := handler(t, "sources: [{consul: {address: \""+url+"\", services: {web: {name: web.example.org, port: 9999, srv: [_http._tcp]}}}}]\n", say(dns.RcodeNameError))
	const owner = "_http._tcp.web.example.org."
	var m *dns.Msg
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	for range 1000 { // the answer comes in milliseconds
		if m, _ = ask(t, f, "10.240.0.1", question(owner, dns.TypeSRV)); len(m.Answer) > 2 {
			break
		}
		<-beat.C
	}
	var got, addresses []string
	for _, rr := range m.Answer {
		s := rr.(*dns.SRV)
		got = append(got, fmt.Sprint(s.Weight, " ", s.Port, " ", s.Target))
	}
	for _, rr := range m.Extra {
		addresses = append(addresses, rr.Header().Name)
	}
	slices.Sort(got)
	slices.Sort(addresses)
	want := []string{
		"1 20002 0a580002.addr.web.example.org.", "10 20001 0a580001.addr.web.example.org.", "10 20003 0a580001.addr.web.example.org.",
		"10 9999 20010db8000000000000000000000001.addr.web.example.org.",
	}
	if !slices.Equal(got, want) || len(addresses) != 3 {
		t.Fatalf("%q\nwant %q\n%v", got, want, addresses)
	}
	for name, want := range map[string]string{
		"0a580001.addr.web.example.org. A":                            "10.88.0.1",
		"0A580001.Addr.web.example.org. A":                            "10.88.0.1",
		"0a580005.addr.web.example.org. A":                            "10.88.0.5",
		"0a580001.addr.web.example.org. AAAA":                         "NODATA",
		"20010db8000000000000000000000001.addr.web.example.org. AAAA": "2001:db8::1",
		"addr.web.example.org. A":                                     "NODATA",
		"0a580009.addr.web.example.org. A":                            "NXDOMAIN",
	} {
		owner, t2, _ := strings.Cut(name, " ")
		m, _ := ask(t, f, "10.240.0.1", question(owner, dns.StringToType[t2]))
		got := "NODATA"
		switch {
		case m.Rcode == dns.RcodeNameError:
			got = "NXDOMAIN"
		case len(m.Answer) == 1:
			got = strings.TrimPrefix(m.Answer[0].String(), m.Answer[0].Header().String())
		}
		if got != want || len(m.Answer) == 1 && m.Answer[0].Header().Name != owner {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if m, rc := ask(t, f, "203.0.113.5", question("0a580001.addr.web.example.org.", dns.TypeA)); m.Rcode != dns.RcodeRefused && rc != dns.RcodeRefused {
		t.Errorf("a stranger is told %v", m)
	}
}

// TestSRVOfALastResort holds that addresses which no catalog lists are said with the service's
// own port and name, and not at all where it has none.
func TestSRVOfALastResort(t *testing.T) {
	for port, want := range map[string]string{"port: 9999, ": "0 9999 web.example.org.", "": "NODATA"} {
		url := catalogOf(t, instanceAt("e", "10.88.0.5", "critical", 20005))
		f := handler(t, "sources: [{consul: {address: \""+url+"\", services: {web: {name: web.example.org, "+port+"srv: [_http._tcp], last_resort: {mode: addresses, addresses: [10.88.0.77]}}}}}]\n", say(dns.RcodeNameError))
		var m *dns.Msg
		beat := time.NewTicker(10 * time.Millisecond)
		defer beat.Stop()
		for range 1000 {
			if m, _ = ask(t, f, "10.240.0.1", question("web.example.org.", dns.TypeA)); slices.Equal(addrsOf(m), []string{"10.88.0.77"}) {
				break
			}
			<-beat.C
		}
		m, _ = ask(t, f, "10.240.0.1", question("_http._tcp.web.example.org.", dns.TypeSRV))
		got := "NODATA"
		if len(m.Answer) > 0 {
			s := m.Answer[0].(*dns.SRV)
			got = fmt.Sprint(s.Weight, " ", s.Port, " ", s.Target)
		}
		if got != want || m.Rcode != dns.RcodeSuccess {
			t.Errorf("%q: %s, want %s", port, got, want)
		}
	}
}
