package engine

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOnlyADiskThatHangsIsToldOf: not a write that gets on, not one whose outcome the
// loop has yet to hear, and not a loop that came late.
func TestOnlyADiskThatHangsIsToldOf(t *testing.T) {
	for name, tt := range map[string]struct {
		step  time.Duration // between two steps of a write of 30 s; 0: none
		late  time.Duration // that the loop comes late in each look
		looks int
		want  bool
	}{
		"a write that hangs":              {0, 0, 10, true},
		"a large write":                   {3 * time.Second, 0, 25, false},
		"a write of steps that hang":      {10 * time.Second, 0, 25, true},
		"a loop that came late twice":     {0, 9 * time.Second, 2, false},
		"a disk that hangs, and the loop": {0, 4 * time.Second, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var steps atomic.Uint64
				w := startWriter(func(error) {}, steps.Load)
				_, _ = w.put(func() error {
					if tt.step == 0 {
						<-time.After(30 * time.Second)
					}
					for end := time.Now().Add(30 * time.Second); tt.step > 0 && time.Now().Before(end); {
						steps.Add(1)
						<-time.After(tt.step)
					}
					return nil
				})
				told := false
				for range tt.looks {
					<-time.After(time.Second + tt.late)
					told = w.hangs(time.Now()) || told
				}
				if told != tt.want {
					t.Errorf("told: %v, want %v", told, tt.want)
				}
				close(w.jobs)
				<-w.done
			})
		})
	}
}

// TestAnOutcomeThatWaitsForTheLoop: the disk answered, and the loop is busy.
func TestAnOutcomeThatWaitsForTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		w := startWriter(func(error) { <-free }, func() uint64 { return 0 })
		_, _ = w.put(func() error { return nil })
		for range 20 {
			<-time.After(time.Second)
			if w.hangs(time.Now()) {
				t.Fatal("told that the disk hangs")
			}
		}
		close(free)
		close(w.jobs)
		<-w.done
	})
}

// TestAStopWaitsForWhatGetsOn: until it ends, or gets on no more.
func TestAStopWaitsForWhatGetsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps atomic.Uint64
		work := func(d time.Duration) func() {
			return func() {
				for end := time.Now().Add(d); time.Now().Before(end); steps.Add(1) {
					<-time.After(time.Second)
				}
			}
		}
		for d, want := range map[time.Duration]bool{12 * time.Second: true, time.Minute: false} {
			if began := time.Now(); whileMoving(closeWait, closeMost, steps.Load, work(d)) != want || time.Since(began) > closeMost {
				t.Errorf("%v of work: after %v", d, time.Since(began))
			}
		}
		<-time.After(time.Minute)
	})
}
