package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/detour-dns/detour/internal/files"
)

// errDamaged marks a file that is not ours or not whole.
var errDamaged = errors.New("damaged")

func isDamage(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, bolterrors.ErrInvalid) ||
		errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch)
}

// maxFile bounds what is opened. Ours stays far below it.
const maxFile = 1 << 30

// open opens the file and walks all of it, so that damage shows here and not at
// 3 a.m.: bbolt maps the file, and a page that is missing is a fault in memory.
func open(path string) (db *bolt.DB, err error) {
	if err := plausible(path); err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		if db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, OpenFile: openOwn}); err != nil {
			return err
		}
		if err = db.View(walk); err != nil {
			return err
		}
		return db.Update(makeBuckets)
	})
	if err != nil && db != nil {
		_ = guard(db.Close)
		return nil, err
	}
	return db, err
}

// openOwn opens the file for bbolt: never through a symlink, and none of another user.
func openOwn(path string, flag int, _ os.FileMode) (*os.File, error) {
	return files.OpenOwn(path, flag)
}

func makeBuckets(tx *bolt.Tx) error {
	for _, b := range buckets[filepath.Base(tx.DB().Path())] {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return err
		}
	}
	return nil
}

// walk reads every record once, and compares what the file says of its size with
// what is there.
func walk(tx *bolt.Tx) error {
	info, err := os.Stat(tx.DB().Path())
	if err != nil {
		return err
	}
	if tx.Size() > info.Size() {
		return fmt.Errorf("%w: cut short at %d of %d bytes", errDamaged, info.Size(), tx.Size())
	}
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			_, _ = unseal(v)
			if len(k) > maxRecord {
				return fmt.Errorf("%w: a key of %d bytes", errDamaged, len(k))
			}
			return nil
		})
	})
}

// plausible refuses what bbolt would trust too far: a directory, a device, a file
// that ends within its first pages or in the middle of one.
func plausible(path string) error {
	f, err := files.OpenOwn(path, os.O_RDONLY)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case errors.Is(err, files.ErrNoFile):
		return fmt.Errorf("%w: not a regular file", errDamaged)
	case err != nil:
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: not a regular file", errDamaged)
	case info.Size() == 0:
		return nil
	case info.Size() > maxFile:
		return fmt.Errorf("%w: %d bytes is more than this program writes", errDamaged, info.Size())
	}
	var page [2 * 4096]byte
	if _, err := io.ReadFull(f, page[:]); err != nil {
		return fmt.Errorf("%w: shorter than its two header pages", errDamaged)
	}
	return nil
}

// guard turns a fault in mapped memory, or a panic of bbolt over what it finds
// there, into an error.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return f()
}
