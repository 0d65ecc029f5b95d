package failover

import (
	"encoding/hex"
	"testing"

	"github.com/miekg/dns"
)

// TestMalformed holds which questions are answered FORMERR, as they come from the wire,
// and that each one beside them is answered.
func TestMalformed(t *testing.T) {
	f := handler(t, twoRegions, say(dns.RcodeSuccess, "www.test. 1 IN A 192.0.2.1"))
	opt := func(options string) string { // an OPT record in hex
		n := len(options) / 2
		return "00" + "0029" + "04d0" + "00000000" + hex.EncodeToString([]byte{byte(n >> 8), byte(n)}) + options
	}
	const cookie = "000a00080102030405060708"
	for what, c := range map[string]struct {
		extra []string
		bad   bool
	}{
		"no EDNS":                      {nil, false},
		"EDNS":                         {[]string{opt("")}, false},
		"two OPT records":              {[]string{opt(""), opt("")}, true},
		"an OPT record off the root":   {[]string{"0161" + opt("")}, true},
		"a subnet":                     {[]string{opt("0008000700011800c00002")}, false},
		"a subnet and a cookie":        {[]string{opt(cookie + "0008000700011800c00002")}, false},
		"a subnet of no bits":          {[]string{opt("0008000400010000")}, false},
		"family 0, as dig sends it":    {[]string{opt("0008000400000000")}, false},
		"a /23":                        {[]string{opt("0008000700011700c00002")}, false},
		"an IPv6 subnet":               {[]string{opt("0008000b0002380020010db8000000")}, false},
		"stray bits in a /23":          {[]string{opt("0008000700011700c00003")}, true},
		"an octet too many":            {[]string{opt("0008000800011800c0000200")}, true},
		"an octet too many, a cookie":  {[]string{opt("0008000800011800c0000200" + cookie)}, true},
		"an octet too few":             {[]string{opt("0008000600011800c000")}, true},
		"a scope in a question":        {[]string{opt("0008000700011818c00002")}, true},
		"a scope of no bits":           {[]string{opt("0008000400010018")}, true},
		"an address without its bits":  {[]string{opt("0008000700010000c00002")}, true},
		"stray bits in an IPv6 subnet": {[]string{opt("0008000b0002370020010db8000001")}, true},
	} {
		for _, name := range []string{"shop.example.org.", "www.test."} {
			wire, err := question(name, dns.TypeA).Pack()
			if err != nil {
				t.Fatal(err)
			}
			wire[11] = byte(len(c.extra))
			for _, e := range c.extra {
				more, err := hex.DecodeString(e)
				if err != nil {
					t.Fatal(err)
				}
				if len(e) > 4 && e[:4] == "0161" {
					more = append([]byte{1, 'a'}, more[2:]...)
				}
				wire = append(wire, more...)
			}
			r := new(dns.Msg)
			if err := r.Unpack(wire); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			m, _ := ask(t, f, "10.240.0.1", r)
			want := dns.RcodeSuccess
			if c.bad {
				want = dns.RcodeFormatError
			}
			if m == nil || m.Rcode != want || m.Id != r.Id {
				t.Errorf("%s, %s: %v, want %s", what, name, m, dns.RcodeToString[want])
			}
		}
	}
}
