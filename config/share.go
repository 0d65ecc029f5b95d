package config

import (
	"net/url"
	"os"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxQuorum and maxStores bound a cluster: observers that must agree, and places
// where they meet.
const (
	maxQuorum = 64
	maxExpect = 64
	maxStores = 8
)

var shareBlock = newBlock("share",
	field[Share]{"cluster", label(func(s *Share) *string { return &s.Cluster })},
	field[Share]{"quorum", integer(func(s *Share) *int { return &s.Quorum }, 0, maxQuorum)},
	field[Share]{"expect", decodeExpect},
	field[Share]{"consul", func(d *decoder, v value, s *Share) { s.Consul = d.decodeStores(v) }},
)

var storeBlock = newBlock("store",
	field[Store]{"datacenter", label(func(s *Store) *string { return &s.Datacenter })},
	field[Store]{"region", func(d *decoder, v value, s *Store) { s.Region, _ = d.parseRegion(v) }},
	field[Store]{"address", decodeStoreAddress},
	field[Store]{"token_file", filePath(func(s *Store) *string { return &s.TokenFile })},
	field[Store]{"ca_file", filePath(func(s *Store) *string { return &s.CAFile })},
	field[Store]{"cert_file", filePath(func(s *Store) *string { return &s.CertFile })},
	field[Store]{"key_file", filePath(func(s *Store) *string { return &s.KeyFile })},
	field[Store]{"server_name", text(func(s *Store) *string { return &s.ServerName })},
)

// decodeShare reads where resolvers agree.
func decodeShare(d *decoder, v value, c *Config) {
	seen := shareBlock.decode(d, v, &c.Share)
	if q := c.Share.Quorum; q > 1 {
		d.warn(seen["quorum"].node, "quorum %d: while some but fewer than %d resolvers are heard nothing is agreed, and services with single_writer do not fail over", q, q)
	}
	if v.node.Kind == yaml.MappingNode && len(c.Share.Consul) == 0 && !d.bad[v.node] {
		if at, ok := seen["consul"]; !ok || !d.bad[at.node] {
			d.fault(v, "share names no place to meet: add consul: [{address: ...}]")
		}
	}
}

// decodeExpect reads how many observers each zone has.
func decodeExpect(d *decoder, v value, s *Share) {
	s.Expect = map[string]int{}
	for _, e := range d.entries(v) {
		zone, ok := d.parseRegion(value{"zone", e.key})
		n, sound := d.parseInt(e.value, 1, maxExpect)
		if ok && sound {
			s.Expect[zone] = n
		}
	}
}

// vetoZones is from how many zones on none can keep the others from agreeing: of two
// both must say the same.
const vetoZones = 3

// warnVeto warns that a stolen token can keep a single writer where it is: such a
// service does nothing that this resolver alone sees.
func (d *decoder) warnVeto(root *yaml.Node) {
	s := &d.cfg.Share
	single := slices.ContainsFunc(d.cfg.Services, func(s Service) bool { return s.SingleWriter })
	switch {
	case len(s.Consul) == 0 || !single || len(s.Expect) >= vetoZones:
	case len(s.Expect) == 0:
		d.warn(root, "share names no zones: with fewer than three, one stolen token can keep a service with single_writer from failing over; list them as expect: {zone: resolvers}")
	default:
		d.warn(root, "share expects resolvers in %d of the three zones that a single_writer needs: with fewer, one stolen token can keep it from failing over; run resolvers in a third, and none of them in a region of the service", len(s.Expect))
	}
}

func (d *decoder) decodeStores(v value) []Store {
	var all []Store
	items := d.list(v)
	if len(items) > maxStores {
		d.fault(v, "%s lists %d datacenters: at most %d", v.key, len(items), maxStores)
		return nil
	}
	for _, item := range items {
		if st, ok := d.decodeStore(item, all); ok {
			all = append(all, st)
		}
	}
	d.warnOneRegion(v, all)
	return all
}

// decodeStore reads a place to meet, which must be another than those before.
func (d *decoder) decodeStore(v value, before []Store) (s Store, ok bool) {
	s = Store{Address: &url.URL{Scheme: "http", Host: "127.0.0.1:8500"}}
	seen := storeBlock.decode(d, v, &s)
	if v.node.Kind != yaml.MappingNode {
		return s, false
	}
	if seen.has("cert_file") != seen.has("key_file") {
		d.fault(v, "consul needs both cert_file and key_file: add the one that is missing")
	}
	if slices.ContainsFunc(before, func(o Store) bool {
		return *o.Address == *s.Address && o.Datacenter == s.Datacenter || s.Datacenter != "" && o.Datacenter == s.Datacenter
	}) {
		d.fault(v, "the same datacenter is listed twice: remove one, an observer has one voice in each")
	}
	return s, true
}

// warnOneRegion warns of stores that fail together.
func (d *decoder) warnOneRegion(v value, stores []Store) {
	for _, s := range stores {
		if s.Region != stores[0].Region {
			return
		}
	}
	switch {
	case len(stores) == 0:
	case stores[0].Region != "":
		d.warn(v.node, "every datacenter of %s lies in %s: when that region fails resolvers decide each for itself, add one elsewhere", v.key, stores[0].Region)
	case len(stores) == 1:
		d.warn(v.node, "%s is one datacenter: when its region fails resolvers decide each for itself, add one elsewhere and say the region: of both", v.key)
	}
}

const storeAddressForm = "write http://address:port, https://name:port or unix:///path"

// decodeStoreAddress reads where a Consul agent listens.
func decodeStoreAddress(d *decoder, v value, s *Store) {
	t, ok := d.text(v)
	if !ok {
		return
	}
	u, err := url.Parse(t)
	switch {
	case err == nil && u.User != nil:
		d.fault(v, "%s has a user or a password: put a token into a file and name it in token_file", v.key)
	case err == nil && u.Scheme == "unix" && u.Path != "" && u.Host == "":
		s.Address = u
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "":
		d.fault(v, "%s %s is not where Consul listens: %s", v.key, t, storeAddressForm)
	default:
		s.Address = &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
}

var labelForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)

// IsLabel reports whether s can name a cluster or an observer: one element of a
// path, at most 63 bytes.
func IsLabel(s string) bool { return len(s) <= 63 && labelForm.MatchString(s) }

// label reads a short word that can stand in a path.
func label[T any](at func(*T) *string) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		s, ok := d.text(v)
		if ok && !IsLabel(s) {
			d.fault(v, "%s %s is not a plain word: use at most 63 letters, digits, dots, hyphens and underscores", v.key, s)
			return
		}
		*at(into) = s
	}
}

// defaultObserver is the name under which this resolver speaks to others.
func defaultObserver() string {
	name, err := os.Hostname()
	if err != nil || !IsLabel(name) {
		return "resolver"
	}
	return name
}
