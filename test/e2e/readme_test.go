package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/detour-dns/detour/test/kit"
)

var corefileBlock = regexp.MustCompile("(?ms)^(?:```|~~~) ?corefile\n(.*?)^(?:```|~~~)$")

// besides matches the lines of plugins that listen by themselves, on ports which others
// on this machine may have.
var besides = regexp.MustCompile(`(?m)^ *(health|ready|prometheus|pprof)\b.*$`)

// TestCorefileBlocks starts every Corefile of the documentation and asks it.
func TestCorefileBlocks(t *testing.T) {
	web := kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	var found int
	for _, g := range []string{"../../*.md", "../../docs/*.md", "../../plugin/*/*.md"} {
		pages, _ := filepath.Glob(g)
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range corefileBlock.FindAllStringSubmatch(string(text), -1) {
				found++
				t.Run(filepath.Base(filepath.Dir(page))+"/"+filepath.Base(page), func(t *testing.T) {
					start(t, map[string]string{
						"failover.yaml":  shop("DIR", web, ""),
						"db.example.org": "$ORIGIN example.org.\n@ 60 IN SOA ns host 1 2 3 4 60\n@ 60 IN NS ns\nns 60 IN A 127.0.9.1\n",
						"Corefile":       besides.ReplaceAllStringFunc(strings.Replace(m[1], " {", ":PORT {\n bind 127.0.0.1", 1), func(line string) string { return strings.Fields(line)[0] + " 127.0.0.1:" + kit.FreePort(t) }),
					})
				})
			}
		}
	}
	if found < 3 {
		t.Errorf("found %d Corefiles: is the pattern wrong?", found)
	}
}
