package consul

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/source"
)

// parse reads an answer's body by rules.
func parse(t *testing.T, r *rules, body string) ([]source.Instance, Ignored) {
	t.Helper()
	ignored := Ignored{}
	entries, err := readEntries(strings.NewReader(body), ignored)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r.instances(entries, ignored), ignored
}

// element is an entry as Consul writes it: of a node in dc1 with an address, and a
// service with more fields.
func element(service string) string {
	return `{"Node":{"ID":"x","Node":"n1","Address":"192.0.2.1","Datacenter":"dc1","TaggedAddresses":{"lan":"192.0.2.1"},"Meta":{"provider":"aws","region":"us-east-1"},"CreateIndex":1},` +
		`"Service":{` + service + `},"Checks":[{"CheckID":"serfHealth","Name":"Serf Health Status","Status":"passing"}]}`
}

func text(list []source.Instance) string {
	var out []string
	for _, in := range list {
		out = append(out, fmt.Sprintf("%s %s %d %s", in.Addr, in.Region, in.Weight, in.Status))
	}
	return strings.Join(out, ", ")
}

func TestInstances(t *testing.T) {
	many := `"Meta":{"a":"` + strings.Repeat("x", maxMeta) + `"}`
	for name, c := range map[string]struct{ body, want, ignored string }{
		"none":                         {`[]`, "", ""},
		"null":                         {`null`, "", ""},
		"the node's address":           {`[` + element(`"ID":"a","Address":"","Weights":{"Passing":1,"Warning":1}`) + `]`, "192.0.2.1 aws/us-east-1 1 passing", ""},
		"the service's address":        {`[` + element(`"Address":"192.0.2.9"`) + `]`, "192.0.2.9 aws/us-east-1 1 passing", ""},
		"IPv4 in IPv6 form":            {`[` + element(`"Address":"::ffff:192.0.2.9"`) + `]`, "192.0.2.9 aws/us-east-1 1 passing", ""},
		"IPv6":                         {`[` + element(`"Address":"2001:db8::1"`) + `]`, "2001:db8::1 aws/us-east-1 1 passing", ""},
		"a weight":                     {`[` + element(`"Weights":{"Passing":7}`) + `]`, "192.0.2.1 aws/us-east-1 7 passing", ""},
		"no weight":                    {`[` + element(`"Weights":{"Passing":0}`) + `]`, "192.0.2.1 aws/us-east-1 1 passing", ""},
		"a weight beyond Consul's":     {`[` + element(`"Weights":{"Passing":9999999}`) + `]`, "192.0.2.1 aws/us-east-1 65535 passing", ""},
		"two at one address":           {`[` + element(`"ID":"a","Weights":{"Passing":2}`) + `,` + element(`"ID":"b","Weights":{"Passing":3}`) + `]`, "192.0.2.1 aws/us-east-1 5 passing", ""},
		"a name is no address":         {`[` + element(`"Address":"web.example.org"`) + `]`, "", "address 1"},
		"nor is one with a zone":       {`[` + element(`"Address":"fe80::1%eth0"`) + `]`, "", "address 1"},
		"loopback":                     {`[` + element(`"Address":"127.0.0.1"`) + `]`, "", "forbidden 1"},
		"loopback in IPv6 form":        {`[` + element(`"Address":"::ffff:127.0.0.1"`) + `]`, "", "forbidden 1"},
		"metadata":                     {`[` + element(`"Address":"169.254.169.254"`) + `,` + element(`"Address":"fd00:ec2::254"`) + `]`, "", "forbidden 2"},
		"link-local":                   {`[` + element(`"Address":"fe80::1"`) + `]`, "", "forbidden 1"},
		"unspecified":                  {`[` + element(`"Address":"0.0.0.0"`) + `]`, "", "forbidden 1"},
		"too much metadata":            {`[` + element(many) + `,` + element(`"Address":"192.0.2.9"`) + `]`, "192.0.2.9 aws/us-east-1 1 passing", "meta 1"},
		"no region":                    {`[{"Node":{"Address":"192.0.2.1"},"Service":{}}]`, "", "region 1"},
		"no region's form":             {`[` + element(`"Meta":{"region":"us east"}`) + `]`, "", "region 1"},
		"fields of another type":       {`[` + element(`"Meta":{"a":7}`) + `,` + element(`"Address":"192.0.2.9"`) + `]`, "192.0.2.9 aws/us-east-1 1 passing", "malformed 1"},
		"elements of another type":     {`[7,"x",null,` + element(`"Address":"192.0.2.9"`) + `]`, "192.0.2.9 aws/us-east-1 1 passing", "address 1, malformed 2"},
		"two regions at one address":   {`[` + element(`"ID":"b","Meta":{"region":"us-west-2"}`) + `,` + element(`"ID":"a"`) + `]`, "192.0.2.1 aws/us-east-1 2 passing", ""},
		"sorted whatever Consul's way": {`[` + element(`"ID":"b","Address":"192.0.2.7"`) + `,` + element(`"ID":"a","Address":"192.0.2.3"`) + `]`, "192.0.2.3 aws/us-east-1 1 passing, 192.0.2.7 aws/us-east-1 1 passing", ""},
	} {
		got, ignored := parse(t, &rules{}, c.body)
		var counts []string
		for _, why := range slices.Sorted(maps.Keys(ignored)) {
			counts = append(counts, fmt.Sprint(why, " ", ignored[why]))
		}
		if text(got) != c.want || strings.Join(counts, ", ") != c.ignored {
			t.Errorf("%s: got %q, ignored %q; want %q, %q", name, text(got), counts, c.want, c.ignored)
		}
	}
}

func TestAllowedAddresses(t *testing.T) {
	r := &rules{targets: config.Targets{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	if got, _ := parse(t, r, `[`+element(`"Address":"127.0.0.1"`)+`]`); len(got) != 1 {
		t.Error("an address that probes.allow_targets lists was ignored")
	}
}

func TestTooManyInstances(t *testing.T) {
	var all []string
	for i := range source.MaxInstances + 3 {
		all = append(all, element(fmt.Sprintf(`"ID":"%d","Address":"10.0.%d.%d"`, i, i>>8, i&255)))
	}
	got, ignored := parse(t, &rules{}, `[`+strings.Join(all, ",")+`]`)
	if len(got) != source.MaxInstances || ignored[TooMany] != 3 {
		t.Errorf("%d instances, ignored %v", len(got), ignored)
	}
}

func TestRegions(t *testing.T) {
	e := func(datacenter string, node, service map[string]string, tags ...string) *entry {
		out := &entry{}
		out.Node.Datacenter, out.Node.Meta, out.Service.Meta, out.Service.Tags = datacenter, node, service, tags
		return out
	}
	type m map[string]string
	for name, c := range map[string]struct {
		of   *entry
		want map[config.RegionFrom]string
	}{
		"the service's meta before the node's": {e("dc1", m{"provider": "aws", "region": "us-east-1"}, m{"region": "us-west-2"}), map[config.RegionFrom]string{"": "aws/us-west-2", "meta": "aws/us-west-2", "datacenter": "gcp/dc1", "tag": ""}},
		"region as provider/name":              {e("dc1", m{"provider": "aws"}, m{"region": "azure/westeurope"}), map[config.RegionFrom]string{"": "azure/westeurope"}},
		"in upper case and with spaces":        {e("dc1", m{"provider": " AWS ", "region": "US-East-1"}, nil), map[config.RegionFrom]string{"meta": "aws/us-east-1"}},
		"no meta":                              {e("dc1", nil, nil), map[config.RegionFrom]string{"": "gcp/dc1", "meta": ""}},
		"half of the meta":                     {e("dc1", m{"region": "us-east-1"}, nil), map[config.RegionFrom]string{"": "gcp/dc1", "meta": ""}},
		"meta that is no region":               {e("dc1", m{"region": "us east/1"}, nil), map[config.RegionFrom]string{"": "gcp/dc1", "meta": ""}},
		"a datacenter that is not in the map":  {e("dc9", nil, nil), map[config.RegionFrom]string{"": "gcp/read", "datacenter": "gcp/read"}},
		"a tag":                                {e("dc1", nil, nil, "v2", "aws/us-east-2"), map[config.RegionFrom]string{"tag": "aws/us-east-2"}},
		"a tag that is known, before others":   {e("dc1", nil, nil, "http/2", "aws/us-east-1"), map[config.RegionFrom]string{"tag": "aws/us-east-1"}},
		"no tag":                               {e("dc1", nil, nil, "v2"), map[config.RegionFrom]string{"tag": ""}},
	} {
		for from, want := range c.want {
			r := &rules{datacenter: "here", region: from, regions: m{"dc1": "gcp/dc1", "here": "gcp/read"}, known: map[string]bool{"aws/us-east-1": true}}
			if got := r.regionOf(c.of); got != want {
				t.Errorf("%s, region: %q is %q, want %q", name, from, got, want)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	for name, c := range map[string]struct {
		checks []check
		want   source.Status
		detail string
	}{
		"no checks pass":                 {nil, source.Passing, ""},
		"all pass":                       {[]check{{"a", "A", "passing"}, {"b", "B", "passing"}}, source.Passing, ""},
		"a warning":                      {[]check{{"a", "A", "passing"}, {"b", "B", "warning"}}, source.Warning, "B"},
		"the worst counts":               {[]check{{"a", "A", "critical"}, {"b", "B", "warning"}}, source.Critical, "A, B"},
		"whatever the order":             {[]check{{"b", "B", "warning"}, {"a", "", "critical"}}, source.Critical, "B, a"},
		"a word that is not Consul's":    {[]check{{"a", "A", "resting"}}, source.Critical, "A"},
		"a node in maintenance":          {[]check{{"serfHealth", "S", "passing"}, {"_node_maintenance", "Node Maintenance Mode", "critical"}}, source.Critical, "in maintenance"},
		"a service in maintenance":       {[]check{{"a", "A", "warning"}, {"_service_maintenance:web-1", "Service Maintenance Mode", "critical"}}, source.Critical, "in maintenance, A"},
		"names that attack a terminal":   {[]check{{"a", "\x1b[2Jx\ny", "critical"}}, source.Critical, "?[2Jx?y"},
		"names longer than one reads":    {[]check{{"a", strings.Repeat("é", 100), "critical"}}, source.Critical, strings.Repeat("é", 58) + " ..."},
		"maintenance whatever it says":   {[]check{{"_node_maintenance", "N", "passing"}}, source.Critical, "in maintenance"},
		"a status in upper case is none": {[]check{{"a", "A", "PASSING"}}, source.Critical, "A"},
	} {
		got, detail := statusOf(c.checks)
		if got != c.want || detail != c.detail {
			t.Errorf("%s: %s %q, want %s %q", name, got, detail, c.want, c.detail)
		}
	}
}

func TestBrokenAnswers(t *testing.T) {
	for body, want := range map[string]string{
		"":                                "the answer breaks off: EOF",
		"{}":                              errNotConsul.Error(),
		"<html>":                          errNotConsul.Error(),
		`"x"`:                             errNotConsul.Error(),
		"[{]":                             errNotConsul.Error(),
		"[" + element(`"ID":"a"`):         "the answer breaks off: EOF",
		"[" + element(`"ID":"a"`) + `,{"`: "the answer breaks off: unexpected EOF",
		"[" + strings.Repeat(" ", maxAnswer) + "]":      errTooLarge.Error(),
		"[" + strings.Repeat("7,", maxEntries) + "7]":   errTooLarge.Error(),
		"[" + strings.Repeat("{},", maxEntries) + "{}]": errTooLarge.Error(),
		"[" + strings.Repeat("[", 20_000):               errNotConsul.Error(),
		"[" + strings.Repeat(`{"Node":`, 20_000) + `{}`: errNotConsul.Error(),
	} {
		if _, err := readEntries(strings.NewReader(body), Ignored{}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body[:min(len(body), 40)], err, want)
		}
	}
}

// FuzzEntries holds the reader to its promises whatever the bytes are: it does not
// panic, and an instance that it lets through is whole.
func FuzzEntries(f *testing.F) {
	f.Add([]byte(`[` + element(`"ID":"a","Address":"","Weights":{"Passing":1}`) + `]`))
	f.Add([]byte(`[` + element(`"Address":"::ffff:127.0.0.1","Tags":["aws/us-east-1"]`) + `]`))
	f.Add([]byte(`[{"Node":{"Meta":{"a":7}}},null,7]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, from := range []config.RegionFrom{config.FromEither, config.FromTag, config.FromDatacenter} {
			ignored := Ignored{}
			entries, err := readEntries(strings.NewReader(string(data)), ignored)
			if err != nil {
				continue
			}
			r := &rules{datacenter: "dc1", region: from, regions: map[string]string{"dc1": "a/b"}}
			for _, in := range r.instances(entries, ignored) {
				checkInstance(t, &in)
			}
		}
	})
}

func checkInstance(t *testing.T, in *source.Instance) {
	t.Helper()
	_, forbidden := config.Targets{}.Forbidden(in.Addr)
	if forbidden || in.Addr.Is4In6() || in.Addr.Zone() != "" || !config.ValidRegion(in.Region) || in.Weight < 1 || !in.Listed() || len(in.Detail) > maxDetail {
		t.Errorf("%+v", in)
	}
}
