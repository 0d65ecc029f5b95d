package config

import (
	"strings"
	"testing"
)

func TestShare(t *testing.T) {
	c, err := Parse("/etc/detour/failover.yaml", []byte(`
self: {name: fra-1, zone: onprem/fra1, checks: ["tcp://192.0.2.53:53"]}
share:
  cluster: prod
  quorum: 2
  consul:
    - {datacenter: dc1, region: aws/us-east-1, address: "https://consul.example.net:8501/", token_file: token, ca_file: /ca.pem}
    - {datacenter: dc2, region: gcp/europe-west1, address: "unix:///run/consul.sock"}
services: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Share
	if c.Self.Name != "fra-1" || s.Cluster != "prod" || s.Quorum != 2 || len(s.Consul) != 2 {
		t.Fatalf("%+v %+v", c.Self, s)
	}
	if one := s.Consul[0]; one.Address.String() != "https://consul.example.net:8501" || one.TokenFile != "/etc/detour/token" {
		t.Errorf("%+v", one)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "quorum 2") {
		t.Errorf("%v", c.Warnings)
	}
}

func TestShareFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"share: {}":           "share names no place to meet",
		"share: {consul: []}": "share names no place to meet",
		"share: {consul: [{address: consul:8500}]}":           "is not where Consul listens: write http://address:port",
		"share: {consul: [{address: \"http://u:p@c:8500\"}]}": "put a token into a file",
		"share: {consul: [{datacenter: a/b}]}":                "a/b is not a plain word",
		"share: {consul: [{cert_file: a}]}":                   "add the one that is missing",
		"share: {consul: [{datacenter: a}, {datacenter: a}]}": "is listed twice",
		"share: {quorum: 65, consul: [{}]}":                   "quorum",
		"share: {consul: [{token: hunter2}]}":                 "unknown key token",
		"self: {name: \"a b\"}":                               "a b is not a plain word",
	} {
		_, err := Parse("/f.yaml", []byte(yaml+"\nservices: {}\n"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
}

func TestShareWarnsOfOneRegion(t *testing.T) {
	for yaml, want := range map[string]string{
		"consul: [{}]":                               "is one datacenter",
		"consul: [{region: aws/us-east-1}]":          "lies in aws/us-east-1",
		"consul: [{datacenter: a}, {datacenter: b}]": "",
		"consul: [{datacenter: a, region: aws/us-east-1}, {datacenter: b, region: aws/us-east-1}]":    "every datacenter of consul lies in aws/us-east-1",
		"consul: [{datacenter: a, region: aws/us-east-1}, {datacenter: b, region: gcp/europe-west1}]": "",
	} {
		c, err := Parse("/f.yaml", []byte("self: {checks: [\"tcp://192.0.2.53:53\"]}\nshare: {"+yaml+"}\nservices: {}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := Faults(c.Warnings).Error(); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: warns %q, want %q", yaml, got, want)
		}
	}
}
