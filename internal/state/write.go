package state

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// atOnce bounds the records of a transaction of a large write, so that each one is
// soon on disk.
const atOnce = 4096

// Record is one thing to write. A nil Value deletes the key.
type Record struct {
	Bucket Bucket
	Key    string
	Value  any
}

// Steps grows while something is written: a large write that goes on is told from
// a disk that does not answer.
func (s *Store) Steps() uint64 { return s.steps.Load() }

// Write stores the records in one transaction: after it returns, all of them
// survive kill -9, and before, none.
func (s *Store) Write(records ...Record) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, r := range records {
			if err := put(tx.Bucket([]byte(r.Bucket)), r); err != nil {
				return err
			}
		}
		return nil
	})
	s.steps.Add(1)
	if err != nil {
		return fmt.Errorf("state file %s: %w", s.path, err)
	}
	return nil
}

// WriteParts stores records that do not depend on one another: in one transaction
// if they are few, else in several. Those of Meta come last. It sorts records:
// bbolt moves all keys behind one that it puts between others.
func (s *Store) WriteParts(records []Record) error {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(last(a.Bucket)-last(b.Bucket), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key))
	})
	for part := range slices.Chunk(records, atOnce) {
		if err := s.Write(part...); err != nil {
			return err
		}
	}
	return nil
}

// last orders Meta, which says that all else is written, behind all else.
func last(b Bucket) int {
	if b == Meta {
		return 1
	}
	return 0
}

func put(b *bolt.Bucket, r Record) error {
	if r.Value == nil {
		return b.Delete([]byte(r.Key))
	}
	body, err := json.Marshal(r.Value)
	if err != nil {
		return fmt.Errorf("record %q: %w", r.Key, err)
	}
	return b.Put([]byte(r.Key), seal(body))
}

// Replace makes the bucket hold exactly these values: in one transaction if they
// are few, else in several. A crash between two of these leaves some records as they
// were.
func Replace[T any](s *Store, bucket Bucket, values map[string]T) error {
	var stale []string
	_ = s.db.View(func(tx *bolt.Tx) error { // the function returns no error
		stale = keysWithout(tx.Bucket([]byte(bucket)), values)
		return nil
	})
	records := make([]Record, 0, len(stale)+len(values))
	for _, k := range stale {
		records = append(records, Record{Bucket: bucket, Key: k})
	}
	for k, v := range values {
		records = append(records, Record{Bucket: bucket, Key: k, Value: v})
	}
	return s.WriteParts(records)
}

// keysWithout returns the keys of b that values lacks.
func keysWithout[T any](b *bolt.Bucket, values map[string]T) (stale []string) {
	_ = b.ForEach(func(k, _ []byte) error { // the function returns no error
		if _, ok := values[string(k)]; !ok {
			stale = append(stale, string(k))
		}
		return nil
	})
	return stale
}
