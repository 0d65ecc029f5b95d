package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var start = time.Date(2026, 3, 1, 3, 12, 7, 0, time.UTC)

func event(n int) Event {
	return Event{At: start.Add(time.Duration(n) * time.Second), Kind: Moved, Text: fmt.Sprint("event ", n), Count: n}
}

func keep(t *testing.T, dir string) *Journal {
	t.Helper()
	j := New()
	if _, err := j.Keep(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// pass lets simulated time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// What was added is there after a restart, in order, with its IDs.
func TestKeeps(t *testing.T) {
	dir := t.TempDir()
	j := keep(t, dir)
	var ids []uint64
	for n := range 5 {
		ids = append(ids, j.Add(event(n)).ID)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got := keep(t, dir).Find(Query{})
	if len(got) != 5 {
		t.Fatalf("%d events", len(got))
	}
	for n := range got {
		if got[n].ID != ids[n] || got[n].Count != n || !got[n].At.Equal(event(n).At) {
			t.Errorf("event %d is %+v", n, got[n])
		}
	}
}

// A crash cuts the last line short: all before it is read, and what comes after
// does not stick to it.
func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	j := keep(t, dir)
	for n := range 3 {
		j.Add(event(n))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, current)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		want := strings.Count(string(whole[:cut]), "\n")
		if whole[cut] == '\n' { // only an end of line is gone
			want++
		}
		j := keep(t, dir)
		if got := len(j.Find(Query{})); got != want {
			t.Fatalf("cut at %d: %d events, want %d", cut, got, want)
		}
		j.Add(event(9))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got := keep(t, dir).Find(Query{}); len(got) != want+1 || got[want].Count != 9 {
			t.Fatalf("cut at %d: %d events after one more, want %d", cut, len(got), want+1)
		}
	}
}

// Foreign bytes cost the lines that they are in, not the others.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	text := "\x00\x01garbage\n[]\n{\"id\":1}\n" + `{"id":7,"at":"2026-03-01T03:12:07Z","kind":"move","text":"whole"}` + "\n\n{\"id\":\"x\"}\n"
	if err := os.WriteFile(filepath.Join(dir, current), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	j := New()
	damaged, err := j.Keep(dir)
	if got := j.Find(Query{}); err != nil || damaged != 4 || len(got) != 1 || got[0].Text != "whole" {
		t.Errorf("%d damaged, %v, %+v", damaged, err, got)
	}
	_ = j.Close()
}

// The ring turns, in memory and on disk, and the disk never holds more than two
// rings.
func TestRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := keep(t, dir)
		const all = 3*Size + 17
		for n := range all {
			j.Add(event(n))
			if n%1000 == 0 {
				pass(rest) // it is written
			}
		}
		check := func(j *Journal) {
			t.Helper()
			got := j.Find(Query{})
			if len(got) != Size || got[0].Count != all-Size || got[Size-1].Count != all-1 {
				t.Errorf("%d events, %d to %d", len(got), got[0].Count, got[len(got)-1].Count)
			}
		}
		check(j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		check(keep(t, dir))
		lines := 0
		for _, name := range []string{current, before} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(b), "\n")
		}
		if lines > 2*Size+2000 {
			t.Errorf("%d lines on disk", lines)
		}
	})
}

// IDs ascend even if the clock steps back.
func TestClockStepsBack(t *testing.T) {
	j := New()
	first := j.Add(event(10)).ID
	if second := j.Add(event(0)).ID; second <= first {
		t.Errorf("%d after %d", second, first)
	}
}

func TestFind(t *testing.T) {
	j := New()
	move := Event{At: start, Kind: Moved, Services: []string{"shop.example.org"}, From: "aws/us-east-1", To: "gcp/europe-west1+azure/westeurope"}
	check := Event{At: start.Add(time.Minute), Kind: Check, Region: "aws/us-east-1", Services: []string{"shop.example.org"}, Endpoints: []string{"192.0.2.10"}}
	hand := Event{At: start.Add(2 * time.Minute), Kind: Override, Target: "aws/us-east-1"}
	first := j.Add(move).ID
	j.Add(check)
	j.Add(hand)
	for _, tt := range []struct {
		q    Query
		want []Kind
	}{
		{Query{}, []Kind{Moved, Check, Override}},
		{Query{Target: "aws/us-east-1"}, []Kind{Moved, Check, Override}},
		{Query{Target: "azure/westeurope"}, []Kind{Moved}},
		{Query{Target: "shop.example.org"}, []Kind{Moved, Check}},
		{Query{Target: "shop.example.org/192.0.2.10"}, []Kind{Check}},
		{Query{Target: "192.0.2.10"}, []Kind{Check}},
		{Query{Target: "other.example.org"}, nil},
		{Query{Since: start.Add(time.Second)}, []Kind{Check, Override}},
		{Query{After: first}, []Kind{Check, Override}},
		{Query{Limit: 1}, []Kind{Override}},
	} {
		var got []Kind
		for _, e := range j.Find(tt.q) {
			got = append(got, e.Kind)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%+v: %v, want %v", tt.q, got, tt.want)
		}
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := New()
		got := make(chan error)
		go func() { got <- j.Wait(t.Context(), 0) }()
		synctest.Wait()
		select {
		case err := <-got:
			t.Fatal("nothing happened yet", err)
		default:
		}
		j.Add(event(0))
		if err := <-got; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := j.Wait(ctx, j.Last()); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// swap puts another file where the writer finds it at its next write.
func swap(j *Journal, f *os.File) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.file.f = f
}

// A disk that cannot be written to costs the disk's part, is said, and is tried
// again.
func TestDiskFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := keep(t, dir)
		good := j.file.f
		bad, err := os.Open(filepath.Join(dir, current)) // for reading only
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		swap(j, bad)
		j.Add(event(1))
		synctest.Wait()
		pass(rest)
		if j.Problem() == nil || len(j.Find(Query{})) != 1 {
			t.Errorf("problem %v", j.Problem())
		}
		swap(j, good)
		pass(retry)
		if j.Problem() != nil {
			t.Error(j.Problem())
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got := keep(t, dir).Find(Query{}); len(got) != 1 {
			t.Errorf("%d events", len(got))
		}
		_ = bad.Close()
	})
}

// An event that is about very many lists some and counts all.
func TestFewNames(t *testing.T) {
	many := make([]string, 5*MaxNames)
	if e := New().Add(Event{At: start, Kind: Moved, Services: many, Count: len(many)}); len(e.Services) != MaxNames || e.Count != len(many) {
		t.Errorf("%d names, count %d", len(e.Services), e.Count)
	}
}
