//go:build !linux

package state

// Release does nothing on this system.
func (s *Store) Release() {}
