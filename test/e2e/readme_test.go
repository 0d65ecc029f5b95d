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
						"Corefile":       strings.Replace(m[1], " {", ":PORT {\n bind 127.0.0.1", 1),
					})
				})
			}
		}
	}
	if found < 3 {
		t.Errorf("found %d Corefiles: is the pattern wrong?", found)
	}
}
