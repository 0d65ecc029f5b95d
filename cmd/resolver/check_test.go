package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const head = `version: 1
monitors:
  web: {type: https}
  shown: {type: tcp, port: 1, votes: false}
services:
  shop.example.org:
`

// Each service ends in one line that says what will happen to it.
func TestBounds(t *testing.T) {
	const three = `
    pools: [{aws/us-east-1: [192.0.2.1]}, {gcp/europe-west1: [192.0.2.2]}, {azure/westeurope: [192.0.2.3]}]
`
	for _, tt := range []struct{ name, service, want string }{
		{
			"defaults", "    monitors: [web]" + three,
			"shop.example.org: aws/us-east-1 silent -> new answers <= 11.3 s, clients <= 41.3 s, back >= 5 min + 3 min ramp; 2 backups; all dark -> aws/us-east-1",
		},
		{
			"one pool", "    monitors: [web]\n    pools: [{aws/us-east-1: [192.0.2.1]}]\n",
			"shop.example.org: aws/us-east-1 silent -> new answers <= 11.3 s, clients <= 41.3 s, back >= 5 min + 3 min ramp; NO BACKUP; all dark -> aws/us-east-1",
		},
		{
			"manual", "    monitors: [web]\n    failback: {mode: manual}\n    last_resort: {mode: none}" + three,
			"shop.example.org: aws/us-east-1 silent -> new answers <= 11.3 s, clients <= 41.3 s, back by `resolver failback shop.example.org`; 2 backups; all dark -> SERVFAIL",
		},
		{
			"single writer", "    monitors: [web]\n    single_writer: true" + three,
			"shop.example.org: aws/us-east-1 silent -> new answers <= 11.3 s, clients <= 41.3 s, back by `resolver failback shop.example.org`; 2 backups; all dark -> aws/us-east-1; one writer at a time",
		},
		{
			"no ramp", "    monitors: [web]\n    failback: {ramp: [100]}\n    last_resort: {mode: all}" + three,
			"shop.example.org: aws/us-east-1 silent -> new answers <= 11.3 s, clients <= 41.3 s, back >= 5 min; 2 backups; all dark -> every pool",
		},
		{
			"weighted", "    monitors: [web]\n    policy: weighted" + three,
			"shop.example.org: a pool silent -> new answers <= 11.3 s, clients <= 41.3 s, back >= 5 min + 3 min ramp; 2 backups; all dark -> as if all were healthy",
		},
		{
			"addresses", "    monitors: [web]\n    last_resort: {addresses: [203.0.113.1, 203.0.113.2]}\n    mode: observe" + three,
			"shop.example.org: aws/us-east-1 silent -> new answers <= 11.3 s, clients <= 41.3 s, back >= 5 min + 3 min ramp; 2 backups; all dark -> 203.0.113.1, 203.0.113.2; observed only: answers as if all were healthy",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run("check", write(t, "f.yaml", head+tt.service))
			if code != 0 || !strings.Contains(stdout, tt.want+"\n") {
				t.Errorf("code %d\n%s%s\nwant %s", code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		11300 * time.Millisecond: "11.3 s", 41300 * time.Millisecond: "41.3 s", 30 * time.Second: "30 s",
		5 * time.Minute: "5 min", 90 * time.Second: "90 s", 2 * time.Hour: "2 h", 90 * time.Minute: "90 min",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// Every example that we ship is faultless, and has a line for each service.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../config/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if code, stdout, stderr := run("check", f); code != 0 || !strings.Contains(stdout, " silent -> ") {
			t.Errorf("%s: code %d\n%s%s", f, code, stdout, stderr)
		}
	}
}

func TestCheckOfACorefile(t *testing.T) {
	yaml := write(t, "f.yaml", head+"    monitors: [web]\n    pools: [{aws/us-east-1: [192.0.2.1]}]\n")
	corefile := write(t, "Corefile", ".:5301 {\n bind 127.0.0.1\n failover "+yaml+"\n hosts /nowhere\n}\n")
	code, stdout, stderr := run("check", corefile)
	if code != 0 || stderr != "" {
		t.Errorf("code %d: %s", code, stderr)
	}
	for _, want := range []string{
		"warning: " + corefile + ": hosts: File does not exist: /nowhere\n",
		"warning: " + yaml + ":",
		"shop.example.org: aws/us-east-1 silent -> ",
		corefile + ": no fault; will listen on dns://127.0.0.1:5301\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
}

func TestCheckSaysEveryFault(t *testing.T) {
	corefile := write(t, "Corefile", ".:5301 {\n forwrd .\n forward\n}\n")
	code, stdout, stderr := run("check", corefile)
	if code != 1 || strings.Count(stdout, "\n") != 2 || stderr != "resolver: "+corefile+": 2 faults; correct them and check again\n" {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = run("check", "--json", corefile)
	var c checked
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != 1 || len(c.Faults) != 2 || stderr != "" {
		t.Errorf("code %d, %v\n%s%s", code, err, stdout, stderr)
	}
	yaml := write(t, "f.yaml", "version: 1\nservces: {}\nmode: ac\n")
	if code, stdout, _ = run("check", yaml); code != 1 || !strings.Contains(stdout, yaml+":2:1: ") || !strings.Contains(stdout, yaml+":3:7: ") {
		t.Errorf("code %d\n%s", code, stdout)
	}
}

// A file of the working folder is checked only if it is named.
func TestCheckOfTheBuiltIn(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("Corefile", []byte(". {\n nonsense\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run("check")
	if code != 0 || stdout != "built-in Corefile: no fault; will listen on dns://127.0.0.1:1053\n" {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
}

// A file that the resolver would not start without is missed by check already.
func TestCheckWarnsOfMissingFiles(t *testing.T) {
	path := write(t, "f.yaml", strings.Replace(head, "web: {type: https}", "web: {type: https, ca_file: no.crt}", 1)+
		"    monitors: [web]\n    pools: [{aws/us-east-1: [192.0.2.1]}]\nadmin: {token_file: no.token}\n")
	code, stdout, stderr := run("check", path)
	if code != 0 || !strings.Contains(stdout, "ca_file of monitor web cannot be read here") || !strings.Contains(stdout, "admin.token_file cannot be read here") {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
}
