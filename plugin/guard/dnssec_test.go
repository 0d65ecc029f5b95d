package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// rrsig is a signature over the A set of api that is valid for so long from now.
func rrsig(valid time.Duration) string {
	const form = "20060102150405"
	now := time.Now().UTC()
	return fmt.Sprintf("%s 5 IN RRSIG A 13 3 5 %s %s 1 cloud.example. AAAA", api, now.Add(valid).Format(form), now.Add(-time.Hour).Format(form))
}

// secured asks with DO.
func (w *world) secured() *dns.Msg {
	w.Helper()
	r := new(dns.Msg)
	r.SetQuestion(api, dns.TypeA)
	r.SetEdns0(1232, true)
	return w.send(r)
}

// signatures counts the RRSIGs of a reply.
func signatures(m *dns.Msg) (n int) {
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			n++
		}
	}
	return n
}

// learnSigned makes a signed name known, by questions with DO and without.
func (w *world) learnSigned(valid time.Duration) {
	sig := rrsig(valid)
	w.below.set(api+" A", func(r *dns.Msg) *dns.Msg {
		m := has(api + " 5 IN A 192.0.2.1")(r)
		m.AuthenticatedData = true
		if opt := r.IsEdns0(); opt != nil && opt.Do() {
			m = has(api+" 5 IN A 192.0.2.1", sig)(r)
			m.SetEdns0(1232, true)
		}
		return m
	})
	for range 4 {
		w.ask(api, dns.TypeA)
		w.secured()
		wait(20 * time.Second)
	}
}

// TestSignedNames holds what those get who ask for signatures: the kept answer with
// its own while these are valid, else the truth; never a signature over something
// else.
func TestSignedNames(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.learnSigned(10 * time.Minute)
		w.below.set(api+" A", nodata)
		m := w.secured()
		w.want(m, dns.RcodeSuccess, "192.0.2.1")
		if signatures(m) != 1 || m.AuthenticatedData {
			t.Errorf("%d signatures, AD %v", signatures(m), m.AuthenticatedData)
		}
		m = w.ask(api, dns.TypeA)
		w.want(m, dns.RcodeSuccess, "192.0.2.1")
		if signatures(m) != 0 {
			t.Error("a signature for one who did not ask for it")
		}
		wait(9 * time.Minute) // the signature is over, the name may still stand in
		w.want(w.secured(), dns.RcodeSuccess)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
	})
}

// TestSignedNamesWithoutKeptSignatures holds that who asks for signatures of a
// signed name gets the truth where none were kept.
func TestSignedNamesWithoutKeptSignatures(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", func(r *dns.Msg) *dns.Msg {
			m := has(api + " 5 IN A 192.0.2.1")(r)
			m.AuthenticatedData = true
			return m
		})
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		w.want(w.secured(), dns.RcodeSuccess)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
	})
}

// TestUnsignedNames holds that DO changes nothing for a name that is not signed.
func TestUnsignedNames(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		m := w.secured()
		w.want(m, dns.RcodeSuccess, "192.0.2.1")
		opt := m.IsEdns0()
		if opt == nil || len(opt.Option) != 1 || opt.Option[0].(*dns.EDNS0_EDE).InfoCode != dns.ExtendedErrorCodeStaleAnswer {
			t.Errorf("no extended error 3: %v", m)
		}
	})
}

// bogusReply is what a validating upstream says of broken signatures.
func bogusReply(r *dns.Msg) *dns.Msg {
	m := servfail(r)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus}}
	return m
}

// TestBogusIsNotMasked holds that broken signatures are passed on as they are,
// with their extended error, unless a guard is told to bridge them: then only with
// kept signatures that are still valid.
func TestBogusIsNotMasked(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.learnSigned(10 * time.Minute)
		w.below.set(api+" A", bogusReply)
		m := w.ask(api, dns.TypeA)
		if opt := m.IsEdns0(); m.Rcode != dns.RcodeServerFailure || opt == nil || len(opt.Option) != 1 {
			t.Errorf("masked: %v", m)
		}
	})
	inWorld(t, "guard api.cloud.example {\n state off\n proof age\n on bogus\n}", func(w *world) {
		w.learnSigned(10 * time.Minute)
		w.below.set(api+" A", bogusReply)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		wait(9 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeServerFailure)
	})
}

// TestSecondHandIsNotLearned holds that an answer that is stale, forged or for one
// network is passed on and not kept.
func TestSecondHandIsNotLearned(t *testing.T) {
	for name, option := range map[string]dns.EDNS0{
		"stale":  &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer},
		"forged": &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeForgedAnswer},
		"scoped": &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, SourceScope: 24, Address: []byte{192, 0, 2, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, plainConf, func(w *world) {
				w.below.set(api+" A", func(r *dns.Msg) *dns.Msg {
					m := has(api + " 5 IN A 192.0.2.66")(r)
					m.SetEdns0(1232, false)
					m.IsEdns0().Option = []dns.EDNS0{option}
					return m
				})
				w.learn(api, time.Minute)
				w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.66")
				w.below.set(api+" A", nodata)
				w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
			})
		})
	}
}
