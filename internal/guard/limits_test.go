package guard

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestPatternsStayWithTheirOwner holds that a pattern never crosses a public
// suffix, the private part of the list included.
func TestPatternsStayWithTheirOwner(t *testing.T) {
	for text, c := range map[string]struct{ covered, others []string }{
		"*.amazonaws.com": {
			[]string{"dynamodb.us-west-2.amazonaws.com.", "sts.amazonaws.com."},
			[]string{
				"x.us-east-1.elb.amazonaws.com.", "x.elb.amazonaws.com.", "bucket.s3.amazonaws.com.", "bucket.s3.us-east-1.amazonaws.com.",
				"ec2-192-0-2-1.compute-1.amazonaws.com.", "abc.execute-api.us-east-1.amazonaws.com.",
				"dynamodb.us-east-1.amazonaws.com.", // us-east-1 itself is on the list
				"amazonaws.com.", "notamazonaws.com.", "x.amazonaws.com.evil.example.", ".amazonaws.com.",
			},
		},
		"*.Bank.example.":  {[]string{"a.bank.example.", "a.b.bank.example."}, []string{"bank.example.", "abank.example.", "a.bank.example"}},
		"*.api.shop.co.uk": {[]string{"v1.api.shop.co.uk."}, []string{"shop.co.uk.", "www.shop.co.uk.", "a.co.uk."}},
	} {
		p, err := NewPattern(text, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range c.covered {
			if !p.Covers(n) {
				t.Errorf("%s does not cover %s", text, n)
			}
		}
		for _, n := range c.others {
			if p.Covers(n) {
				t.Errorf("%s covers %s", text, n)
			}
		}
	}
	for _, text := range []string{
		"*.com", "*.co.uk", "*.uk", "*.us-east-1.elb.amazonaws.com", "*.s3.amazonaws.com", "*.github.io", "*.blogspot.com", "*.", "*", "", "bank.example",
		"*.*.example", "a.*.bank.example", "*..bank.example", "*.localhost", "*.local", "*.home.arpa", "*.x.onion", "*.in-addr.arpa", "*.corp",
	} {
		if p, err := NewPattern(text, 10); err == nil {
			t.Errorf("%q was taken: %+v", text, p)
		}
	}
	if _, err := NewPattern("*.bank.example", 0); err == nil {
		t.Error("a pattern of no names was taken")
	}
}

func TestSpecialNames(t *testing.T) {
	for _, name := range []string{
		"localhost.", "a.localhost.", "x.invalid.", "test.", "printer.local.", "abc.onion.", "gw.home.arpa.", "ipv4only.arpa.",
		"_dns.resolver.arpa.", "x.alt.", "1.2.0.192.in-addr.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa.",
	} {
		if Special(name) == "" {
			t.Errorf("%s is special", name)
		}
		if _, err := CheckName(name); err == nil {
			t.Errorf("%s may be listed", name)
		}
	}
	for _, name := range []string{"example.", "latest.", "mylocal.", "local.example.", "xn--bcher-kva.example."} {
		if why := Special(name); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
}

func TestCheckName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for text, want := range map[string]string{
		"API.Example": "api.example.", "api.example.": "api.example.", "_sip.example": "_sip.example.", "a": "a.",
		long + ".example": long + ".example.", strings.Repeat("abcdefg.", 31) + "abcde": strings.Repeat("abcdefg.", 31) + "abcde.",
	} {
		if got, err := CheckName(text); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", ".", "..", "a..b", ".a", "a b", "a\tb", "a/b", "a:53", `a\.b`, "*.a", "a*.b", "a\n", "a\x00b", "bücher.example", "a;b", "a,b", "{", "#a",
		long + "a.example", strings.Repeat("abcdefg.", 32) + "a", "http://a.example",
	} {
		if got, err := CheckName(text); err == nil {
			t.Errorf("%q was taken as %q", text, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	c := Candidate{}
	for i := 1; i <= 10; i++ {
		if got := c.Ask(one); got != (i == 10) {
			t.Errorf("asked %d times: %v", i, got)
		}
	}
	c = Candidate{}
	if c.Ask(one) || !c.Ask(two) {
		t.Error("two clients make a name guarded")
	}
}

func TestMayStand(t *testing.T) {
	for _, c := range []struct {
		kept, standing int
		want           bool
	}{{0, 99, true}, {0, 100, false}, {400, 99, true}, {400, 100, false}, {1000, 249, true}, {1000, 250, false}} {
		if got := MayStand(c.kept, c.standing); got != c.want {
			t.Errorf("%d of %d: %v", c.standing, c.kept, got)
		}
	}
}

func TestBoard(t *testing.T) {
	b := Board{}
	b.Remove("never.example.")
	if b.Any() || b.Has("never.example.") {
		t.Error("an empty board shows something")
	}
	for range 2 {
		b.Add("a.example.")
	}
	b.Remove("a.example.")
	if !b.Any() || !b.Has("A.Example.") || b.Has("b.example.") {
		t.Error("the board lost a name that stands in twice")
	}
	b.Remove("a.example.")
	if b.Any() || b.Has("a.example.") {
		t.Error("the board keeps a name")
	}
	var d Desk
	if d.Guards() != nil {
		t.Error("an empty desk")
	}
	if s := fmt.Sprint((&Kept{}).Usual()); s != "1" {
		t.Error(s)
	}
}
