package server

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
)

// checkText returns the faults of a Corefile named Corefile, one a line.
func checkText(text string) []string {
	var out []string
	for _, f := range check(input("Corefile", []byte(text))).Faults {
		out = append(out, f.Error())
	}
	return out
}

func TestEveryFaultAtOnce(t *testing.T) {
	got := checkText(`. {
    forwrd . 192.0.2.1
    forward .
    rewrite nam a b
    rewrite name a.example b.example
    rewrite bogus
    tls no.pem no.key
    import nothere
    chaos
}
example.org:99999 {
    whoami
}
a.example {
    bind 300.1.1.1
    import gone.conf
    ready 1 2
}
`)
	want := []string{
		`Corefile:2: unknown directive "forwrd": did you mean forward?`,
		"Corefile:3: forward: too few or too many arguments: write for example `forward . 192.0.2.1 192.0.2.2`",
		`Corefile:4: rewrite: invalid rule type "nam"`,
		`Corefile:6: rewrite: invalid rule type "bogus"`,
		`Corefile:7: tls: could not load TLS cert: open no.pem: no such file or directory`,
		`Corefile:8: File to import not found: nothere`,
		`Corefile:9: chaos is a plugin of CoreDNS that Detour leaves out: remove the line, or compile plugin/failover into a CoreDNS of your own`,
		`Corefile:11: the block for example.org:99999: "99999" is no port: use 1 to 65535`,
		`Corefile:15: bind: not a valid IP address or interface name: "300.1.1.1"`,
		`Corefile:16: File to import not found: gone.conf`,
		"Corefile:17: ready: too few or too many arguments: write for example `ready :8181`",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOneFault(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "Corefile: no server block: write one, on three lines: `. {`, `forward . 192.0.2.1` and `}`"},
		{"brace too many", ". {\n  whoami\n}\n}\n", "Corefile:4: a } closes nothing here: remove it"},
		{"brace too many before a block", "a. {\n  whoami\n}\n}\nb.example {\n  whoami\n}\n", "Corefile:4: a } closes nothing here: remove it"},
		{"block on one line", ". { forward . 192.0.2.1 }\n", "Corefile:1: a } closes nothing here: after a { and before a } a new line begins"},
		{"quote", ". {\n  errors \"abc\n}\n", "Corefile:2: the file ends inside a block: a closing } is missing here or above, or a closing quote"},
		{"brace", ". {\n  whoami\n", "Corefile:2: the file ends inside a block: a closing } is missing here or above"},
		{"brace of a directive", ". {\n  cache {\n", "Corefile:2: the file ends inside a block: a closing } is missing here or above"},
		{
			"same zone twice", ".:5300 {\n  whoami\n}\n.:5300 {\n  whoami\n}\n",
			"Corefile:4: cannot serve dns://.:5300 - it is already defined: two blocks serve the same zone on the same address; join them, give one another port or `bind`, or add `view` to one",
		},
		{"given twice", ". {\n  cache\n  cache\n}\n", "Corefile:2: cache: given twice in this server block: keep one of them"},
		{"upstream", ". {\n  forward . /no/resolv.conf\n}\n", "Corefile:2: forward: there is no file /no/resolv.conf: name the addresses of upstreams, or a file such as /etc/resolv.conf"},
		{"no word like it", ". {\n  qqqqqqqq\n}\n", "Corefile:2: unknown directive \"qqqqqqqq\": `resolver check --help` lists those there are"},
		{"failover without a file", ". {\n  failover\n}\n", "Corefile:2: failover: want one argument, the path of failover.yaml: failover /etc/detour/failover.yaml"},
		{"failover file", ". {\n  failover /nowhere/f.yaml\n}\n", "Corefile:2: failover: /nowhere/f.yaml: cannot read the file: no such file or directory"},
		{"certificate", "https3://. {\n  whoami\n}\n", "Corefile: DoH3 requires TLS, no TLS config found: add `tls cert.pem key.pem` to its block"},
		{"zone", "a..b {\n  whoami\n}\n", "Corefile:1: the block for a..b: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := checkText(tt.text)
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// The faults of a failover file come with their own places, once for all blocks
// that name it.
func TestFaultsOfServices(t *testing.T) {
	dir := t.TempDir()
	yaml := filepath.Join(dir, "f.yaml")
	rewrite(t, yaml, "version: 1\nservces: {}\nmode: ac\n")
	text := fmt.Sprintf(".:5301 {\n root %s\n failover f.yaml\n}\ntls://.:5302 {\n failover %s\n}\n", dir, yaml)
	r := check(input("Corefile", []byte(text)))
	if len(r.Faults) < 2 || r.Faults[0].File != yaml || r.Faults[0].Line == 0 || r.Faults[0].Col == 0 {
		t.Errorf("faults: %v", r.Faults)
	}
	if n := len(slices.Compact(slices.Clone(r.Faults))); n != len(r.Faults) {
		t.Errorf("a fault comes twice: %v", r.Faults)
	}
	if !slices.Equal(r.Services, []string{yaml}) {
		t.Errorf("services %v, want %s once", r.Services, yaml)
	}
}

func TestCheckFindsAddresses(t *testing.T) {
	r := check(input("Corefile", []byte(`(common) {
    errors
}
.:5301 tls://.:5302 {
    bind 127.0.0.1 ::1
    import common
    whoami
}
https://example.org {
    bind lo
    whoami
}
quic://example.org grpc://example.org {
    bind 127.0.0.2
    whoami
}
`)))
	if len(r.Faults) > 0 {
		t.Fatal(r.Faults)
	}
	for _, want := range []string{
		"dns://127.0.0.1:5301", "dns://[::1]:5301", "tls://127.0.0.1:5302", "tls://[::1]:5302",
		"https://127.0.0.1:443", "quic://127.0.0.2:853", "grpc://127.0.0.2:443",
	} {
		if !slices.Contains(r.Addrs, want) {
			t.Errorf("%s is missing in %v", want, r.Addrs)
		}
	}
}

func TestUnencryptedIsSaid(t *testing.T) {
	r := check(input("Corefile", []byte("\n.:5301 tls://example.org {\n whoami\n}\n")))
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0].Error(), "Corefile:2: tls://example.org.:853 has no certificate") {
		t.Errorf("%v", r.Warnings)
	}
	if len(r.Addrs) != 2 {
		t.Errorf("addresses %v", r.Addrs)
	}
}

func TestBuiltInCorefileIsFaultless(t *testing.T) {
	r, err := Check("")
	if err != nil || len(r.Faults) > 0 || !slices.Equal(r.Addrs, []string{"dns://127.0.0.1:1053"}) {
		t.Errorf("%v %v %v", err, r.Faults, r.Addrs)
	}
}

func TestUnreadableCorefile(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "nothing"): "there is no file ",
		dir:                           "is a folder",
	} {
		if _, err := Check(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A check is made beside a running server: it must leave nothing.
func TestCheckLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	rewrite(t, hosts, "192.0.2.1 a.example\n")
	text := ".:5301 {\n bind 127.0.0.1\n ready\n health\n pprof\n prometheus\n errors\n cache\n hosts " + hosts +
		"\n etcd example.org {\n endpoint http://127.0.0.1:1\n }\n grpc . 127.0.0.1:1\n forward . 127.0.0.1:1\n}\n"
	once := func() {
		if r := check(input("Corefile", []byte(text))); len(r.Faults) > 0 {
			t.Fatal(r.Faults)
		}
	}
	once()
	goroutines, files := settled(t)
	for range 50 {
		once()
	}
	wait(t, wait10, "goroutines and files as before", func() bool {
		runtime.GC()
		return runtime.NumGoroutine() <= goroutines+2 && openFiles() <= files+2
	})
}

// checkReady stands in for the setup of `ready`, which has effects: both must
// take and refuse the same.
func TestReadyAsThePluginReadsIt(t *testing.T) {
	stock, err := caddy.DirectiveAction("dns", "ready")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"ready", "ready :8181", "ready 127.0.0.1:1", "ready 8181", "ready :1 :2", "ready\nready",
		"ready {\n monitor\n}", "ready {\n monitor continuously\n}", "ready {\n monitor until-ready\n}",
		"ready {\n monitor never\n}", "ready {\n monitr\n}", "ready :1 {\n monitor continuously\n}",
	} {
		want := stock(caddy.NewTestController("dns", text))
		got := checkReady(caddy.NewTestController("dns", text))
		if (got == nil) != (want == nil) {
			t.Errorf("%q: %v, and the plugin says %v", text, got, want)
		}
	}
}

// A panic in a setup function is a fault of that directive.
func TestPanicInSetup(t *testing.T) {
	err := guarded(func() error { panic("at the disco") })
	if err == nil || !strings.Contains(err.Error(), "at the disco") {
		t.Errorf("%v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(". {\n forward . 192.0.2.1\n}\n")
	f.Add("a b, c {\n import x\n}\n(x) {\n cache {\n }\n}\n")
	f.Add("tls://.:53 {$X} {\n bind lo\n whoami }\n")
	f.Add("}{ } \"")
	f.Fuzz(func(t *testing.T, text string) {
		for _, word := range []string{"import", "route53", "clouddns", "azure", "etcd", "file", "auto", "tls", "secondary", "dnssec", "hosts"} {
			if strings.Contains(text, word) {
				return // it reads files or talks to others
			}
		}
		for _, fault := range check(input("Corefile", []byte(text))).Faults {
			if strings.Contains(fault.Error(), "\n") || fault.Message == "" {
				t.Errorf("not one line: %q", fault)
			}
		}
	})
}

func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// TestADirectiveIsNoZone: a line without a block is a list of zones to Caddy, and
// nothing would be answered; and a zone may be called as a directive is.
func TestADirectiveIsNoZone(t *testing.T) {
	got := checkText("failover good.yaml\n")
	want := "Corefile:1: `failover` is read as the name of a zone here: put it into a block, on three lines: `. {`, `failover good.yaml` and `}`"
	if !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := checkText("hosts:5301 {\n bind 127.0.0.1\n whoami\n}\n"); len(got) > 0 {
		t.Errorf("a zone of that name: %q", got)
	}
}
