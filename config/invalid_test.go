package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInvalid holds every file in testdata/invalid, each with one fault, to
// the message it must give.
func TestInvalid(t *testing.T) {
	for name, want := range invalid {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "invalid", name+".yaml")
			c, err := Load(path)
			var faults Faults
			if !errors.As(err, &faults) || c != nil {
				t.Fatalf("Load = %v, %v; want no Config and Faults", c, err)
			}
			if got := faults.Error(); got != path+":"+want {
				t.Errorf("got\n  %s\nwant\n  %s", strings.ReplaceAll(got, "\n", "\n  "), path+":"+want)
			}
		})
	}
}

// TestInvalidComplete fails for a file without a line in the table: it would
// test nothing.
func TestInvalidComplete(t *testing.T) {
	files, err := os.ReadDir(filepath.Join("testdata", "invalid"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, ok := invalid[strings.TrimSuffix(f.Name(), ".yaml")]; !ok {
			t.Errorf("%s is not in the table", f.Name())
		}
	}
	if len(files) != len(invalid) {
		t.Errorf("%d files, %d lines in the table", len(files), len(invalid))
	}
}

// invalid is line:col: message by the name of the file.
var invalid = map[string]string{
	"admin-listen":                 "2:17: listen resolver.example.org:8053 is not an address to listen on: write address:port, such as 127.0.0.1:8053, or unix:///run/detour/admin.sock, or off",
	"admin-no-token":               "2:17: admin.listen 10.0.0.53:8053 can be reached from other machines: add tls: {cert_file, key_file} and token_file, or listen on 127.0.0.1",
	"admin-open":                   "2:17: admin.listen [::]:8053 can be reached from other machines: add tls: {cert_file, key_file} and token_file, or listen on 127.0.0.1",
	"admin-scalar":                 "2:8: admin is a single value: write it as a block of keys",
	"admin-tls":                    "2:14: tls needs both cert_file and key_file: add the one that is missing",
	"admin-unix":                   "2:17: listen unix://run/admin.sock is not an absolute path: write unix:///run/detour/admin.sock",
	"canary-dns-name":              "3:12: dns://192.0.2.1/example..org asks for example..org, which has an empty label: remove the dot too many",
	"canary-dns-parameter":         "3:12: dns://192.0.2.1/example.org?class=CH has the parameter class: only ?type= is known",
	"canary-dns-type":              "3:12: dns://192.0.2.1/example.org?type=AAA asks for the unknown type AAA: use one of A, AAAA, CAA, CNAME, DNSKEY, DS, HTTPS, MX, NS, PTR, SOA, SRV, SVCB, TXT",
	"canary-form":                  "3:12: checks 192.0.2.1:53 is not a check: write type://address:port, such as tcp://192.0.2.1:443, https://192.0.2.1/healthz or icmp://192.0.2.1",
	"canary-fragment":              "3:12: https://192.0.2.1/#top has a #fragment, which is never sent: remove it",
	"canary-icmp-port":             "3:12: icmp://192.0.2.1:7 has a port, and icmp has none: remove it",
	"canary-metadata":              "3:12: 169.254.169.254 is never probed, it is a cloud's metadata address, which hands out credentials: use another address, or list it in probes.allow_targets",
	"canary-name":                  "3:12: https://status.example.org/ names the host status.example.org: write an address, so that no DNS is needed to know whether the region lives",
	"canary-no-port":               "3:12: tcp://192.0.2.1 has no port: add one, such as tcp://192.0.2.1:443",
	"canary-own-admin":             "3:17: 10.0.0.53:8053 is this resolver's own admin API: check another machine",
	"canary-port":                  "3:12: tcp://192.0.2.1:70000 has the port 70000: write one from 1 to 65535",
	"canary-query":                 "3:12: grpc://192.0.2.1:50051/x?y=1 has a ?query, and grpc has none: remove it",
	"canary-tcp-path":              "3:12: tcp://192.0.2.1:53/x has a path, and tcp has none: remove /x",
	"canary-twice":                 "4:36: canaries has icmp://192.0.2.1 twice: remove one",
	"canary-type":                  "3:12: unknown type udp of udp://192.0.2.1:53: use one of dns, grpc, http, https, icmp, tcp, tls",
	"canary-user":                  "3:12: a check has an @: this file is no place for a user or a password, remove it",
	"defaults-attempts":            "3:23: attempts 6 is too large: make it at most 5",
	"defaults-bad-duration":        "3:23: interval 5sec is not a duration: write a number and a unit, such as 500ms, 30s or 5m",
	"defaults-failback-max":        "3:19: max 1m is shorter than after 5m: make it at least 5m, or lower after",
	"defaults-failback-mode":       "3:20: unknown mode automatic: use one of auto, manual",
	"defaults-fall-word":           "3:19: fall three is not a whole number: write one from 1 to 20",
	"defaults-fall-zero":           "3:19: fall 0 is too small: make it at least 1",
	"defaults-hold-down":           "3:21: step 20m is longer than max 15m: make it at most 15m, or raise max",
	"defaults-last-resort-address": "3:29: 224.0.0.1 is not the address of a machine: clients could not use it, give another",
	"defaults-last-resort-empty":   "3:16: last_resort mode addresses has no addresses: add addresses: [...]",
	"defaults-last-resort-mode":    "3:23: unknown mode random: use one of addresses, all, none, order",
	"defaults-last-resort-name":    "3:29: addresses sorry.example.org is not an address: write one such as 192.0.2.10 or 2001:db8::10",
	"defaults-last-resort-none":    "3:28: addresses of last_resort is empty: name at least one, or use mode: none",
	"defaults-last-resort-twice":   "3:43: addresses has 203.0.113.80 twice: remove one",
	"defaults-last-resort-unused":  "3:40: last_resort mode none does not use addresses: remove them, or use mode: addresses",
	"defaults-last-resort-zone":    "3:29: addresses fe80::1%eth0 has a zone: an address with %eth0 means something on one machine only, remove the zone or use another address",
	"defaults-long-interval":       "3:23: interval 5h is too long: make it at most 1h",
	"defaults-min-healthy":         "3:16: min_healthy 120% is not a percentage: write 0% to 100%",
	"defaults-no-unit":             "3:23: interval 5 has no unit: write 5s, or another of ms, s, m, h",
	"defaults-ramp-ends":           "3:20: ramp does not end with 100%, so that traffic would never return in full: end it with 100",
	"defaults-ramp-falls":          "3:25: ramp step 25% is not above the one before, 50%: write rising percentages, such as [10, 25, 50, 100]",
	"defaults-ramp-percent":        "3:25: ramp 200 is not a percentage: write 1% to 100%",
	"defaults-ramp-word":           "3:21: ramp ten is not a percentage: write 1% to 100%",
	"defaults-short-interval":      "3:23: interval 10ms is too short: make it at least 100ms",
	"defaults-ttl-fraction":        "3:18: settled 1500ms is not a whole number of seconds: records carry no less, write 2s",
	"defaults-ttl-list":            "3:8: ttl is a list: write it as a block of keys",
	"defaults-ttl-order":           "3:33: changing 20s is longer than settled 10s: make it at most 10s",
	"key-block":                    "2:3: a key is a block of keys: write a word",
	"limits-answers":               "2:23: max_answers 0 is too small: make it at least 1",
	"limits-percent":               "2:23: regions_out half is not a percentage: write 0% to 100%",
	"monitor-body-long":            "3:37: body has 1025 bytes: make the expression at most 1024",
	"monitor-body":                 "3:37: body is not a regular expression: missing closing ): `ok(`; correct it, or escape special characters with \\",
	"monitor-bool":                 "3:30: unknown verify yes: use one of false, true",
	"monitor-ca-without-tls":       "3:43: ca_file without tls: add tls: true, or remove ca_file",
	"monitor-ca-without-verify":    "3:31: ca_file with verify: false: nothing is verified, remove one of them",
	"monitor-confirm":              "3:45: confirm 3s is longer than interval 2s: make it at most 2s",
	"monitor-expect-on-tls":        "3:28: expect does nothing with type tls, it is for http, https, dns: remove it, or change the type",
	"monitor-head-body":            "3:51: expect.body with method HEAD: the answer to HEAD has no body, use method: GET",
	"monitor-header-line":          "3:41: header X-Probe has a line break: write it in one line",
	"monitor-header-list":          "3:41: x-probe is a list: write a single value",
	"monitor-header-name":          `3:32: "x probe" is not a header's name: write letters, digits and hyphens`,
	"monitor-host-header":          "3:32: header Host is set by host: write host: shop.example.org beside headers",
	"monitor-host-without-tls":     "3:26: host on a dns monitor without tls: to say what is asked use query: {name: ...}",
	"monitor-host":                 "3:28: host shop.example.org:443 has the character ':': names are of a-z, 0-9, - and _",
	"monitor-method":               "3:30: unknown method POST: use one of GET, HEAD",
	"monitor-name":                 `3:3: monitor name "web ": write a word of 1 to 63 characters without spaces around it`,
	"monitor-no-port":              "3:8: monitor web of type tcp has no port: add one, such as port: 443",
	"monitor-no-type":              "3:8: monitor web has no type: add type: tcp, tls, http, https, grpc, dns, icmp",
	"monitor-null":                 "3:28: path has no value: give it one, or remove the line",
	"monitor-path-on-tcp":          "3:37: path does nothing with type tcp, it is for http, https: remove it, or change the type",
	"monitor-path-space":           "3:28: path /a b has a space or a #: write them as %20 and %23",
	"monitor-path":                 "3:28: path healthz does not begin with /: write /healthz",
	"monitor-port-on-icmp":         "3:27: port does nothing with type icmp, it is for tcp, tls, http, https, grpc, dns: remove it, or change the type",
	"monitor-port-range":           "3:26: port 70000 is too large: make it at most 65535",
	"monitor-rcode":                "3:36: unknown rcode NXDOMAN: use one of FORMERR, NOERROR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL",
	"monitor-secret-header":        "3:32: header Authorization would put a secret into this file: let the endpoint answer its health path without one",
	"monitor-stale":                "3:44: stale 5s is shorter than interval + timeout, so that every check would become unknown between two probes: make it at least 12s",
	"monitor-status-empty":         "3:39: status is empty: list at least one, such as 200-299",
	"monitor-status-on-dns":        "3:37: expect.status does nothing with type dns, it is for http, https: remove it, or change the type",
	"monitor-status":               "3:51: status 2xx is not one of HTTP: write a code from 100 to 599 or a range such as 200-299",
	"monitor-timeout":              "3:45: timeout 9s is longer than interval 5s: make it at most 5s",
	"monitor-type":                 "3:15: unknown type htps: did you mean https?",
	"monitor-unknown-key":          "3:22: unknown key tiemout in monitor: did you mean timeout?",
	"monitor-verify-without-tls":   "3:28: verify without tls: add tls: true, or remove verify",
	"monitor-word":                 "3:8: web is a single value: write it as a block of keys",
	"network-host-bits":            "2:14: forwarders 10.20.0.1/16 has bits beyond its length: write 10.20.0.0/16",
	"network-mapped":               "2:14: forwarders ::ffff:10.0.0.0/104 is an IPv4 network in IPv6 form: write it in IPv4 form",
	"network-not-list":             "2:13: forwarders is a single value: write it as a list, forwarders: [...]",
	"network-twice":                "2:27: trust has 10.0.0.0/8 twice: remove one",
	"network-word":                 "2:22: recursion public is not a network: write one such as 10.20.0.0/16 or 2001:db8::/32",
	"override-do":                  "9:33: unknown do drian: did you mean drain?",
	"override-endpoint":            "9:14: unknown target shop.example.org/192.0.2.11: did you mean shop.example.org/192.0.2.10?",
	"override-far":                 "9:14: unknown target everything: use one of aws/us-east-1, gcp/europe-west1, shop.example.org",
	"override-last-resort":         "9:50: last_resort with do: up: only a drain can have it, remove one",
	"override-no-reason":           "9:5: the override has no reason: add reason:, so that everyone sees what, why and who",
	"override-nothing":             "3:14: unknown target shop.example.org: there is none of that name",
	"override-region":              "9:14: unknown target aws/us-east-2: did you mean aws/us-east-1?",
	"override-target-list":         "9:14: target is a list: write a single value",
	"override-target":              "9:14: unknown target shopp.example.org: did you mean shop.example.org?",
	"override-twice":               "10:14: shop.example.org has an override already, in line 9: keep one",
	"override-until-empty":         "9:47: until is empty: give it a value, or remove it",
	"override-until":               "9:47: until 2026-01-31 is not a time: write it such as 2026-01-31T18:00:00Z",
	"pool-address-mapped":          "8:37: 192.0.2.10 is in shop.example.org twice, first in line 8: remove one, and use weight to send it more",
	"pool-address-port":            "8:25: endpoint 192.0.2.10:443 has a port: write 192.0.2.10, the port is the monitor's",
	"pool-address-twice":           "9:43: 192.0.2.10 is in shop.example.org twice, first in line 8: remove one, and use weight to send it more",
	"pool-address":                 "8:25: endpoint 192.0.2.300 is neither an address nor a name, it ends in a number, as no name does: correct it",
	"pool-all-disabled":            "5:3: every endpoint of shop.example.org has enabled: false: enable one, or remove the service",
	"pool-empty":                   "8:24: the pool has no endpoints: list at least one address",
	"pool-endpoints-word":          "8:24: endpoints is a single value: write it as a list, endpoints: [...]",
	"pool-link-local":              "8:25: endpoints fe80::1%eth0 has a zone: an address with %eth0 means something on one machine only, remove the zone or use another address",
	"pool-localhost":               "8:25: endpoint localhost has no address to find, .localhost is special: it always means the machine that asks (RFC 6761); name a machine or a load balancer",
	"pool-loopback":                "8:25: 127.0.0.1 is never probed, it is a loopback address, which reaches this machine and no region: use another address, or list it in probes.allow_targets",
	"pool-many":                    "8:24: the pool has 1001 endpoints: at most 1000 can be probed and answered sensibly, name a load balancer instead",
	"pool-metadata":                "8:25: fd00:ec2::254 is never probed, it is a cloud's metadata address, which hands out credentials: use another address, or list it in probes.allow_targets",
	"pool-min-healthy-disabled":    "8:110: min_healthy 2 is larger than pool aws/us-east-1 of shop.example.org, which has 1 enabled: make it at most 1, or write a percentage such as 50%",
	"pool-min-healthy":             "8:83: min_healthy 3 is larger than pool aws/us-east-1 of shop.example.org, which has 2 enabled: make it at most 2, or write a percentage such as 50%",
	"pool-multicast":               "8:25: ff02::1 is never probed, it is a multicast address, which is no single machine: use another address, or list it in probes.allow_targets",
	"pool-name-twice":              "9:28: lb.example.net is in shop.example.org twice, first in line 8: remove one, and use weight to send it more",
	"pool-no-address":              "8:25: the endpoint has no address: add address:, an address or a name",
	"pool-no-endpoints":            "8:9: the pool has no endpoints: add endpoints: [address, ...]",
	"pool-no-region":               "8:9: the pool is in no region: add region: provider/name, such as region: aws/us-east-1",
	"pool-own-name":                "8:25: the endpoint is the service's own name: name what stands behind it",
	"pool-region-case":             "8:9: region AWS/us-east-1 is not a region: write provider/name in lower case, such as aws/us-east-1 or onprem/fra1",
	"pool-region-null":             "8:18: region is empty: give it a value, or remove it",
	"pool-region":                  "8:9: region us-east-1 is not a region: write provider/name in lower case, such as aws/us-east-1 or onprem/fra1",
	"pool-two-regions":             "8:9: a pool is in one region: begin each region with its own -",
	"pool-unknown-key":             "8:33: unknown key endpoint in pool: did you mean endpoints?",
	"pool-weight":                  "8:75: weight 0 is too small: make it at least 1",
	"pool-word":                    "8:9: a pool is a single value: write - aws/us-east-1: [192.0.2.10], or region: and endpoints:",
	"probes-max":                   "2:25: max_in_flight many is not a whole number: write one from 1 to 100000",
	"region-clients":               "4:31: clients from 10.20.0.0/16 are local to aws/us-east-1 and to gcp/europe-west1: list the network under one of them",
	"region-name":                  "3:3: region us-east-1 is not a region: write provider/name in lower case, such as aws/us-east-1 or onprem/fra1",
	"region-near-itself":           "3:25: aws/us-east-1 is near itself: list other regions, it always comes first",
	"region-near-twice":            "3:41: near has aws/us-east-2 twice: remove one",
	"root-duplicate-key":           "3:1: limits is given twice, first in line 2: remove one",
	"root-empty-key":               "2:7: zones has no value: give it one, or remove the line",
	"root-list":                    "2:1: the file is a list: write it as a block of keys",
	"root-mode":                    "2:7: unknown mode observer: did you mean observe?",
	"root-unknown-key-far":         "2:1: unknown key kubernetes in file: use one of admin, defaults, ecs, forwarders, limits, mode, monitors, overrides, probes, recursion, regions, self, services, state, version, zones",
	"root-unknown-key":             "2:1: unknown key servces in file: did you mean services?",
	"root-version":                 "2:10: version 2 is not known: this resolver reads version: 1",
	"self-zone":                    "2:14: zone fra1 is not a region: write provider/name in lower case, such as aws/us-east-1 or onprem/fra1",
	"service-alpn-id":              "11:12: alpn h2,h3 is not a protocol's identifier: write one such as h2 or h3",
	"service-alpn-twice":           "11:16: alpn has h2 twice: remove one",
	"service-alpn":                 "10:11: alpn without port: add port:, such as port: 443",
	"service-except-elsewhere":     "10:13: except mail.example.net is not below *.example.org: write names that the wildcard would answer, such as mail.example.org",
	"service-except-twice":         "10:29: except has a.example.org twice: remove one",
	"service-except":               "10:13: except on shop.example.org, which is no wildcard: remove it, or name the service *.shop.example.org",
	"service-families":             "10:15: unknown families ipv4: use one of separate, together",
	"service-min-healthy-all":      "8:18: min_healthy 2 is larger than pool aws/us-east-1 of shop.example.org, which has 1 enabled: make it at most 1, or write a percentage such as 50%",
	"service-monitor-twice":        "6:21: monitors has web twice: remove one",
	"service-name-address":         "5:3: service 192.0.2.10 ends in a number, as no name does: correct it",
	"service-name-empty-label":     "5:3: service shop..example.org has an empty label: remove the dot too many",
	"service-name-hyphen":          "5:3: service shop-.example.org has a label that begins or ends with a hyphen: correct shop-",
	"service-name-label":           "5:3: service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.org has a label of 64 characters: a label has at most 63",
	"service-name-localhost":       "5:3: shop.localhost cannot be a service, .localhost is special: it always means the machine that asks (RFC 6761); choose a name under a domain of yours",
	"service-name-long":            "5:3: service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bcdefg has 254 characters: a domain name has at most 253",
	"service-name-onion":           "5:3: shop.onion cannot be a service, .onion is special: it is Tor's, and must not be asked of the DNS (RFC 7686); choose a name under a domain of yours",
	"service-name-root":            "5:3: service . is the root: name something below it",
	"service-name-space":           "5:3: service shop example.org has the character ' ': names are of a-z, 0-9, - and _",
	"service-name-star-only":       "5:3: service * would be every name there is: name a domain after the asterisk",
	"service-name-star":            "5:3: service shop.*.example.org has a * that is not the whole first label: write *.example.org, or no *",
	"service-name-umlaut":          "5:3: service bücher.example.org has the letter 'ü': write the name in its xn-- form",
	"service-no-monitors":          "5:3: service shop.example.org has no monitors: nothing would tell whether it lives, add monitors: [name]",
	"service-no-pools":             "5:3: service shop.example.org has no pools: add pools: with at least one region",
	"service-null-monitor":         "7:8: monitors is empty: give it a value, or remove it",
	"service-policy":               "10:13: unknown policy round-robin: use one of all, failover, nearest, weighted",
	"service-pools-block":          "8:7: pools is a block of keys: write a list, because the order counts, with - before each region",
	"service-pools-empty":          "7:12: pools is empty: list at least one, such as - aws/us-east-1: [192.0.2.10]",
	"service-port-list":            "10:11: port is a list: write a single value",
	"service-srv":                  "11:10: srv _https is not a service and a protocol: write them such as _https._tcp",
	"service-twice":                "8:3: service shop.example.org is given twice, first in line 5: remove one, upper case and a last dot make no difference",
	"service-unknown-key":          "10:5: unknown key region in service: use one of alpn, except, failback, families, flatten, hold_down, last_resort, min_healthy, mode, monitors, policy, pools, port, public, single_writer, srv, sticky, ttl",
	"service-unknown-monitor":      "6:16: unknown monitor wbe: did you mean web?",
	"service-writer-all":           "11:18: last_resort all with single_writer would use every pool at once: use order or none, or remove single_writer",
	"service-writer-ramp":          "11:15: a ramp with single_writer would use two pools at once: use ramp: [100], or remove single_writer",
	"service-writer-weighted":      "11:13: policy weighted with single_writer would use several pools at once: use failover, or remove single_writer",
	"srv-is-service":               "5:3: srv _https._tcp of shop.example.org is a service of its own: remove one of the two",
	"state-dir":                    "2:14: dir state is not absolute: write the whole path, such as /var/lib/detour",
	"yaml-anchor":                  "2:13: alias *nobody stands for nothing: mark a block above it with &nobody",
	"yaml-empty":                   "1:1: the file is empty: it needs at least services:",
	"yaml-laughs":                  "2:20: the aliases in this file expand to more than 200000 nodes: write the blocks out",
	"yaml-merge":                   "5:5: merge keys (<<) are not read: write the keys out, or put what is common under defaults:",
	"yaml-null":                    "3:1: the file is a single value: write it as a block of keys",
	"yaml-scalar":                  "2:1: the file is a single value: write it as a block of keys",
	"yaml-second-broken":           "4:1: not YAML: did not find expected node content",
	"yaml-self-alias":              "2:17: more than 32 blocks inside one another: an alias that holds itself, or not a failover file",
	"yaml-syntax":                  "2:1: not YAML: did not find expected ',' or '}'",
	"yaml-tab-inside":              "4:3: the line is indented with a tab, which YAML does not allow: use spaces",
	"yaml-tab":                     "3:1: the line is indented with a tab, which YAML does not allow: use spaces",
	"yaml-two-documents":           "3:1: a second document begins here: keep one document in the file, without a --- line inside",
	"zone-apex-cname":              "7:3: flatten: false on example.org would answer a CNAME at the apex of its zone: remove flatten, or move the service below the apex",
	"zone-mbox":                    "3:46: mbox hostmaster@example.org has an @: write it as a name, hostmaster.example.org",
	"zone-no-ns":                   "3:3: zone example.org has no ns: list its name servers, such as ns: [ns1.example.org]",
	"zone-twice":                   "4:3: zone example.org is given twice, first in line 3: remove one",
}
