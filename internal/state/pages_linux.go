package state

import (
	"unsafe"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Release lets the system take back the memory through which the file was read. It
// is read again when it is needed.
func (s *Store) Release() {
	_ = s.db.View(func(tx *bolt.Tx) error { // while it lasts the file stays mapped where it is
		at, size := s.db.Info().Data, tx.Size()
		if at == 0 || size == 0 {
			return nil
		}
		mapped := unsafe.Slice(*(**byte)(unsafe.Pointer(&at)), size)
		return unix.Madvise(mapped, unix.MADV_DONTNEED)
	})
}
