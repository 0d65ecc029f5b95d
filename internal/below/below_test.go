package below

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
)

// TestAskGoesByUDPFirst holds that a question of our own goes the way that is open
// everywhere, and by TCP where that is not enough.
func TestAskGoesByUDPFirst(t *testing.T) {
	var asked []string
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		asked = append(asked, w.RemoteAddr().Network())
		m := new(dns.Msg).SetReply(r)
		_, isUDP := w.RemoteAddr().(*net.UDPAddr)
		m.Truncated = isUDP && r.Question[0].Name == "large.example."
		_ = w.WriteMsg(m)
		return 0, nil
	})
	for name, want := range map[string]string{"small.example.": "udp", "large.example.": "udp tcp"} {
		asked = nil
		m, err := Ask(t.Context(), next, Question(name, dns.TypeA, false))
		if err != nil || m.Truncated || strings.Join(asked, " ") != want {
			t.Errorf("%s: asked %v, %v, %v", name, asked, m, err)
		}
	}
}

// TestAskSurvivesTheChain holds that what the plugins below do wrong is an error.
func TestAskSurvivesTheChain(t *testing.T) {
	boom := errors.New("boom")
	for want, f := range map[string]plugin.HandlerFunc{
		"panicked": func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { panic("oh") },
		"no reply": func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { return 0, nil },
		"boom":     func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { return 2, boom },
	} {
		if _, err := Ask(t.Context(), f, Question("a.example.", dns.TypeA, false)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	wire := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		b, _ := new(dns.Msg).SetReply(r).Pack()
		_, err := w.Write(b)
		return 0, err
	})
	if m, err := Ask(t.Context(), wire, Question("a.example.", dns.TypeA, false)); err != nil || !m.Response {
		t.Errorf("a reply in wire format: %v, %v", m, err)
	}
}
