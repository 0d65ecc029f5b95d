package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// storm is clients that ask for ever new names and never wait for an answer, as
// search lists and retries make them do when their DNS fails.
type storm struct {
	stop chan struct{}
	wg   sync.WaitGroup
}

// beginStorm asks about rate questions a second over UDP.
func beginStorm(p *process, rate int) *storm {
	p.t.Helper()
	s := &storm{stop: make(chan struct{})}
	const sockets, tick = 4, 10 * time.Millisecond
	each := rate / sockets / int(time.Second/tick)
	for i := range sockets {
		c, err := net.Dial("udp", "127.0.0.1:"+p.port)
		if err != nil {
			p.t.Fatal(err)
		}
		s.wg.Go(func() {
			defer c.Close() //nolint:errcheck // nothing is read from it
			t := time.NewTicker(tick)
			defer t.Stop()
			for n := 0; ; {
				select {
				case <-s.stop:
					return
				case <-t.C:
				}
				for range each {
					n++
					m, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.s%d.storm.example.", n, i), dns.TypeA).Pack()
					if err == nil {
						_, _ = c.Write(m)
					}
				}
			}
		})
	}
	return s
}

func (s *storm) end() { close(s.stop); s.wg.Wait() }

// dying answers what it is asked until it is dead; then it takes questions and says
// nothing.
func dying(t *testing.T, dead *atomic.Bool) (at string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		if dead.Load() {
			return
		}
		m := new(dns.Msg).SetReply(r)
		m.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 3600}, A: net.IPv4(127, 0, 9, 9),
		}}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { _ = srv.Shutdown() })
	return c.LocalAddr().String()
}

// TestAStormWhileUpstreamsAreSilent: a region's DNS is dead, and its clients ask
// again and again for names that only it knows. The resolver has the memory of a
// cluster's DNS pod, and a Corefile that bounds nothing. It lives, answers for
// services, from its cache and for names whose servers are well, sees a service
// fail, and says what goes on.
func TestAStormWhileUpstreamsAreSilent(t *testing.T) {
	var dead atomic.Bool
	web := kit.FreePort(t)
	first := backend(t, aws, web)
	backend(t, gcp, web)
	var never atomic.Bool
	corefile := ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n cache 3600\n" +
		" forward well.example " + dying(t, &never) + "\n forward . " + dying(t, &dead) + "\n}\n"
	p := startIn(t, container(t, 170), map[string]string{"failover.yaml": shop("DIR", web, ""), "Corefile": corefile})
	p.write("Corefile", corefile+"# what a reload makes is bounded as well\n")
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	p.eventually("it reloads", func() bool { return strings.Contains(p.out.String(), "Reloaded ") })
	p.eventually("checks pass", func() bool { out, _ := p.resolver("status"); return strings.Contains(out, "2 of 2 checks up") })
	known := func() bool { m := p.ask("known.example.", dns.TypeA); return m != nil && len(m.Answer) == 1 }
	p.eventually("other names are answered", known)

	dead.Store(true)
	s := beginStorm(p, 4000)
	defer s.end()
	services := begin(p, 100)
	<-time.After(8 * time.Second) // without the bound it is killed after four
	p.eventually("the cache answers", known)
	services.end()
	news := 0 // names that nobody has asked for before
	for i := range 50 {
		if m := p.ask(fmt.Sprintf("n%d.well.example.", i), dns.TypeA); m != nil && len(m.Answer) == 1 {
			news++
		}
	}
	if news < 45 {
		t.Errorf("of 50 names whose servers are well %d are answered", news)
	}
	// A burst overflows the socket's buffer now and then; clients ask twice.
	if asked, lost := services.asked.Load(), services.lost.Load(); lost*20 > asked || services.wrong.Load() > 0 || asked < 200 {
		t.Errorf("of %d questions for the service %d were lost and %d answered wrongly", asked, lost, services.wrong.Load())
	}
	_ = first.Close()
	p.eventually("the service moves", func() bool { return p.leads() == gcp })
	p.say(0, "questions for names that are no services are refused: ", "events")
	out, code := p.resolver("status")
	if !strings.Contains(out, "for upstreams that answer too slowly or not at all; many are for names below s") {
		t.Errorf("status says, with code %d:\n%s", code, out)
	}

	p.again(syscall.SIGKILL) // the storm goes on
	p.eventually("after a crash it answers what it answered", func() bool { return p.leads() == gcp })
	<-time.After(4 * time.Second)
	p.eventually("and goes on", func() bool { return p.leads() == gcp })
}
