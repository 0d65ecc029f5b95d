package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parseCanaries reads a list of checks given as URLs.
func (d *decoder) parseCanaries(v value) []Canary {
	var all []Canary
	seen := map[string]bool{}
	for _, item := range d.list(v) {
		c, ok := d.parseCanary(item)
		switch {
		case !ok:
		case seen[c.URL]:
			d.fault(item, "%s has %s twice: remove one", v.key, c.URL)
		default:
			seen[c.URL] = true
			all = append(all, c)
		}
	}
	return all
}

// canaryAt is where a canary or a self-check stands, and what it connects to.
type canaryAt struct {
	at     value
	target netip.AddrPort
}

// checkOwnPort faults a check of our own admin API: it would be up as long as
// we are, and say nothing about anybody else.
func (d *decoder) checkOwnPort() {
	t := d.cfg.Targets()
	for _, c := range d.canaries {
		if t.own(c.target.Addr(), c.target.Port()) {
			d.fault(c.at, "%s is this resolver's own admin API: check another machine", c.target)
		}
	}
}

func canaries[T any](at func(*T) *[]Canary) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) { *at(into) = d.parseCanaries(v) }
}

const canaryForm = "write type://address:port, such as tcp://192.0.2.1:443, https://192.0.2.1/healthz or icmp://192.0.2.1"

func (d *decoder) parseCanary(v value) (Canary, bool) {
	s, ok := d.text(v)
	if !ok {
		return Canary{}, false
	}
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@"):
		d.fault(v, "a check has an @: this file is no place for a user or a password, remove it")
		return Canary{}, false
	case err != nil || u.Opaque != "" || u.Host == "":
		d.fault(v, "%s %s is not a check: %s", v.key, s, canaryForm)
		return Canary{}, false
	}
	typ := MonitorType(u.Scheme)
	addr, err := netip.ParseAddr(u.Hostname())
	switch {
	case !slices.Contains(monitorTypes, typ):
		d.fault(v, "unknown type %s of %s: %s", u.Scheme, s, suggest(u.Scheme, strings.Split(words(monitorTypes), ", ")))
	case err != nil || addr.Zone() != "":
		d.fault(v, "%s names the host %s: write an address, so that no DNS is needed to know whether the region lives", s, u.Hostname())
	case u.Fragment != "":
		d.fault(v, "%s has a #fragment, which is never sent: remove it", s)
	default:
		c := Canary{URL: s, Addr: addr.Unmap(), Monitor: d.newMonitor(s, typ)}
		c.Monitor.Timing = d.settleTiming(nil, c.Monitor.Timing)
		return c, d.fillCanary(v, u, &c)
	}
	return Canary{}, false
}

// fillCanary sets what the rest of the URL says.
func (d *decoder) fillCanary(v value, u *url.URL, c *Canary) bool {
	before := len(d.faults)
	d.refuseTarget(v, c.Addr)
	d.canaryPort(v, u, c)
	m := &c.Monitor
	path := strings.TrimPrefix(u.Path, "/")
	switch m.Type {
	case HTTP, HTTPS:
		m.Path = u.RequestURI()
	case GRPC:
		m.Service = path
	case DNS:
		d.canaryQuery(v, u, m)
	case TCP, TLS, ICMP, ConsulChecks:
		if path != "" {
			d.fault(v, "%s has a path, and %s has none: remove /%s", c.URL, m.Type, path)
		}
	}
	if u.RawQuery != "" && m.Type != HTTP && m.Type != HTTPS && m.Type != DNS {
		d.fault(v, "%s has a ?query, and %s has none: remove it", c.URL, m.Type)
	}
	m.setTypeDefaults()
	d.canaries = append(d.canaries, canaryAt{v, netip.AddrPortFrom(c.Addr, m.Port)})
	return len(d.faults) == before
}

func (d *decoder) canaryPort(v value, u *url.URL, c *Canary) {
	_, guess := defaultPorts[c.Monitor.Type]
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case c.Monitor.Type == ICMP && u.Port() != "":
		d.fault(v, "%s has a port, and icmp has none: remove it", c.URL)
	case c.Monitor.Type == ICMP || u.Port() == "" && guess:
	case u.Port() == "":
		d.fault(v, "%s has no port: add one, such as %s://%s", c.URL, u.Scheme, netip.AddrPortFrom(c.Addr, 443))
	case err != nil || n == 0:
		d.fault(v, "%s has the port %s: write one from 1 to 65535", c.URL, u.Port())
	default:
		c.Monitor.Port = uint16(n)
	}
}

// canaryQuery reads /name?type=T. Without a name the root's NS is asked, which
// every resolver can answer.
func (d *decoder) canaryQuery(v value, u *url.URL, m *Monitor) {
	m.Query = Query{Name: ".", Type: "NS"}
	if path := strings.Trim(u.Path, "/"); path != "" {
		name, err := canonicalName(path, false)
		if err != nil {
			d.fault(v, "%s asks for %s, which %v", m.Name, path, err)
			return
		}
		m.Query = Query{Name: name, Type: "A"}
	}
	for key, values := range u.Query() {
		typ := strings.ToUpper(values[0])
		switch {
		case key != "type":
			d.fault(v, "%s has the parameter %s: only ?type= is known", m.Name, key)
		case !slices.Contains(queryTypes, typ):
			d.fault(v, "%s asks for the unknown type %s: %s", m.Name, values[0], suggest(typ, queryTypes))
		default:
			m.Query.Type = typ
		}
	}
}
