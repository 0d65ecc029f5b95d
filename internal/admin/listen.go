package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"
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

// openSocket listens on a unix socket that its owner and group may use. A socket
// left behind by a process that was killed is replaced; one that somebody
// answers on, or a file that is no socket, is left alone.
func openSocket(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err = removeStale(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot protect %s: %w", path, err), l.Close())
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot listen on %s: %w", path, err)
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
