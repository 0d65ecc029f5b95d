package consul

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/detour-dns/detour/config"
)

// of is an entry with a status of its own check.
func of(service, status string) string {
	return strings.Replace(element(service), `{"CheckID":"serfHealth","Name":"Serf Health Status","Status":"passing"}`, `{"CheckID":"load","Name":"load","Status":"`+status+`"}`, 1)
}

// TestWeights holds that the weight is that of the state, as in Consul's own DNS, and that
// no instance weighs more than ten times the median.
func TestWeights(t *testing.T) {
	const heavy = `"Address":"192.0.2.9","Weights":{"Passing":65535,"Warning":1}`
	some := func(n int, last string) string {
		var all []string
		for i := range n {
			all = append(all, element(fmt.Sprintf(`"ID":"%d","Address":"192.0.2.%d","Weights":{"Passing":%d,"Warning":1}`, i, i+1, i+1)))
		}
		return `[` + strings.Join(append(all, last), ",") + `]`
	}
	for name, c := range map[string]struct {
		body string
		want int // of the last
		over int
	}{
		"passing":                   {`[` + of(`"Weights":{"Passing":10,"Warning":2}`, "passing") + `]`, 10, 0},
		"warning":                   {`[` + of(`"Weights":{"Passing":10,"Warning":2}`, "warning") + `]`, 2, 0},
		"critical":                  {`[` + of(`"Weights":{"Passing":10,"Warning":2}`, "critical") + `]`, 10, 0},
		"none is said":              {`[` + of(`"ID":"a"`, "warning") + `]`, 1, 0},
		"0 in warning":              {`[` + of(`"Weights":{"Passing":10,"Warning":0}`, "warning") + `]`, 1, 0},
		"below 0":                   {`[` + of(`"Weights":{"Passing":-5,"Warning":-5}`, "passing") + `]`, 1, 0},
		"beyond any":                {`[` + of(`"Weights":{"Passing":9999999,"Warning":1}`, "passing") + `]`, 65535, 0},
		"among others":              {some(3, element(heavy)), 25, 1},
		"as heavy as others":        {some(9, element(`"Address":"192.0.2.99","Weights":{"Passing":50,"Warning":1}`)), 50, 0},
		"heavy only in warning":     {some(3, of(`"Address":"192.0.2.99","Weights":{"Passing":1,"Warning":65535}`, "warning")), 15, 1},
		"a lone one is the measure": {`[` + element(heavy) + `]`, 65535, 0},
	} {
		got, ignored := parse(t, &rules{}, c.body)
		if len(got) == 0 || got[len(got)-1].Weight != c.want || ignored[Heavy] != c.over {
			t.Errorf("%s: %s, %v; want weight %d", name, text(got), ignored, c.want)
		}
	}
}

// TestPorts holds where an instance may be: at a port of 16 bits that allow_ports lists, and
// in the networks of its region.
func TestPorts(t *testing.T) {
	cfg, err := config.Parse("f.yaml", []byte(`
regions: {aws/us-east-1: {networks: [192.0.2.0/28, "2001:db8::/32"]}}
sources: [{consul: {allow_ports: [443, 20000-20010], services: {web: {}}}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	r := &rules{targets: cfg.Targets(), allowsPort: cfg.Sources[0].Consul.AllowsPort}
	for service, why := range map[string]Reason{
		`"Port":443`:                         "",
		`"Port":20000`:                       "",
		`"Port":20010`:                       "",
		`"Port":0`:                           "",
		`"Port":444`:                         BadPort,
		`"Port":20011`:                       BadPort,
		`"Port":-1`:                          BadPort,
		`"Port":65979`:                       BadPort, // 443 in 16 bits
		`"Port":443,"Address":"192.0.2.16"`:  Elsewhere,
		`"Port":443,"Address":"2001:db8::5"`: "",
		`"Port":443,"Address":"::ffff:192.0.2.15"`:                      "",
		`"Port":443,"Address":"10.0.0.1"`:                               Elsewhere,
		`"Port":443,"Address":"10.0.0.1","Meta":{"region":"eu-west-1"}`: "",
	} {
		got, ignored := parse(t, r, `[`+element(service)+`]`)
		if len(got) == 1 != (why == "") || why != "" && ignored[why] != 1 {
			t.Errorf("%s: %s, ignored %v; want %q", service, text(got), ignored, why)
		}
	}
	got, _ := parse(t, r, `[`+element(`"ID":"a","Port":443,"Weights":{"Passing":2,"Warning":1}`)+`,`+element(`"ID":"b","Port":20001`)+`,`+element(`"ID":"c","Port":443`)+`]`)
	if fmt.Sprint(got[0].Ports) != "[{443 3} {20001 1}]" || got[0].Addr != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%+v", got)
	}
}
