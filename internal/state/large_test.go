package state

import (
	"fmt"
	"testing"
	"time"
)

// TestALargeWriteGetsOn: it takes time in proportion to its records, shows that it
// gets on, and leaves exactly what it was given.
func TestALargeWriteGetsOn(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 120,000 records")
	}
	s, _, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test
	const many = 60000
	took := func(n int) time.Duration {
		values := map[string]time.Time{}
		for i := range n {
			values[fmt.Sprint("check ", i*7919%many, " of a service")] = time.Unix(int64(i), 0)
		}
		before, began := s.Steps(), time.Now()
		if err := Replace(s, Checks, values); err != nil {
			t.Fatal(err)
		}
		if steps := s.Steps() - before; steps < uint64(n/atOnce) {
			t.Errorf("%d records: %d steps", n, steps)
		}
		if got, _, err := Read[time.Time](s, Checks); err != nil || len(got) != n {
			t.Errorf("%d records: read %d, %v", n, len(got), err)
		}
		return time.Since(began)
	}
	few, all := took(many/6), took(many)
	t.Logf("%d records took %v, %d took %v", many/6, few, many, all)
	if all > 20*few+time.Second { // six times as many; with a move for each it was the square of that
		t.Errorf("%d records took %v, and %d took %v", many/6, few, many, all)
	}
	took(0)
}

// TestPartsEndWithMeta: what says that all is written comes last.
func TestPartsEndWithMeta(t *testing.T) {
	s, _, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test
	records := []Record{{Meta, "saved", 1}, {Services, "b", 1}, {Checks, "z", 1}, {Services, "a", 1}}
	if err := s.WriteParts(records); err != nil {
		t.Fatal(err)
	}
	order := ""
	for _, r := range records {
		order += r.Key
	}
	if order != "zabsaved" {
		t.Errorf("order %s", order)
	}
}
