package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/detour-dns/detour/internal/files"
)

// copied is the name of a file's copy.
func copied(file string) string { return file + ".copy" }

// Keep makes a copy of the whole file beside it, in the place of the one before:
// what a damaged file is replaced by.
func (s *Store) Keep() error {
	return putWhole(copied(s.path), func(to *os.File) error {
		return s.db.View(func(tx *bolt.Tx) error {
			_, err := tx.WriteTo(stepping{to, s})
			return err
		})
	})
}

// stepping counts what is written as steps of a store.
type stepping struct {
	to io.Writer
	s  *Store
}

// Write implements io.Writer.
func (w stepping) Write(p []byte) (int, error) {
	w.s.steps.Add(1)
	return w.to.Write(p)
}

// Recover puts the copy of a file that was set aside in its place, and returns when
// it was made, the zero time if there is none. Nothing may have the file open. The
// copy stays.
func Recover(dir, file string) (made time.Time, err error) {
	path := filepath.Join(dir, file)
	from, err := files.OpenOwn(copied(path), os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return made, nil
	}
	if err != nil {
		return made, fmt.Errorf("copy of a state file: %w", err)
	}
	defer from.Close() //nolint:errcheck // only read
	info, err := from.Stat()
	if err != nil {
		return made, fmt.Errorf("copy of a state file: %w", err)
	}
	return info.ModTime(), putWhole(path, func(to *os.File) error {
		_, err := io.Copy(to, from)
		return err
	})
}

// ReadCopy is Read for the copy of the process's file in dir.
func ReadCopy[T any](dir string, bucket Bucket) (values map[string]T, err error) {
	path := copied(filepath.Join(dir, FileName))
	if err := plausible(path); err != nil {
		return nil, err
	}
	err = guard(func() error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: true, OpenFile: openOwn})
		if err != nil {
			return err
		}
		defer db.Close() //nolint:errcheck // only read
		values, _, err = Read[T](&Store{db: db, path: path}, bucket)
		return err
	})
	return values, err
}

// putWhole writes a file that is whole at any moment.
func putWhole(path string, write func(*os.File) error) error {
	if err := files.WriteOwn(path, write); err != nil {
		return fmt.Errorf("state file %s: %w", path, err)
	}
	return nil
}
