package demo

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// screen is what the audience sees. It calls on at each write.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
	on  func(text string)
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf.Write(b)
	if s.on != nil {
		s.on(string(b))
	}
	return len(b), nil
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// quick is the story in a few seconds, with everything of its own.
func quick(t *testing.T, out *screen) Options {
	t.Helper()
	const ms = time.Millisecond
	t.Setenv("TMPDIR", t.TempDir())
	return Options{Out: out, Clients: 60, Admin: "unix://" + t.TempDir() + "/a.sock", Pace: Pace{
		Interval: 300 * ms, Timeout: 250 * ms, Confirm: 300 * ms, Calm: 500 * ms, Away: 500 * ms,
		Failback: 500 * ms, Step: time.Second, Row: 250 * ms, Ask: 200 * ms, Limit: 60 * time.Second,
	}}
}

// needLoopback skips where 127.0.1.1 is no address.
func needLoopback(t *testing.T) {
	t.Helper()
	r, err := openRegions("a", "b", "c")
	if err != nil {
		t.Skip(err)
	}
	for _, x := range r {
		_ = x.close()
	}
}

// nothingLeft holds that the demo removed its files and ended its goroutines.
func nothingLeft(t *testing.T, goroutines int) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("files left behind: %v %v", left, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for runtime.NumGoroutine() > goroutines {
		select {
		case <-tick.C:
		case <-deadline:
			buf := make([]byte, 1<<20)
			t.Fatalf("goroutines left behind: %d, were %d\n%s", runtime.NumGoroutine(), goroutines, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestTheStory(t *testing.T) {
	needLoopback(t)
	var out screen
	o := quick(t, &out)
	before := runtime.NumGoroutine()
	if err := Run(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, out.text())
	}
	nothingLeft(t, before)
	rest := out.text()
	for _, milestone := range []string{
		`dig @127\.0\.0\.1 -p \d+ shop\.example\.org`,
		`time  aws/us-east-1 +gcp/europe-west1 +azure/westeurope +TTL`,
		`up +100 %  +up +0 %  +up +0 % +2 s\n`,
		`aws/us-east-1 is now cut off`,
		`confirming`,
		`3 failed probes: aws/us-east-1 is down \(timeout\)`,
		`answers moved to gcp/europe-west1, \d+\.\d s after the cut`,
		`down +0 %  +up +100 %`,
		`aws/us-east-1 answers again`,
		`aws/us-east-1 is healthy again; hold-down and failback: 0\.5 s`,
		`ramp 10 %`,
		`ramp 50 %`,
		`100 %: everybody is back at aws/us-east-1`,
		`From the cut to the last answer with the dead region: \d+\.\d s \(\d+ answers\)\.\n`,
		`Answers in all: \d+\. Answers that failed: 0\.\n$`,
	} {
		at := regexp.MustCompile(milestone).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("the story lacks %q, or not in this order:\n%s", milestone, out.text())
		}
		rest = rest[at[1]:]
	}
}

func TestStopped(t *testing.T) {
	needLoopback(t)
	for _, when := range []string{"Three regions", "TTL", "cut off"} {
		t.Run(when, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := screen{on: func(text string) {
				if strings.Contains(text, when) {
					cancel()
				}
			}}
			o := quick(t, &out)
			before := runtime.NumGoroutine()
			if err := Run(ctx, o); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v\n%s", err, out.text())
			}
			nothingLeft(t, before)
			if !strings.HasSuffix(out.text(), "Stopped. Nothing is left behind.\n") {
				t.Errorf("last words:\n%s", out.text())
			}
		})
	}
}

func TestTakenPort(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text := split(taken.LocalAddr().String())
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := freePort(port); err != nil || got == port || got == 0 {
		t.Errorf("of a taken port: got %d, %v, want another one", got, err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNoSuchAddress(t *testing.T) {
	err := regionError(&os.SyscallError{Syscall: "bind", Err: syscall.EADDRNOTAVAIL})
	if !strings.Contains(err.Error(), "ifconfig lo0 alias") {
		t.Errorf("got %v", err)
	}
}

// TestTheStoryAgain holds that with Loop the region dies again, in the same story.
func TestTheStoryAgain(t *testing.T) {
	needLoopback(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cuts := 0
	out := screen{on: func(text string) {
		if strings.Contains(text, "is now cut off") {
			if cuts++; cuts == 2 {
				stop()
			}
		}
	}}
	o := quick(t, &out)
	o.Loop, o.Command = true, "/opt/resolver"
	if err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err, "\n", out.text())
	}
	for _, want := range []string{"/opt/resolver status --admin ", "Times are short here", "Answers that failed: 0."} {
		if !strings.Contains(out.text(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.text())
		}
	}
}
