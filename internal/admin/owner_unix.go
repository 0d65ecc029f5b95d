//go:build unix

package admin

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// likeBefore gives a new file the owner and the group of the one that it replaces,
// and to the group the right to read that it had: the resolver must still read it.
func likeBefore(next *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := next.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("token file: cannot keep the owner of %s, try as root: %w", path, err)
	}
	return next.Chmod(0o600 | info.Mode()&0o040)
}
