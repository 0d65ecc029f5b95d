package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/detour-dns/detour/test/kit"
)

// A client of the admin API that means harm is refused within limits, and costs
// the answers nothing.
func TestHostileAdminClient(t *testing.T) {
	web, api := kit.FreePort(t), kit.FreePort(t)
	backend(t, "127.0.1.1", web)
	backend(t, "127.0.2.1", web)
	p := start(t, map[string]string{
		"failover.yaml": strings.Replace(shop("DIR", web, ""), `"unix://DIR/admin.sock"`, `"127.0.0.1:`+api+`"`, 1),
		"Corefile":      ".:PORT {\n bind 127.0.0.1\n failover failover.yaml\n}\n",
	})
	p.eventually("the first region is known", func() bool { return p.leads() == "127.0.1.1" })

	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for i := range 1000 { // half say nothing, half begin a body and say no more
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+api, time.Second)
		if err != nil {
			break // the backlog is full, which is a limit as well
		}
		held = append(held, c)
		if i%2 == 0 {
			fmt.Fprintf(c, "POST /v1/probe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{")
		}
	}
	t.Logf("%d connections held", len(held))
	if len(held) < 100 {
		t.Errorf("only %d connections could be opened: nothing was tried", len(held))
	}
	for i := range 200 {
		began := time.Now()
		if got := p.leads(); got != "127.0.1.1" || time.Since(began) > time.Second {
			t.Fatalf("question %d: %q after %v", i, got, time.Since(began))
		}
	}
	for _, c := range held {
		_ = c.Close()
	}
	at := "http://127.0.0.1:" + api
	p.eventually("the API answers again", func() bool { _, code := run(t, p.bin, "status", "--admin", at); return code == 0 })

	for name, text := range map[string]string{
		"huge body":       "PUT /v1/freeze HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n" + strings.Repeat("x", 1<<20),
		"huge header":     "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"huge path":       "GET /v1/" + strings.Repeat("a/", 1<<18) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"path tricks":     "GET /v1/services/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"NUL":             "GET /v1/services/a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"two lengths":     "PUT /v1/freeze HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
		"smuggling":       "PUT /v1/freeze HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"wrong type":      "PUT /v1/freeze HTTP/1.1\r\nHost: localhost\r\nContent-Length: 21\r\n\r\n{\"reason\":{\"a\":[1,2]}}",
		"deep JSON":       deep("PUT /v1/freeze", strings.Repeat("[", 60_000)),
		"YAML that grows": deep("POST /v1/check", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nservices: [*e,*e,*e,*e,*e,*e,*e,*e]\n"),
		"another site":    "PUT /v1/freeze HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}",
		"rebound name":    "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"no HTTP":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"half a request":  "GET /v1/sta",
	} {
		if status := speak(t, api, text); strings.HasPrefix(status, "HTTP/1.1 2") && name != "YAML that grows" || strings.HasPrefix(status, "HTTP/1.1 500") {
			t.Errorf("%s: %q", name, status)
		}
	}
	if out, code := run(t, p.bin, "overrides", "--admin", at); code != 0 || !strings.Contains(out, "no overrides, no freeze") {
		t.Errorf("something was changed: %d %s", code, out)
	}
	if got := p.leads(); got != "127.0.1.1" {
		t.Errorf("answers lead to %q", got)
	}
	if strings.Contains(p.out.String(), "panic") {
		t.Error("the resolver panicked")
	}
}

func deep(line, body string) string {
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", line, len(body), body)
}

// speak sends a text and returns the first line of what comes back, "" if nothing
// does before the server hangs up or two seconds are over.
func speak(t *testing.T, port, text string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only a client
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	go func() { _, _ = io.WriteString(c, text) }()
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	first, _, _ := strings.Cut(string(b[:n]), "\r\n")
	return first
}
