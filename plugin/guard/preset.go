package guard

import (
	"embed"
	"regexp"
	"strings"

	"github.com/coredns/caddy"
)

// presets are the regional API names of providers, with {region} for the region's
// name and {domain} for the provider's domain there.
//
//go:embed presets
var presets embed.FS

var regionName = regexp.MustCompile(`^[a-z]{2,12}(-[a-z0-9]+){1,3}$`)

// readPreset reads `preset PROVIDER REGION`.
func readPreset(g *Guard, c *caddy.Controller, args []string) error {
	if len(args) != 2 {
		return c.Errf("preset takes a provider and a region: preset aws us-east-1")
	}
	text, err := presets.ReadFile("presets/" + args[0] + ".txt")
	if err != nil || strings.ContainsAny(args[0], "./\\") {
		return c.Errf("preset: unknown provider %q: use aws or gcp; list other names by themselves, or in a file", args[0])
	}
	if !regionName.MatchString(args[1]) {
		return c.Errf("preset %s: %q is not a region's name, such as us-east-1", args[0], args[1])
	}
	names, err := parseNames(args[0], []byte(expand(string(text), args[1])))
	if err != nil {
		return c.Errf("preset: %v", err)
	}
	for n := range names {
		g.names.named[n] = true
	}
	return nil
}

func expand(text, region string) string {
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return strings.NewReplacer("{region}", region, "{domain}", domain).Replace(text)
}
