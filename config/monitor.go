package config

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var monitorTypes = []MonitorType{TCP, TLS, HTTP, HTTPS, GRPC, DNS, ICMP}

// typesOf lists, for the keys that not every monitor has, the types that have
// them. A key given to another type is a fault: it would silently do nothing.
var typesOf = map[string][]MonitorType{
	"port":    {TCP, TLS, HTTP, HTTPS, GRPC, DNS},
	"path":    {HTTP, HTTPS},
	"host":    {TLS, HTTP, HTTPS, GRPC, DNS},
	"method":  {HTTP, HTTPS},
	"headers": {HTTP, HTTPS},
	"query":   {DNS},
	"service": {GRPC},
	"tls":     {GRPC, DNS},
	"ca_file": {TLS, HTTPS, GRPC, DNS},
	"verify":  {TLS, HTTPS, GRPC, DNS},
	"expect":  {HTTP, HTTPS, DNS},

	"expect.status": {HTTP, HTTPS},
	"expect.body":   {HTTP, HTTPS},
	"expect.rcode":  {DNS},
	"expect.answer": {DNS},
}

// defaultPorts are used when a monitor or a canary gives none. tcp and grpc
// have no port that one could guess.
var defaultPorts = map[MonitorType]uint16{TLS: 443, HTTP: 80, HTTPS: 443, DNS: 53}

// dnsOverTLSPort is the port of a dns monitor with `tls: true` (RFC 7858).
const dnsOverTLSPort = 853

// monitorDraft is a monitor while it is read.
type monitorDraft struct {
	Monitor

	expect given // keys of its expect block
}

var monitorBlock = newBlock("monitor", append([]field[monitorDraft]{
	{"type", enum(func(m *monitorDraft) *MonitorType { return &m.Type }, monitorTypes...)},
	{"port", decodeMonitorPort},
	{"path", decodePath},
	{"host", decodeHost},
	{"method", enum(func(m *monitorDraft) *string { return &m.Method }, http.MethodGet, http.MethodHead)},
	{"headers", decodeHeaders},
	{"expect", func(d *decoder, v value, m *monitorDraft) { m.expect = expectBlock.decode(d, v, &m.Expect) }},
	{"query", func(d *decoder, v value, m *monitorDraft) { queryBlock.decode(d, v, &m.Query) }},
	{"service", text(func(m *monitorDraft) *string { return &m.Service })},
	{"tls", boolean(func(m *monitorDraft) *bool { return &m.UseTLS })},
	{"ca_file", filePath(func(m *monitorDraft) *string { return &m.CAFile })},
	{"verify", boolean(func(m *monitorDraft) *bool { return &m.Verify })},
	{"votes", boolean(func(m *monitorDraft) *bool { return &m.Votes })},
}, lift(timingFields, func(m *monitorDraft) *Timing { return &m.Timing })...)...)

// decodeMonitors reads the monitors, each a name and a block.
func decodeMonitors(d *decoder, v value, c *Config) {
	for _, e := range d.entries(v) {
		name := e.key.Value
		if strings.TrimSpace(name) != name || name == "" || len(name) > maxLabel {
			d.faultAt(e.key, "monitor name %q: write a word of 1 to %d characters without spaces around it", name, maxLabel)
			continue
		}
		d.monitors[name] = len(c.Monitors)
		c.Monitors = append(c.Monitors, d.monitor(name, e.value))
	}
}

func (d *decoder) monitor(name string, v value) Monitor {
	m := monitorDraft{Monitor: d.newMonitor(name, "")}
	seen := monitorBlock.decode(d, v, &m)
	m.Timing = d.settleTiming(seen, m.Timing)
	if m.Type == "" {
		if !seen.has("type") && !d.bad[v.node] {
			d.fault(v, "monitor %s has no type: add type: %s", name, words(monitorTypes))
		}
		return m.Monitor
	}
	d.checkKeys(seen, "", m.Type)
	d.checkKeys(m.expect, "expect.", m.Type)
	d.checkMonitor(seen, v, &m)
	m.setTypeDefaults()
	return m.Monitor
}

// newMonitor returns a monitor with what does not depend on its keys.
func (d *decoder) newMonitor(name string, typ MonitorType) Monitor {
	return Monitor{Name: name, Type: typ, Verify: true, Votes: true, Timing: d.defaults.Monitor}
}

func words(types []MonitorType) string {
	all := make([]string, len(types))
	for i, t := range types {
		all[i] = string(t)
	}
	return strings.Join(all, ", ")
}

// instancePort is the port of a monitor that follows what a catalog says.
const instancePort = "instance"

func decodeMonitorPort(d *decoder, v value, m *monitorDraft) {
	if v.node.Kind == yaml.ScalarNode && v.node.Value == instancePort {
		m.OfInstance = true
		return
	}
	portNumber(func(m *monitorDraft) *uint16 { return &m.Port })(d, v, m)
}

// checkKeys faults the keys that a monitor's type does not have.
func (d *decoder) checkKeys(seen given, prefix string, typ MonitorType) {
	for key, v := range seen {
		if types, limited := typesOf[prefix+key]; limited && !slices.Contains(types, typ) {
			d.fault(v, "%s%s does nothing with type %s, it is for %s: remove it, or change the type", prefix, key, typ, words(types))
		}
	}
}

func (d *decoder) checkMonitor(seen given, v value, m *monitorDraft) {
	_, hasPort := defaultPorts[m.Type]
	if !hasPort && m.Type != ICMP && !seen.has("port") {
		d.fault(v, "monitor %s of type %s has no port: add one, such as port: 443", m.Name, m.Type)
	}
	if m.Method == http.MethodHead && m.expect.has("body") {
		d.fault(m.expect["body"], "expect.body with method HEAD: the answer to HEAD has no body, use method: GET")
	}
	d.checkTLS(seen, m)
}

// checkTLS faults keys that need TLS where there is none.
func (d *decoder) checkTLS(seen given, m *monitorDraft) {
	if !m.Verify && seen.has("ca_file") {
		d.fault(seen["ca_file"], "ca_file with verify: false: nothing is verified, remove one of them")
	}
	if m.UseTLS || m.Type != GRPC && m.Type != DNS {
		return
	}
	for _, key := range []string{"ca_file", "verify"} {
		if seen.has(key) {
			d.fault(seen[key], "%s without tls: add tls: true, or remove %s", key, key)
		}
	}
	if m.Type == DNS && seen.has("host") {
		d.fault(seen["host"], "host on a dns monitor without tls: to say what is asked use query: {name: ...}")
	}
}

// setTypeDefaults fills in what the type says and the file did not.
func (m *Monitor) setTypeDefaults() {
	if m.Port == 0 && !m.OfInstance {
		m.Port = defaultPorts[m.Type]
		if m.Type == DNS && m.UseTLS {
			m.Port = dnsOverTLSPort
		}
	}
	switch m.Type {
	case HTTP, HTTPS:
		m.Method, m.Path = orElse(m.Method, http.MethodGet), orElse(m.Path, "/")
		if len(m.Expect.Status) == 0 {
			m.Expect.Status = []StatusRange{{200, 299}}
		}
	case DNS:
		m.Query.Type, m.Expect.Rcode = orElse(m.Query.Type, "A"), orElse(m.Expect.Rcode, "NOERROR")
	case TCP, TLS, GRPC, ICMP, ConsulChecks:
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func decodePath(d *decoder, v value, m *monitorDraft) {
	s, ok := d.text(v)
	switch {
	case !ok:
	case !strings.HasPrefix(s, "/"):
		d.fault(v, "path %s does not begin with /: write /%s", s, strings.TrimLeft(s, "/"))
	case strings.ContainsAny(s, " #\r\n\t"):
		d.fault(v, "path %s has a space or a #: write them as %%20 and %%23", s)
	default:
		m.Path = s
	}
}

// decodeHost keeps a host without its last dot: it goes into the Host header
// and the SNI, which have none.
func decodeHost(d *decoder, v value, m *monitorDraft) {
	if s, ok := d.parseName(v, false); ok {
		m.Host = strings.TrimSuffix(s, ".")
	}
}

// secretHeaders must not be given: the file is read by many, and kept in git.
var secretHeaders = []string{"Authorization", "Proxy-Authorization", "Cookie"}

func decodeHeaders(d *decoder, v value, m *monitorDraft) {
	m.Headers = map[string]string{}
	for _, e := range d.entries(v) {
		key := http.CanonicalHeaderKey(e.key.Value)
		text, ok := d.text(e.value)
		switch {
		case !ok:
		case !isToken(key):
			d.faultAt(e.key, "%q is not a header's name: write letters, digits and hyphens", e.key.Value)
		case slices.Contains(secretHeaders, key):
			d.faultAt(e.key, "header %s would put a secret into this file: let the endpoint answer its health path without one", key)
		case key == "Host":
			d.faultAt(e.key, "header Host is set by host: write host: %s beside headers", text)
		case strings.ContainsAny(text, "\r\n\x00"):
			d.fault(e.value, "header %s has a line break: write it in one line", key)
		default:
			m.Headers[key] = text
		}
	}
}

func isToken(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// filePath reads the path of a file. A relative one is relative to this file.
func filePath[T any](at func(*T) *string) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		s, ok := d.text(v)
		if ok && !filepath.IsAbs(s) {
			s = filepath.Join(filepath.Dir(d.cfg.Path), s)
		}
		*at(into) = s
	}
}
