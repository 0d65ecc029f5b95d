package guard

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Pattern guards names below another name. It never crosses a public suffix, the
// private part of the list included: *.amazonaws.com are the provider's own
// names, and x.us-east-1.elb.amazonaws.com is a customer's.
type Pattern struct {
	Base string // "bank.example.", in lower case
	Most int    // names guarded by it at a time

	site string // the registrable domain
}

// NewPattern reads "*.bank.example".
func NewPattern(text string, most int) (Pattern, error) {
	base, ok := strings.CutPrefix(strings.ToLower(text), "*.")
	base = strings.TrimSuffix(base, ".")
	if !ok || base == "" || strings.Contains(base, "*") {
		return Pattern{}, fmt.Errorf("pattern %q: write it as *.bank.example", text)
	}
	if most < 1 {
		return Pattern{}, fmt.Errorf("pattern %q: at most %d names guards nothing", text, most)
	}
	if why := Special(base + "."); why != "" {
		return Pattern{}, fmt.Errorf("pattern %q: %s", text, why)
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(base)
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern %q covers names of many owners (%s is a public suffix): name the domain of one owner", text, base)
	}
	return Pattern{Base: base + ".", Most: most, site: site}, nil
}

// Covers reports whether name, in lower case with its last dot, lies below the
// pattern's base and belongs to its owner.
func (p *Pattern) Covers(name string) bool {
	above, ok := strings.CutSuffix(name, p.Base)
	if !ok || above == "" || above[len(above)-1] != '.' {
		return false
	}
	site, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimSuffix(name, "."))
	return err == nil && site == p.site
}

// special are names with a meaning of their own, and whose it is. They are never
// guarded.
var special = map[string]string{
	"localhost.": "RFC 6761", "invalid.": "RFC 6761", "test.": "RFC 6761", "local.": "RFC 6762", "onion.": "RFC 7686",
	"home.arpa.": "RFC 8375", "ipv4only.arpa.": "RFC 8880", "resolver.arpa.": "RFC 9462", "service.arpa.": "RFC 9665",
	"alt.": "RFC 9476", "in-addr.arpa.": "RFC 1035", "ip6.arpa.": "RFC 3596",
}

// Special returns why a name is never guarded, "" if it may be. The name is in
// lower case with its last dot.
func Special(name string) string {
	for rest := name; rest != ""; {
		if source := special[rest]; source != "" {
			return fmt.Sprintf("%s is special (%s) and never guarded", rest, source)
		}
		_, after, _ := strings.Cut(rest, ".")
		rest = after
	}
	return ""
}

// CheckName returns what is wrong with a name in a list of names to guard, and
// the name in its usual form.
func CheckName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, ".")) + "."
	switch {
	case name == "." || len(name) > 254 || strings.HasPrefix(name, ".") || strings.Contains(name, ".."):
		return "", fmt.Errorf("%q is not a name", text)
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("%q: a name with * goes behind `pattern`, with the number of names it may guard", text)
	case !isHost(name):
		return "", fmt.Errorf("%q is not a host name", text)
	}
	if why := Special(name); why != "" {
		return "", errors.New(why)
	}
	return name, nil
}

// isHost reports whether a name has only what names of hosts have: questions for
// others would never match.
func isHost(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Names found by patterns stand in only so far: an error of ours, or of a list,
// must not turn a resolver into a museum.
const (
	patternFloor = 100
	// Alarm is how many names of patterns may stand in at a time until an operator
	// should look.
	Alarm = 10
)

// MayStand reports whether one more name that a pattern found may stand in, when
// so many are kept and so many do.
func MayStand(kept, standing int) bool { return standing < max(patternFloor, kept/4) }

// Candidate is a name below a pattern that is not guarded yet.
type Candidate struct {
	Asked  int
	Client Addr // who asked first
	Many   bool // and another
}

// Ask notes a question and reports whether the name is in use enough to be
// guarded: asked ten times, or from two clients.
func (c *Candidate) Ask(client Addr) bool {
	c.Asked++
	switch {
	case !c.Client.IsValid():
		c.Client = client
	case client != c.Client:
		c.Many = true
	}
	return c.Asked >= 10 || c.Many
}
