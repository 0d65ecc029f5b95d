package config

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// examples returns the paths of the example files.
func examples(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("examples", "*.yaml"))
	if err != nil || len(paths) < 7 {
		t.Fatalf("examples: %q, %v", paths, err)
	}
	return paths
}

// mustParse parses text under the path failover.yaml.
func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("failover.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExamples(t *testing.T) {
	for _, path := range examples(t) {
		c, err := Load(path)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if len(c.Services) == 0 {
			t.Errorf("%s steers nothing", path)
		}
		for _, w := range c.Warnings {
			if filepath.Base(path) != "three-clouds.yaml" {
				t.Errorf("an example that operators copy gives a warning: %v", w)
			}
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), "# ") {
			t.Errorf("%s does not begin with a comment", path)
		}
	}
}

func TestPathAndHash(t *testing.T) {
	path := filepath.Join("examples", "minimal.yaml")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if !filepath.IsAbs(c.Path) || !strings.HasSuffix(c.Path, path) || c.Hash != hex.EncodeToString(sum[:]) {
		t.Errorf("Path %q, Hash %q", c.Path, c.Hash)
	}
}

func TestLoadFaults(t *testing.T) {
	for path, want := range map[string]string{
		"testdata/absent.yaml": "testdata/absent.yaml: cannot read the file: no such file or directory",
		"testdata":             "testdata: cannot read the file: is a directory",
	} {
		if _, err := Load(path); err == nil || err.Error() != want {
			t.Errorf("Load(%s) = %v, want %s", path, err, want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	_, err := Parse("f.yaml", make([]byte, fileBound.Bytes+1))
	if err == nil || err.Error() != "f.yaml: the file is larger than 16 MiB: split the services over several resolvers" {
		t.Errorf("Parse = %v", err)
	}
}

// TestAllFaultsAtOnce has faults in every block, out of order, and expects each
// of them once, sorted by position, and nothing that follows from another.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := Load(filepath.Join("testdata", "many-faults.yaml"))
	if err == nil {
		t.Fatal("no fault")
	}
	want, readErr := os.ReadFile(filepath.Join("testdata", "many-faults.txt"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	if got := err.Error() + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMessagesAreOneLine(t *testing.T) {
	_, err := Parse("f.yaml", []byte("mode: \"a\\nf.yaml:1:1: forged\\e[2J\"\nself: {zone: "+strings.Repeat("x", 1000)+"}\n"))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || strings.ContainsAny(err.Error(), "\x1b\r") {
		t.Fatalf("%q", lines)
	}
	if len(lines[1]) > maxMessage+50 {
		t.Errorf("a message of %d bytes", len(lines[1]))
	}
}

func TestLookUps(t *testing.T) {
	c, err := Load(filepath.Join("examples", "three-clouds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop.example.org.", "shop.example.org", "SHOP.Example.Org"} {
		if s, ok := c.Service(name); !ok || s != &c.Services[0] {
			t.Errorf("Service(%s) = %v, %v", name, s, ok)
		}
	}
	if m, ok := c.Monitor("sql"); !ok || m.Port != 5432 {
		t.Errorf("Monitor(sql) = %v, %v", m, ok)
	}
	if r, ok := c.Region("azure/westeurope"); !ok || r.Name != "azure/westeurope" {
		t.Errorf("Region = %v, %v", r, ok)
	}
	_, service := c.Service("example.org")
	_, monitor := c.Monitor("none")
	_, region := c.Region("aws/us-east-2")
	if service || monitor || region {
		t.Error("found what is not there")
	}
}

func TestTarget(t *testing.T) {
	c, err := Load(filepath.Join("examples", "three-clouds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"aws/us-east-1":                                 "aws/us-east-1",
		"AWS/us-east-1 ":                                "aws/us-east-1",
		"Shop.example.org":                              "shop.example.org.",
		"shop.example.org./192.0.2.10":                  "shop.example.org./192.0.2.10",
		"shop.example.org/2001:DB8:0::10":               "shop.example.org./2001:db8::10",
		"shop.example.org/shop.westeurope.example.net.": "shop.example.org./shop.westeurope.example.net",
		"shop.example.org/192.0.2.99":                   "",
		"shop.example.org/":                             "",
		"aws/us-east-9":                                 "",
		"":                                              "",
		"/":                                             "",
	} {
		if got, ok := c.Target(in); got != want && ok || ok != (want != "") {
			t.Errorf("Target(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}

func TestDefaultCorefile(t *testing.T) {
	text := string(DefaultCorefile())
	for _, want := range []string{".:1053 {", "bind 127.0.0.1\n", "errors\n", "cache 30\n", "forward . /etc/resolv.conf {\n        max_concurrent 1000\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the default Corefile has no %q", want)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "failover") {
			t.Errorf("the default Corefile steers: %s", line)
		}
	}
}
