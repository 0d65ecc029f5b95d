package guard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	"github.com/detour-dns/detour/internal/guard"
	"github.com/detour-dns/detour/internal/state"
)

// diskConf keeps what is learned in a directory.
func diskConf(dir string) string {
	return fmt.Sprintf("guard api.cloud.example {\n state %s\n proof age\n}", dir)
}

// known fills the file of a directory with one name that was well a moment ago.
func known(t *testing.T, dir string, bucket state.Bucket, ip string) {
	t.Helper()
	s, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test's
	now := guard.At(time.Now())
	n := guard.Name{V4: guard.Kept{
		Members: []guard.Member{{IP: addr(t, ip), First: now.Add(-time.Hour), Last: now, Times: 3}}, Good: now, TTL: 5,
	}}
	if err := s.Write(state.Record{Bucket: bucket, Key: ".:53/ " + api, Value: n}); err != nil {
		t.Fatal(err)
	}
}

// restarted returns what a process that starts with this directory, while the
// name fails, answers.
func restarted(t *testing.T, dir string) *dns.Msg {
	t.Helper()
	s := newScript()
	s.set(api+" A", nodata)
	w := newWorld(t, diskConf(dir), s)
	defer office.leave()
	r := new(dns.Msg)
	r.SetQuestion(api, dns.TypeA)
	c := &client{ResponseWriter: &test.ResponseWriter{}, got: make(chan *dns.Msg, 2)}
	if _, err := w.g.ServeDNS(context.Background(), c, r); err != nil {
		t.Fatal(err)
	}
	return <-c.got
}

// answers returns the addresses in a reply.
func answers(m *dns.Msg) (out []string) {
	for _, rr := range m.Answer {
		if ip, ok := address(rr); ok {
			out = append(out, ip.String())
		}
	}
	return out
}

// TestARestartInTheOutage holds that a process that starts while the name fails
// answers from its disk.
func TestARestartInTheOutage(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	if got := answers(restarted(t, dir)); len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("answered %v", got)
	}
	if got := answers(restarted(t, dir)); len(got) != 1 { // the failure was kept too
		t.Errorf("the next start answered %v", got)
	}
	if info, err := os.Stat(filepath.Join(dir, state.GuardFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestDamageIsSetAside holds that a file that is not ours costs memory of the past
// and not the start.
func TestDamageIsSetAside(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	path := filepath.Join(dir, state.GuardFile)
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	if got := answers(restarted(t, dir)); len(got) != 0 {
		t.Errorf("answered %v from a damaged file", got)
	}
	if aside, _ := filepath.Glob(path + ".bad-*"); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

// TestDamageCostsHours holds that in the place of a damaged file its copy is used,
// that a name which was dropped is not in it, and that a copy that is damaged as well
// costs memory only.
func TestDamageCostsHours(t *testing.T) {
	const gone = "gone.cloud.example."
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.1")
	write(t, dir, state.Record{Bucket: state.Guarded, Key: ".:53/ " + gone, Value: stored(t, dir, state.Guarded)[".:53/ "+api]})
	conf := strings.Replace(diskConf(dir), "guard ", "guard "+gone+" ", 1)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, conf, newScript())
		wait(2 * saveEvery)
		if !w.at.Forget(gone) {
			t.Error("nothing was known of it")
		}
		wait(2 * copySoon)
		w.end()
	})
	path := filepath.Join(dir, state.GuardFile)
	for _, damaged := range []bool{false, true} {
		if err := os.Truncate(path, 5000); err != nil {
			t.Fatal(err)
		}
		if damaged {
			if err := os.Truncate(path+".copy", 6000); err != nil {
				t.Fatal(err)
			}
		}
		want := 1
		if damaged {
			want = 0
		}
		if got := answers(restarted(t, dir)); len(got) != want {
			t.Errorf("copy damaged %v: answered %v", damaged, got)
		}
		if _, there := stored(t, dir, state.Guarded)[".:53/ "+gone]; there {
			t.Error("what was dropped came back")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.next")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestThreeCrashesGoBack holds that after three starts that ended at once the last
// memory of a start that went well is used.
func TestThreeCrashesGoBack(t *testing.T) {
	dir := t.TempDir()
	known(t, dir, state.Guarded, "192.0.2.66")
	known(t, dir, state.Before, "192.0.2.1")
	s, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(state.Record{Bucket: state.Meta, Key: "starts", Value: starts{crashes}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := answers(restarted(t, dir)); len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("answered %v", got)
	}
	if got := answers(restarted(t, dir)); len(got) != 1 || got[0] != "192.0.2.1" { // that stop was clean
		t.Errorf("after a clean stop: %v", got)
	}
}

// TestWithoutADisk holds that a directory that cannot be written costs memory
// only.
func TestWithoutADisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if m := restarted(t, filepath.Join(file, "below")); m.Rcode != dns.RcodeSuccess || len(m.Ns) != 1 {
		t.Errorf("not the truth: %v", m)
	}
}

// TestAHangingDiskIsTold holds that a disk that does not answer is told of once, and
// holds nothing up.
func TestAHangingDiskIsTold(t *testing.T) {
	d := &disk{dir: t.TempDir()}
	hangs, goOn := make(chan struct{}), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.work(func() { close(hangs); <-goOn })
	}()
	<-hangs
	now := guard.At(time.Now())
	d.watch(now.Add(hangsAfter / 2))
	if d.hung.Load() {
		t.Error("told too early")
	}
	d.watch(now.Add(hangsAfter + time.Second))
	if !d.hung.Load() {
		t.Error("not told")
	}
	close(goOn)
	<-done
	if d.hung.Load() {
		t.Error("not told that it answers again")
	}
}

// TestAFileOfAnother holds that a file which another process has is told of, with the
// way out, until it is free.
func TestAFileOfAnother(t *testing.T) {
	dir := t.TempDir()
	other, _, err := state.OpenFile(dir, state.GuardFile)
	if err != nil {
		t.Fatal(err)
	}
	if !state.Busy(dir, state.GuardFile) {
		t.Error("a file that is held is not busy")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, diskConf(dir), newScript())
		defer w.end()
		fault := w.at.Fault()
		if !strings.Contains(fault, "held by another process: "+filepath.Join(dir, state.GuardFile)) || !strings.Contains(fault, "state DIR in the guard block") {
			t.Errorf("the fault is %q", fault)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		wait(2 * saveEvery)
		if fault := w.at.Fault(); fault != "" {
			t.Errorf("free, and the fault is %q", fault)
		}
	})
	if state.Busy(dir, state.GuardFile) || !state.Has(dir, state.GuardFile) || state.Has(t.TempDir(), state.GuardFile) {
		t.Error("a file that is free is busy, or not there")
	}
}
