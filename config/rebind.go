package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/publicsuffix"
)

// Rebind says what becomes of addresses of private networks in answers for public
// names: whoever owns such a name could have a browser in here speak to a machine in
// here (DNS rebinding).
type Rebind struct {
	Block bool
	Allow []string // zones whose names may have such addresses, in canonical form
}

var rebindBlock = newBlock("rebind",
	field[Rebind]{"allow", names(func(r *Rebind) *[]string { return &r.Allow })},
)

// decodeRebind reads the words block and off, or what is allowed beside block.
func decodeRebind(d *decoder, v value, c *Config) {
	if v.node.Kind == yaml.MappingNode {
		c.Rebind.Block = true
		rebindBlock.decode(d, v, &c.Rebind)
		return
	}
	word, ok := d.oneOf(v, "block", "off")
	c.Rebind.Block = ok && word == "block"
}

// Blocks reports whether a name, lower case with a dot at its end, may not have
// addresses of private networks: it stands below a suffix that the public registers
// under, and in none of the zones that are allowed. Names below internal., local. and
// other ends that nobody registers under are not public.
func (r *Rebind) Blocks(name string) bool {
	if !r.Block {
		return false
	}
	for _, zone := range r.Allow {
		if name == zone || strings.HasSuffix(name, "."+zone) {
			return false
		}
	}
	suffix, icann := publicsuffix.PublicSuffix(strings.TrimSuffix(name, "."))
	return (icann || strings.Contains(suffix, ".")) && !strings.HasSuffix(name, ".arpa.") // home.arpa., RFC 8375: nobody registers below arpa.
}
