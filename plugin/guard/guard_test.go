package guard

import (
	"testing"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
)

const api = "api.cloud.example."

const plainConf = "guard api.cloud.example {\n state off\n proof age\n}"

// TestAnEmptiedNameStays is the outage that this plugin exists for: the record is
// emptied while the machines are well.
func TestAnEmptiedNameStays(t *testing.T) {
	for word, broken := range map[string]func(*dns.Msg) *dns.Msg{
		"nodata": nodata, "nxdomain": nxdomain, "servfail": servfail, "timeout": nil,
	} {
		t.Run(word, func(t *testing.T) {
			inWorld(t, plainConf, func(w *world) {
				good := has(api+" 5 IN A 192.0.2.1", api+" 5 IN A 192.0.2.2")
				w.below.set(api+" A", good)
				w.learn(api, time.Minute)
				w.below.set(api+" A", broken)
				for range 60 {
					begun := time.Now()
					m := w.ask(api, dns.TypeA)
					w.want(m, dns.RcodeSuccess, "192.0.2.1", "192.0.2.2")
					if d := time.Since(begun); d > patience {
						t.Fatalf("the client waited %v", d)
					}
					if ttl := m.Answer[0].Header().Ttl; ttl != 15 || m.Authoritative {
						t.Fatalf("TTL %d, AA %v", ttl, m.Authoritative)
					}
					wait(5 * time.Second)
				}
				w.below.set(api+" A", good)
				wait(recheck + askTime)
				if m := w.ask(api, dns.TypeA); m.Answer[0].Header().Ttl != 5 {
					t.Fatalf("not the truth after the repair: %v", m)
				}
			})
		})
	}
}

// TestUnprovenNamesAreLetGo holds that what proves nothing stands in for a quarter
// of an hour only.
func TestUnprovenNamesAreLetGo(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nxdomain)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		wait(15*time.Minute + time.Second)
		m := w.ask(api, dns.TypeA)
		w.want(m, dns.RcodeNameError)
		if soa := m.Ns[0].(*dns.SOA); soa.Minttl > 15 || soa.Hdr.Ttl > 15 {
			t.Fatalf("the negative answer may be cached for %d s", soa.Minttl)
		}
	})
}

// TestOurRefusalIsNoFailure holds that a name is well of which we did not ask
// because too many wait: it is answered with what is kept, at any time, over any
// transport, and nothing is said of it; and that its own failure is one all the same.
func TestOurRefusalIsNoFailure(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.crowded(true)
		for range 60 {
			m := w.ask(api, dns.TypeA)
			w.want(m, dns.RcodeSuccess, "192.0.2.1")
			if m.Answer[0].Header().Ttl != 15 {
				t.Fatalf("not what is kept: %v", m)
			}
			if _, failing := w.g.table.entry(api).state(); failing || w.g.table.entry(api).standing.Load() {
				t.Fatal("it is said to fail")
			}
			wait(time.Minute)
		}
		w.want(w.via(&test.ResponseWriter{TCP: true}, new(dns.Msg).SetQuestion(api, dns.TypeA)), dns.RcodeSuccess, "192.0.2.1")
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeRefused) // of which nothing is kept
		w.below.crowded(false)
		if m := w.ask(api, dns.TypeA); m.Answer[0].Header().Ttl != 5 {
			t.Fatalf("not the truth when there is room: %v", m)
		}
		w.below.set(api+" A", servfail)
		w.ask(api, dns.TypeA)
		w.below.crowded(true)
		wait(16 * time.Minute)
		w.want(w.ask(api, dns.TypeA), dns.RcodeRefused) // let go: it proved nothing
	})
}

// TestOneForgedAnswerIsNotKept holds that an address must have been seen three
// times over a minute.
func TestOneForgedAnswerIsNotKept(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.66"))
		w.ask(api, dns.TypeA)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess)
	})
}

// TestOthersAreNotTouched holds that names that are not guarded, and questions
// that ask for the truth, get it.
func TestOthersAreNotTouched(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		for name, edit := range map[string]func(*dns.Msg){
			"another name": func(r *dns.Msg) { r.Question[0].Name = "www.cloud.example." },
			"CD":           func(r *dns.Msg) { r.CheckingDisabled = true },
			"no RD":        func(r *dns.Msg) { r.RecursionDesired = false },
			"a subnet": func(r *dns.Msg) {
				r.SetEdns0(1232, false)
				r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}}
			},
		} {
			r := new(dns.Msg)
			r.SetQuestion(api, dns.TypeA)
			edit(r)
			m := w.send(r)
			w.want(m, dns.RcodeSuccess)
			if soa := m.Ns[0].(*dns.SOA); soa.Minttl != 900 {
				t.Errorf("%s: the reply was changed: %v", name, m)
			}
		}
	})
}

// TestAWithdrawnFamilyIsBelieved holds that an empty answer for one family is a
// change when the name's own servers still answer for the other.
func TestAWithdrawnFamilyIsBelieved(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.below.set(api+" AAAA", has(api+" 5 IN AAAA 2001:db8::1"))
		for range 4 {
			w.ask(api, dns.TypeA)
			w.ask(api, dns.TypeAAAA)
			wait(30 * time.Second)
		}
		w.below.set(api+" AAAA", nodata)
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeSuccess)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")

		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeSuccess)
	})
}

// TestACachedOtherFamilyIsNoEvidence holds that a family is not given up because
// a cache on the way still knows the other one.
func TestACachedOtherFamilyIsNoEvidence(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 60 IN A 192.0.2.1"))
		w.below.set(api+" AAAA", has(api+" 60 IN AAAA 2001:db8::1"))
		for range 4 {
			w.ask(api, dns.TypeA)
			w.ask(api, dns.TypeAAAA)
			wait(30 * time.Second)
		}
		w.below.set(api+" A", nodata)
		w.below.set(api+" AAAA", has(api+" 17 IN AAAA 2001:db8::1"))
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.below.set(api+" AAAA", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeSuccess, "2001:db8::1")
	})
}

// TestOtherTypesDoNotDenyTheName holds that while a name stands in, NXDOMAIN for
// another of its types, or for a name above it, becomes NODATA.
func TestOtherTypesDoNotDenyTheName(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		for _, key := range []string{api + " A", api + " AAAA", api + " HTTPS", "cloud.example. TXT", "other.example. TXT"} {
			w.below.set(key, nxdomain)
		}
		w.want(w.ask("cloud.example.", dns.TypeTXT), dns.RcodeNameError)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1")
		for name, qtype := range map[string]uint16{api: dns.TypeHTTPS, "cloud.example.": dns.TypeTXT} {
			m := w.ask(name, qtype)
			w.want(m, dns.RcodeSuccess)
			if soa := m.Ns[0].(*dns.SOA); soa.Minttl > 15 {
				t.Errorf("%s may be cached for %d s", name, soa.Minttl)
			}
		}
		w.want(w.ask(api, dns.TypeAAAA), dns.RcodeSuccess)
		w.want(w.ask("other.example.", dns.TypeTXT), dns.RcodeNameError)
	})
}

// TestTheChainComesFirst holds the order of RFC 1034: CNAME before its target.
func TestTheChainComesFirst(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		w.below.set(api+" A", has(api+" 300 IN CNAME Edge.cdn.example.", "edge.cdn.example. 20 IN CNAME pop7.cdn.example.", "pop7.cdn.example. 5 IN A 192.0.2.1"))
		w.learn(api, time.Minute)
		w.below.set(api+" A", has(api+" 300 IN CNAME edge.cdn.example."))
		r := new(dns.Msg)
		r.SetQuestion("API.cloud.example.", dns.TypeA)
		w.below.set("API.cloud.example. A", w.below.says[api+" A"])
		m := w.send(r)
		if len(m.Answer) != 3 || m.Answer[0].Header().Name != "API.cloud.example." || m.Answer[2].Header().Name != "pop7.cdn.example." {
			t.Fatalf("answer %v", m.Answer)
		}
		for _, rr := range m.Answer {
			if rr.Header().Ttl != 15 {
				t.Errorf("TTL %d", rr.Header().Ttl)
			}
		}
	})
}

// TestCutShort holds that a reply which is cut short goes to a client over UDP, who asks
// again, and fails the name over TCP, where nobody can: whatever it seems to say.
func TestCutShort(t *testing.T) {
	good := has(api + " 5 IN A 192.0.2.1")
	for name, f := range map[string]func(*dns.Msg) *dns.Msg{"nodata": nodata, "nxdomain": nxdomain, "addresses": has(api + " 5 IN A 192.0.2.66"), "servfail": servfail} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, plainConf, func(w *world) {
				w.below.set(api+" A", good)
				w.learn(api, time.Minute)
				cut := func(r *dns.Msg) *dns.Msg { m := f(r); m.Truncated = true; return m }
				w.below.set(api+" A", cut)
				if m := w.ask(api, dns.TypeA); !m.Truncated {
					t.Errorf("over UDP: %v", m)
				}
				r := new(dns.Msg)
				r.SetQuestion(api, dns.TypeA)
				m := w.via(&test.ResponseWriter{TCP: true}, r)
				if w.want(m, dns.RcodeSuccess, "192.0.2.1"); m.Truncated {
					t.Errorf("over TCP: %v", m)
				}
				wait(2 * recheck)
				w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "192.0.2.1") // its own questions did not take it for well
				if list, _ := w.at.Report(0); len(list) != 1 || list[0].Failing != "servfail for IPv4" {
					t.Errorf("%+v", list)
				}
			})
		})
	}
}

// TestAVPNsViewComesAndGoes holds that while a VPN is up its private answers stand in
// once they are the usual ones, and the public ones when it is down again: never the
// other view's, and never a private one that came once.
func TestAVPNsViewComesAndGoes(t *testing.T) {
	inWorld(t, plainConf, func(w *world) {
		in, out := has(api+" 5 IN A 10.0.0.1"), has(api+" 5 IN A 192.0.2.1")
		outage := func(ip string) {
			w.Helper()
			w.below.set(api+" A", nodata)
			w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, ip)
			wait(time.Minute)
		}
		w.below.set(api+" A", out)
		w.learn(api, 2*time.Minute)
		w.below.set(api+" A", in)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "10.0.0.1") // the truth, but not kept
		outage("192.0.2.1")
		w.below.set(api+" A", in)
		wait(4 * recheck) // it is asked in the background until it is believed
		w.learn(api, 2*time.Minute)
		outage("10.0.0.1")
		w.below.set(api+" A", out)
		wait(4 * recheck)
		w.learn(api, 2*time.Minute)
		outage("192.0.2.1")
		w.below.set(api+" A", in)
		w.learn(api, 3*time.Hour)
		w.below.set(api+" A", nodata)
		w.want(w.ask(api, dns.TypeA), dns.RcodeSuccess, "10.0.0.1")
		if list, _ := w.at.Report(1000); len(list[0].Members) != 1 {
			t.Errorf("the public ones are still kept: %+v", list[0].Members)
		}
	})
}
