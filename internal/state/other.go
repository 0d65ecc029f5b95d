package state

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Has reports whether a directory holds one of the files.
func Has(dir, file string) bool {
	info, err := os.Lstat(filepath.Join(dir, file))
	return err == nil && info.Mode().IsRegular()
}

// Busy reports whether another process holds one of the files, or this one. It
// changes nothing.
func Busy(dir, file string) bool {
	path := filepath.Join(dir, file)
	if plausible(path) != nil {
		return false
	}
	err := guard(func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Millisecond, OpenFile: openOwn})
		if err != nil {
			return err
		}
		return db.Close()
	})
	return errors.Is(err, bolterrors.ErrTimeout)
}
