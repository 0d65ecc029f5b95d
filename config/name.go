package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Bounds of a domain name in presentation form without its last dot (RFC 1035).
const (
	maxName  = 253
	maxLabel = 63
)

// canonicalName returns s in lower case with its last dot, or what is wrong
// with it. A wildcard is allowed as the whole first label if wild is set.
func canonicalName(s string, wild bool) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" {
		return "", errors.New("is the root: name something below it")
	}
	if len(name) > maxName {
		return "", fmt.Errorf("has %d characters: a domain name has at most %d", len(name), maxName)
	}
	labels := strings.Split(name, ".")
	if wild && labels[0] == "*" {
		if len(labels) == 1 {
			return "", errors.New("would be every name there is: name a domain after the asterisk")
		}
		labels = labels[1:]
	}
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return "", err
		}
	}
	if allDigits(labels[len(labels)-1]) {
		return "", errors.New("ends in a number, as no name does: correct it")
	}
	return name + ".", nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has an empty label: remove the dot too many")
	case len(label) > maxLabel:
		return fmt.Errorf("has a label of %d characters: a label has at most %d", len(label), maxLabel)
	case strings.Contains(label, "*"):
		return errors.New("has a * that is not the whole first label: write *.example.org, or no *")
	case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
		return fmt.Errorf("has a label that begins or ends with a hyphen: correct %s", label)
	}
	for _, r := range label {
		if err := checkRune(r); err != nil {
			return err
		}
	}
	return nil
}

func checkRune(r rune) error {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
		return nil
	case r > 127:
		return fmt.Errorf("has the letter %q: write the name in its xn-- form", r)
	}
	return fmt.Errorf("has the character %q: names are of a-z, 0-9, - and _", r)
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// parseName reads a domain name.
func (d *decoder) parseName(v value, wild bool) (string, bool) {
	s, ok := d.text(v)
	if !ok {
		return "", false
	}
	name, err := canonicalName(s, wild)
	if err != nil {
		d.fault(v, "%s %s %v", v.key, s, err)
		return "", false
	}
	return name, true
}

// names reads a list of distinct domain names.
func names[T any](at func(*T) *[]string) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		seen := map[string]bool{}
		for _, item := range d.list(v) {
			name, ok := d.parseName(item, false)
			if ok && seen[name] {
				d.fault(item, "%s has %s twice: remove one", v.key, plain(name))
			} else if ok {
				seen[name] = true
				*at(into) = append(*at(into), name)
			}
		}
	}
}

func name[T any](at func(*T) *string) func(*decoder, value, *T) {
	return func(d *decoder, v value, into *T) {
		if s, ok := d.parseName(v, false); ok {
			*at(into) = s
		}
	}
}

// neverServed are top-level names that have a meaning of their own, under
// which no service may stand.
var neverServed = map[string]string{
	"onion.":     "it is Tor's, and must not be asked of the DNS (RFC 7686)",
	"invalid.":   "it never exists, by definition (RFC 6761)",
	"alt.":       "it is for names outside the DNS (RFC 9476)",
	"localhost.": "it always means the machine that asks (RFC 6761)",
}

// topOf returns the top-level name of a name, with its last dot.
func topOf(name string) string { return name[strings.LastIndexByte(plain(name), '.')+1:] }

// checkServiceName faults names that must not be steered and warns about .local.
func (d *decoder) checkServiceName(v value, name string) {
	top := topOf(name)
	if why, ok := neverServed[top]; ok {
		d.fault(v, "%s cannot be a service, .%s is special: %s; choose a name under a domain of yours", plain(name), strings.TrimSuffix(top, "."), why)
	}
	if top == "local." {
		d.warn(v.node, "%s is under .local, which many clients ask of multicast DNS and never of us: choose a name under a domain of yours, home.arpa or internal", plain(name))
	}
}

var regionName = regexp.MustCompile(`^[a-z0-9.-]+/[a-z0-9.-]+$`)

// parseRegion reads a region's name, provider/name.
func (d *decoder) parseRegion(v value) (string, bool) {
	s, ok := d.text(v)
	if !ok {
		return "", false
	}
	if !regionName.MatchString(s) || len(s) > maxName {
		d.fault(v, "%s %s is not a region: write provider/name in lower case, such as aws/us-east-1 or onprem/fra1", v.key, s)
		return "", false
	}
	return s, true
}
