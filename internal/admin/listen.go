package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/detour-dns/detour/internal/files"
)

// open listens on tcp://address:port or unix:///path.
func open(u *url.URL) (net.Listener, error) {
	if u.Scheme == "unix" {
		return openSocket(u.Path)
	}
	l, err := net.Listen("tcp", u.Host)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process: end that one, or give another address as admin.listen", u.Host)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", u.Host, err)
	}
	return l, nil
}

// openSocket listens on a unix socket that its owner and the members of its group may
// use. A socket left behind by a process that was killed is replaced; one that
// somebody answers on, a symlink, and a file that is no socket are left alone.
func openSocket(path string) (net.Listener, error) {
	if err := files.CheckPlace(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	l, err := bind(path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err = removeStale(path); err != nil {
			return nil, err
		}
		l, err = bind(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	if gid := groupID(); gid >= 0 {
		_ = os.Lchown(path, -1, gid) // who is no member of the group keeps its own
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot protect %s: %w", path, err), l.Close())
	}
	return l, nil
}

// bind makes a socket that only this user can use until its mode is set.
func bind(path string) (l net.Listener, err error) {
	files.Umask(func() { l, err = net.Listen("unix", path) })
	return l, err
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot listen on %s: %w", path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symlink, not a socket: remove it, or give another path as admin.listen", path)
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is a file, not a socket: move it away, or give another path as admin.listen", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is in use by another process: end that one, or give another path as admin.listen", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("cannot remove the socket that a dead process left: %w", err)
	}
	return nil
}
