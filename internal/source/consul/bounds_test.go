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

// TestWeights holds that the weight is that of the state, as in Consul's own DNS.
func TestWeights(t *testing.T) {
	for name, c := range map[string]struct {
		service, status string
		want            int
	}{
		"passing":      {`"Weights":{"Passing":10,"Warning":2}`, "passing", 10},
		"warning":      {`"Weights":{"Passing":10,"Warning":2}`, "warning", 2},
		"critical":     {`"Weights":{"Passing":10,"Warning":2}`, "critical", 10},
		"none is said": {`"ID":"a"`, "warning", 1},
		"0 in warning": {`"Weights":{"Passing":10,"Warning":0}`, "warning", 1},
		"below 0":      {`"Weights":{"Passing":-5,"Warning":-5}`, "passing", 1},
		"beyond any":   {`"Weights":{"Passing":9999999,"Warning":1}`, "passing", 65535},
	} {
		got, ignored := parse(t, &rules{}, `[`+of(c.service, c.status)+`]`)
		if len(got) != 1 || got[0].Weight != c.want || len(ignored) > 0 {
			t.Errorf("%s: %s, %v; want weight %d", name, text(got), ignored, c.want)
		}
	}
}

// TestTheHeavyAreCut holds that the bound of weights counts over all datacenters, and is said.
func TestTheHeavyAreCut(t *testing.T) {
	one := func(body string) *feed {
		got, _ := parse(t, &rules{}, body)
		return &feed{datacenter: body, instances: got}
	}
	here := one(`[` + element(`"ID":"a","Weights":{"Passing":2,"Warning":1}`) + `,` + element(`"ID":"b","Address":"192.0.2.2"`) + `]`)
	there := one(`[` + element(`"ID":"c","Address":"192.0.2.3","Port":443,"Weights":{"Passing":65535,"Warning":1}`) + `]`)
	e, _, cut := join([]*feed{here, there})
	if cut != 1 || e.Instances[2].Weight != 20 || e.Instances[2].Ports[0].Weight != 20 || e.Instances[0].Weight != 2 {
		t.Errorf("%d were cut: %+v", cut, e.Instances)
	}
	if there.instances[0].Weight != 65535 {
		t.Error("what was read is cut in place")
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
