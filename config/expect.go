package config

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var expectBlock = newBlock("expect",
	field[Expect]{"status", decodeStatus},
	field[Expect]{"body", decodeBody},
	field[Expect]{"rcode", enum(func(e *Expect) *string { return &e.Rcode }, rcodes...)},
	field[Expect]{"answer", texts(func(e *Expect) *[]string { return &e.Answer })},
)

var queryBlock = newBlock("query",
	field[Query]{"name", name(func(q *Query) *string { return &q.Name })},
	field[Query]{"type", enum(func(q *Query) *string { return &q.Type }, queryTypes...)},
)

// What a dns monitor may ask and expect.
var (
	rcodes     = []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	queryTypes = []string{"A", "AAAA", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TXT"}
)

// decodeStatus reads 200, "200-299", or a list of them.
func decodeStatus(d *decoder, v value, e *Expect) {
	items := []value{v}
	if v.node.Kind == yaml.SequenceNode {
		items = d.list(v)
	}
	if len(items) == 0 {
		d.fault(v, "status is empty: list at least one, such as 200-299")
	}
	for _, item := range items {
		s, ok := d.text(item)
		if !ok {
			continue
		}
		r, ok := parseStatus(s)
		if !ok {
			d.fault(item, "status %s is not one of HTTP: write a code from 100 to 599 or a range such as 200-299", s)
			continue
		}
		e.Status = append(e.Status, r)
	}
}

func parseStatus(s string) (StatusRange, bool) {
	low, high := ends(s)
	l, errLow := strconv.Atoi(low)
	h, errHigh := strconv.Atoi(high)
	ok := errLow == nil && errHigh == nil && l >= 100 && l <= h && h <= 599
	return StatusRange{l, h}, ok
}

// ends returns the ends of a range such as 200-299; a single number is both.
func ends(s string) (low, high string) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	return strings.TrimSpace(low), strings.TrimSpace(high)
}

// maxBodyPattern bounds the expression, in bytes: it runs over every probe's body.
const maxBodyPattern = 1024

func decodeBody(d *decoder, v value, e *Expect) {
	s, ok := d.text(v)
	if !ok {
		return
	}
	if len(s) > maxBodyPattern {
		d.fault(v, "body has %d bytes: make the expression at most %d", len(s), maxBodyPattern)
		return
	}
	re, err := regexp.Compile(s)
	if err != nil {
		d.fault(v, "body is not a regular expression: %s; correct it, or escape special characters with \\", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return
	}
	e.Body = re
}
