// Package state keeps what must survive a restart in one bbolt file. What is in
// it is a convenience, never a condition: a file that is missing, foreign,
// corrupt or held by another process costs memory of the past, not the start.
package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/detour-dns/detour/internal/files"
)

// Bucket names a kind of record.
type Bucket string

// The buckets.
const (
	Checks    Bucket = "checks"    // by check key
	Services  Bucket = "services"  // by service name
	Names     Bucket = "names"     // by target name
	Overrides Bucket = "overrides" // by target
	Freezes   Bucket = "freezes"   // by target
	Shared    Bucket = "shared"    // records of all resolvers, by kind and target
	Catalog   Bucket = "catalog"   // by service name
	Meta      Bucket = "meta"
	Guarded   Bucket = "guarded" // of a guard, by block and name
	Before    Bucket = "before"  // the same, of a start that is known to have gone well
)

// Files in the state directory, and the buckets of each.
const (
	FileName  = "detour.db" // of the process
	GuardFile = "guard.db"  // of the guards; it may be there alone
)

var buckets = map[string][]Bucket{
	FileName:  {Checks, Services, Names, Overrides, Freezes, Shared, Catalog, Meta},
	GuardFile: {Guarded, Before, Meta},
}

// lockWait is how long Open waits for another process to let go of the file.
const lockWait = time.Second

// maxRecord bounds one record. A larger one is not ours.
const maxRecord = 1 << 20

// ErrBusy is returned by Open if another process holds the file.
var ErrBusy = errors.New("state file is held by another process")

// Store is an open state file. Its methods are safe for concurrent use.
type Store struct {
	db    *bolt.DB
	path  string
	doubt string // what opening it could not know
	steps atomic.Uint64
}

// Open opens or makes the process's file in dir. A file that cannot be read as
// ours is set aside under another name, and its copy takes its place; the notice
// says so. It never stops the start.
func Open(dir string) (s *Store, notice string, err error) {
	s, notice, err = OpenFile(dir, FileName)
	if err != nil || notice == "" {
		return s, notice, err
	}
	if err := s.Close(); err != nil { // it is empty
		return nil, notice, err
	}
	made, missing := Recover(dir, FileName)
	s, again, err := OpenFile(dir, FileName)
	switch {
	case missing != nil:
		notice += "; its copy cannot be used: " + missing.Error()
	case again != "":
		notice += "; its copy is damaged too: " + again
	case made.IsZero():
		notice += "; there is no copy, so that overrides, freezes and what moved are forgotten"
	default:
		notice += "; its copy of " + made.UTC().Format(time.RFC3339) + " is used"
	}
	return s, notice, err
}

// OpenFile is Open for one of the files, and leaves its copy alone.
func OpenFile(dir, file string) (s *Store, notice string, err error) {
	switch err := files.MakeDir(dir); {
	case errors.Is(err, files.ErrDistrusted):
		return nil, "", fmt.Errorf("state directory: %w; or set state.dir", err)
	case err != nil:
		return nil, "", fmt.Errorf("state directory: %w; make it writable for this user or set state.dir", err)
	}
	path := filepath.Join(dir, file)
	doubt := headerDoubt(path)
	db, err := open(path)
	if err == nil {
		return &Store{db: db, path: path, doubt: doubt}, "", nil
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, "", fmt.Errorf("%w: %s", ErrBusy, path)
	}
	if !isDamage(err) {
		return nil, "", fmt.Errorf("state file %s: %w; %s", path, err, remedy(err, dir))
	}
	aside := fmt.Sprintf("%s.bad-%s", path, time.Now().UTC().Format("20060102T150405.000"))
	if rerr := os.Rename(path, aside); rerr != nil {
		return nil, "", fmt.Errorf("state file %s is unreadable (%w) and cannot be set aside: %w", path, err, rerr)
	}
	notice = fmt.Sprintf("state file %s is not readable (%v): set aside as %s", path, err, aside)
	if db, err = open(path); err != nil {
		return nil, notice, fmt.Errorf("state file %s: %w", path, err)
	}
	return &Store{db: db, path: path}, notice, nil
}

// remedy says what helps when a file in dir cannot be opened or made.
func remedy(err error, dir string) string {
	if errors.Is(err, files.ErrDistrusted) {
		return "who else may write to " + dir + "?"
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "make room in " + dir
	}
	return "check that " + dir + " is writable for this user"
}

// Doubt says what of the past the file may have lost though it is readable, "" if
// nothing: bbolt goes back to the other header page when the newest is damaged.
func (s *Store) Doubt() string { return s.doubt }

// Path returns the file's path.
func (s *Store) Path() string { return s.path }

// Close lets go of the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("state file %s: %w", s.path, err)
	}
	return nil
}

// Read returns the records of a bucket. Those that are damaged are left out and
// counted.
func Read[T any](s *Store, bucket Bucket) (values map[string]T, damaged int, err error) {
	values = map[string]T{}
	err = guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte(bucket)).ForEach(func(k, v []byte) error {
				var value T
				if body, ok := unseal(v); ok && json.Unmarshal(body, &value) == nil {
					values[string(k)] = value
				} else {
					damaged++
				}
				return nil
			})
		})
	})
	if err != nil {
		return nil, damaged, fmt.Errorf("state file %s: %w", s.path, err)
	}
	return values, damaged, nil
}

// Scan calls f with each record of a bucket whose key begins with prefix, without
// it. Those that are damaged are left out and counted. f must not write.
func Scan[T any](s *Store, bucket Bucket, prefix string, f func(key string, value T)) (damaged int, err error) {
	err = guard(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			c := tx.Bucket([]byte(bucket)).Cursor()
			for k, v := c.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix); k, v = c.Next() {
				var value T
				body, ok := unseal(v)
				if !ok || json.Unmarshal(body, &value) != nil {
					damaged++
					continue
				}
				f(string(k[len(prefix):]), value)
			}
			return nil
		})
	})
	if err != nil {
		return damaged, fmt.Errorf("state file %s: %w", s.path, err)
	}
	return damaged, nil
}

// Copy makes one bucket hold what another does, in one transaction.
func (s *Store) Copy(from, to Bucket) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		if err := tx.DeleteBucket([]byte(to)); err != nil {
			return err
		}
		b, err := tx.CreateBucket([]byte(to))
		if err != nil {
			return err
		}
		b.FillPercent = 0.9 // keys come in order
		return tx.Bucket([]byte(from)).ForEach(b.Put)
	})
	if err != nil {
		return fmt.Errorf("state file %s: %w", s.path, err)
	}
	return nil
}

// Empty reports whether a bucket holds nothing.
func (s *Store) Empty(bucket Bucket) (empty bool) {
	_ = s.db.View(func(tx *bolt.Tx) error { // the function returns no error
		k, _ := tx.Bucket([]byte(bucket)).Cursor().First()
		empty = k == nil
		return nil
	})
	return empty
}

// seal puts a checksum (CRC-32C) before a record's body.
func seal(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, checksum(body)), body...)
}

func unseal(v []byte) ([]byte, bool) {
	if len(v) < 4 || len(v) > maxRecord {
		return nil, false
	}
	return v[4:], binary.BigEndian.Uint32(v) == checksum(v[4:])
}

// checksum makes the table at its first use: commands that keep nothing do not wait for it.
func checksum(body []byte) uint32 { return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) }
