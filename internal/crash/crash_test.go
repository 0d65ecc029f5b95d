package crash

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the program that crashes: only the runtime can say what it
// says of that.
const (
	asVictim = "DETOUR_TEST_CRASH"     // how to end: see end
	asState  = "DETOUR_TEST_CRASH_DIR" // the state directory
	asFile   = "DETOUR_TEST_CRASH_CONFIG"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(asVictim); how != "" {
		end(how, os.Getenv(asState), os.Getenv(asFile))
	}
	os.Exit(m.Run())
}

type victim struct{ list []int }

func (v *victim) third() int { return v.list[2] }

// end ends this process in one of several ways.
func end(how, dir, file string) {
	b, _, err := Open(dir, file, "v1", time.Now())
	if err != nil {
		panic(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	if err := b.Takes(hashOf(data), time.Now()); err != nil {
		panic(err)
	}
	switch how {
	case "panic":
		done := make(chan int)
		go func() { done <- (&victim{}).third() }()
		<-done
	case "text":
		panic("a line\nwith \x1b[31mcolor " + strings.Repeat("x", 10_000))
	case "fatal":
		new(sync.Mutex).Unlock()
	case "dump": // as an operator has it written
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Signal(syscall.SIGQUIT)
		<-time.After(time.Minute)
	case "kill":
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Kill()
		select {}
	case "exit":
		os.Exit(1)
	}
}

// ends runs a process that ends so, and opens the book after it.
func ends(t *testing.T, how, dir, file string) (*Book, *Crash) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asVictim+"="+how, asState+"="+dir, asFile+"="+file)
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("%s: it did not end, or well: %s", how, out)
	}
	return opened(t, dir, file, "v1")
}

func opened(t *testing.T, dir, file, version string) (*Book, *Crash) {
	t.Helper()
	b, last, err := Open(dir, file, version, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, last
}

func yaml(t *testing.T, text string) (path, hash string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "failover.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, hashOf([]byte(text))
}

// TestWhatEndedTheProcess holds that the next process knows what ended the one before
// it, from what the runtime itself says; and that only faults of the program count.
func TestWhatEndedTheProcess(t *testing.T) {
	for how, want := range map[string]struct{ text, where string }{
		"panic": {"panic: runtime error: index out of range [2] with length 0", "internal/crash.(*victim).third, crash_test.go:"},
		"text":  {"panic: a line", "internal/crash.end, crash_test.go:"},
		"fatal": {fatalError, "internal/crash.end, crash_test.go:"},
		"dump":  {},
		"kill":  {},
		"exit":  {},
	} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			file, hash := yaml(t, "one")
			_, last := ends(t, how, dir, file)
			if want.text == "" {
				if last != nil {
					t.Errorf("a crash: %+v", *last)
				}
				return
			}
			switch {
			case last == nil:
				t.Fatal("no crash")
			case last.Text != want.text || !strings.HasPrefix(last.Where, want.where):
				t.Errorf("it says %q at %q", last.Text, last.Where)
			case last.Config != hash || last.Version != "v1" || last.Ran < 0 || last.Ran > time.Minute || time.Since(last.At) > time.Minute:
				t.Errorf("%+v", *last)
			}
			if whole, err := os.ReadFile(last.Report); err != nil || !strings.Contains(string(whole), "goroutine ") {
				t.Errorf("the report: %v\n%s", err, whole)
			}
			if _, again := opened(t, dir, file, "v1"); again != nil {
				t.Error("it is told twice")
			}
		})
	}
}

// TestTwoCrashesSpeakAgainstAConfiguration: one may be a coincidence, and those of
// another version of the program say nothing of this one.
func TestTwoCrashesSpeakAgainstAConfiguration(t *testing.T) {
	dir := t.TempDir()
	file, hash := yaml(t, "one")
	if b, _ := ends(t, "panic", dir, file); len(b.Against(hash)) != 0 {
		t.Error("one is enough")
	}
	b, _ := ends(t, "panic", dir, file)
	if got := b.Against(hash); len(got) != 2 {
		t.Errorf("after two: %+v", got)
	}
	if len(b.Against(hashOf([]byte("two")))) != 0 {
		t.Error("they speak against another one")
	}
	if b, _ := opened(t, dir, file, "v2"); len(b.Against(hash)) != 0 {
		t.Error("another version does not try it")
	}
}

// TestWhatRanWellIsKept: ten minutes in use are enough, and what crashed before in
// them was something else.
func TestWhatRanWellIsKept(t *testing.T) {
	dir := t.TempDir()
	file, hash := yaml(t, "one")
	ends(t, "panic", dir, file)
	b, _ := ends(t, "panic", dir, file)
	now := time.Now()
	if err := b.Takes(hash, now); err != nil {
		t.Fatal(err)
	}
	if _, early := b.Passed(now.Add(Trial - time.Second)); early {
		t.Error("too early")
	}
	if _, err := b.Good(); err == nil {
		t.Error("there is one before its trial is over")
	}
	got, ok := b.Passed(now.Add(Trial))
	if _, again := b.Passed(now.Add(Trial)); !ok || got != hash || again {
		t.Errorf("passed: %v %v, again %v", got, ok, again)
	}
	if err := b.RanWell(hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	b, _ = opened(t, dir, file, "v1")
	if data, err := b.Good(); err != nil || string(data) != "one" || len(b.Against(hash)) != 0 {
		t.Errorf("kept %q, %v, against it %v", data, err, b.Against(hash))
	}
	if _, _, err := ReadGood(dir, file+"2"); err == nil {
		t.Error("it is that of another file as well")
	}
	otherHash := hashOf([]byte("two"))
	if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Takes(otherHash, now); err != nil {
		t.Fatal(err)
	}
	if data, _ := b.Good(); string(data) != "one" {
		t.Errorf("on trial, and kept already: %q", data)
	}
}

// TestAFileThatChangedIsNotKept: what is gone back to must be what ran.
func TestAFileThatChangedIsNotKept(t *testing.T) {
	dir := t.TempDir()
	file, hash := yaml(t, "one")
	b, _ := opened(t, dir, file, "v1")
	if err := os.WriteFile(file, []byte("edited meanwhile"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Takes(hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.RanWell(hash, time.Now()); err != nil {
		t.Fatal(err)
	}
	if data, err := b.Good(); err == nil {
		t.Errorf("kept %q", data)
	}
}

// TestADamagedBook holds that whatever is in the directory costs what it says, never
// the start.
func TestADamagedBook(t *testing.T) {
	for name, break_ := range map[string]func(t *testing.T, dir string){
		"history is no JSON":    func(t *testing.T, dir string) { put(t, dir, historyFile, "?") },
		"history is of others":  func(t *testing.T, dir string) { put(t, dir, historyFile, `{"crashes": [{"at": 3}]}`) },
		"good is another":       func(t *testing.T, dir string) { put(t, dir, goodFile, "two") },
		"good is cut":           func(t *testing.T, dir string) { put(t, dir, goodFile, "on") },
		"output is anything":    func(t *testing.T, dir string) { put(t, dir, outputFile, "\x00\xff\n\n(((\npanic") },
		"output is a directory": func(t *testing.T, dir string) { folder(t, dir, outputFile) },
		"good is a directory":   func(t *testing.T, dir string) { folder(t, dir, goodFile) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, hash := yaml(t, "one")
			b, _ := opened(t, dir, file, "v1")
			if err := b.Takes(hash, time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := b.RanWell(hash, time.Now()); err != nil {
				t.Fatal(err)
			}
			_ = b.Close()
			break_(t, filepath.Join(dir, Dir))
			b, last, err := Open(dir, file, "v1", time.Now())
			if last != nil {
				t.Errorf("a crash: %+v", *last)
			}
			if err != nil && b != nil {
				t.Errorf("a book, and %v", err)
			}
			if data, err := b.Good(); err == nil && string(data) != "one" {
				t.Errorf("good is %q", data)
			}
			if err := b.Takes(hash, time.Now()); err != nil {
				t.Error(err)
			}
			_ = b.Close()
		})
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	_ = os.Remove(path)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestReportsAreFew: a program that crashes all night fills no disk.
func TestReportsAreFew(t *testing.T) {
	dir := t.TempDir()
	var b *Book
	for i := range 20 {
		put(t, mustDir(t, dir), outputFile, takenLine("h", "v1", time.Now())+fmt.Sprintf("panic: %d\n", i))
		b, _ = opened(t, dir, "", "v1")
	}
	all, _ := filepath.Glob(b.path(reports))
	if len(all) != maxReports || len(b.history.Crashes) != maxCrashes || b.history.Crashes[maxCrashes-1].Text != "panic: 19" {
		t.Errorf("%d reports, %d crashes", len(all), len(b.history.Crashes))
	}
}

func mustDir(t *testing.T, dir string) string {
	t.Helper()
	dir = filepath.Join(dir, Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestManyEditsFillNoDisk: and the last one is what a crash is laid to.
func TestManyEditsFillNoDisk(t *testing.T) {
	dir := t.TempDir()
	b, _ := opened(t, dir, "", "v1")
	last := ""
	for i := range 2000 {
		last = fmt.Sprintf("%064d", i)
		if err := b.Takes(last, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(b.path(outputFile))
	if err != nil || len(data) > maxTaken+1000 || parse(append(data, "panic: x\n"...)).config != last {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// TestABookThatEndsLeavesAnotherAlone: a process may have two.
func TestABookThatEndsLeavesAnotherAlone(t *testing.T) {
	first, _ := opened(t, t.TempDir(), "", "v1")
	second, _ := opened(t, t.TempDir(), "", "v1")
	_ = first.Close()
	if noting.Load() != second {
		t.Error("nobody notes this process's end")
	}
	_ = second.Close()
	if noting.Load() != nil {
		t.Error("a book that is closed does")
	}
}

// FuzzReport holds that whatever is in the file is read, and that what is shown of it
// is one short printable line.
func FuzzReport(f *testing.F) {
	f.Add([]byte(takenLine("abc", "v1", time.Unix(1, 0)) + "panic: x\n\ngoroutine 1 [running]:\ngithub.com/detour-dns/detour/a.B(0x1)\n\t/a/b.go:12 +0x1\n"))
	f.Add([]byte("SIGQUIT: quit\nPC=0x1\n\ngoroutine 0\n"))
	f.Add([]byte("fatal error: all goroutines are asleep - deadlock!\ngithub.com/detour-dns/detour/"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := parse(data)
		for _, s := range []string{r.config, r.version, r.text, r.where} {
			if s != clean(s) || len([]rune(s)) > maxText {
				t.Errorf("shown: %q", s)
			}
		}
		if r.text == "" && r.where != "" {
			t.Errorf("no crash, and yet at %q", r.where)
		}
	})
}
