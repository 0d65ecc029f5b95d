package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	golog "log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/detour-dns/detour/test/kit"
)

// The test binary is also the resolver, for tests that need a process of its
// own: signals end it, and its working folder is another.
const (
	asResolver = "DETOUR_TEST_CORETEXT" // the text of a Corefile: serve it and nothing else
	asFile     = "DETOUR_TEST_COREFILE" // the path of one
	asVictim   = "DETOUR_TEST_VICTIM"   // where it is asked: it crashes once it answers with poison
)

func TestMain(m *testing.M) {
	text, isText := os.LookupEnv(asResolver)
	file, isFile := os.LookupEnv(asFile)
	if !isText && !isFile {
		logged.attach()
		os.Exit(m.Run())
	}
	o := Options{Corefile: file}
	if isText {
		o = Options{Text: []byte(text)}
	}
	if err := ConfigureLog("text", os.Stdout); err != nil {
		panic(err)
	}
	if addr, ok := os.LookupEnv(asVictim); ok {
		go poisoned(addr)
	}
	if err := Run(context.Background(), o); err != nil {
		fmt.Println("resolver:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// logged is what the process logs while tests run.
var logged = &logBuffer{}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) attach() {
	golog.SetFlags(0)
	golog.SetOutput(l)
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

// wait polls until f is true.
func wait(t *testing.T, within time.Duration, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// start serves o until the test ends, with a turn of stock `reload` passed on
// as Run does.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	logged.reset()
	s, err := Start(o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Watch(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", logged)
		}
	})
	return s
}

// write puts a Corefile into a folder of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Corefile")
	rewrite(t, path, text)
	return path
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// says is a server block that answers TXT x. with a word.
func says(port, word, more string) string {
	return fmt.Sprintf(".:%s {\n    bind 127.0.0.1\n    template IN TXT . {\n        answer \"{{ .Name }} 1 IN TXT %s\"\n    }\n%s\n}\n", port, word, more)
}

// txt asks a server for TXT x. and returns the word, or what went wrong.
func txt(network, addr string) string {
	m := new(dns.Msg)
	m.SetQuestion("x.", dns.TypeTXT)
	c := &dns.Client{Net: network, Timeout: 2 * time.Second}
	in, _, err := c.Exchange(m, addr)
	if err != nil {
		return err.Error()
	}
	if len(in.Answer) != 1 {
		return dns.RcodeToString[in.Rcode]
	}
	return strings.Join(in.Answer[0].(*dns.TXT).Txt, "")
}

// freePort is free for udp and tcp on loopback.
func freePort(t *testing.T) string { return kit.FreePort(t) }

// closing closes what a test opened.
func closing(t *testing.T, c io.Closer) {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
}

// hold takes a tcp port.
func hold(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
