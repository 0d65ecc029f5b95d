// Package files reads what operators name and opens what the resolver keeps, on a
// machine that other users share with it. What is named is followed through symlinks,
// for a ConfigMap or a Secret of Kubernetes is one. What is kept is ours alone: it is
// never reached through a symlink, and belongs to root or to the user of this process.
package files

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// ErrTooLarge marks a file that is larger than its reader allows.
var ErrTooLarge = errors.New("too large")

// ErrDistrusted marks a file or a directory that another user of this machine may
// have made or changed.
var ErrDistrusted = errors.New("not to be trusted")

// ErrNoFile marks a path that leads to a pipe, a socket or a device.
var ErrNoFile = errors.New("it is a pipe, a socket or a device: name a file")

// Read returns the content of a file that an operator names, through symlinks, at
// most limit bytes of it. Whatever the path leads to, Read does not wait for others.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0) // opening a pipe would wait for who writes to it
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readAll(f, limit)
}

// ReadOwn returns the content of a file that this resolver keeps, or that stands in
// a directory of its own. The error is ErrDistrusted if another user may have made it.
func ReadOwn(path string, limit int64) ([]byte, error) {
	f, err := OpenOwn(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return readAll(f, limit)
}

func readAll(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: ErrNoFile}
	case info.Size() > limit:
		return nil, tooLarge(f.Name(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // it may grow meanwhile
	if err == nil && int64(len(data)) > limit {
		return nil, tooLarge(f.Name(), limit)
	}
	return data, err
}

func tooLarge(path string, limit int64) error {
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)}
}

// OpenOwn opens a file that this resolver keeps. A file that it makes has mode 0600.
// The error is ErrDistrusted for a symlink, for what is no file, for a file with a
// second name where it is opened for writing, and for one that another user owns or
// may write to.
func OpenOwn(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_TRUNC|noFollow|nonblock, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, distrust(path, "is a symlink: remove it")
	}
	if err != nil {
		return nil, err
	}
	if err = checkOwn(f, path, flag); err == nil && flag&os.O_TRUNC != 0 {
		err = f.Truncate(0) // not before it is known whose it is
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func checkOwn(f *os.File, path string, flag int) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: ErrNoFile}
	}
	return trusted(path, info, flag&(os.O_WRONLY|os.O_RDWR) != 0)
}

func distrust(path, why string) error {
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w: it %s", ErrDistrusted, why)}
}

// WriteOwn puts a file of mode 0600 in the place of the one at path. It is whole at
// any moment.
func WriteOwn(path string, write func(*os.File) error) error {
	next := path + ".next"
	_ = os.Remove(next) // what a process before left, or somebody else put there
	to, err := OpenOwn(next, os.O_CREATE|os.O_EXCL|os.O_WRONLY)
	if err != nil {
		return err
	}
	if err = errors.Join(write(to), to.Sync(), to.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next) // what is left of it is of no use
	}
	return err
}

// lacks are errors that say nothing about the file: this process or this machine
// lacks something, or may not look.
var lacks = []struct {
	err error
	why string
}{
	{syscall.EMFILE, "this process has no file descriptor left (ulimit -n)"},
	{syscall.ENFILE, "this machine has no file descriptor left"},
	{syscall.ENOMEM, "this machine has no memory left"},
	{syscall.ENOBUFS, "this machine has no memory left"},
	{syscall.EIO, "the disk does not read"},
	{syscall.ESTALE, "the file server does not answer well"},
	{syscall.ETIMEDOUT, "the file server does not answer"},
	{syscall.EINTR, "reading was interrupted"},
	{syscall.EAGAIN, "the system is busy"},
	{syscall.EACCES, "this process may not read it: its user needs the right to"},
	{syscall.EPERM, "this process may not read it: its user needs the right to"},
}

// Lack returns what this process or its machine lacks, if that is why a file could
// not be read; ok is false if the file is at fault.
func Lack(err error) (why string, ok bool) {
	for _, l := range lacks {
		if errors.Is(err, l.err) {
			return l.why, true
		}
	}
	return "", false
}

// Spare returns what keeps this process from opening a file that is always there.
func Spare() error {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	return f.Close()
}

// MostOpen returns how many files and sockets this process may have open at once.
func MostOpen() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return int(min(l.Cur, math.MaxInt32))
}

// Barred reports whether this process may not read a file: waiting does not help.
func Barred(err error) bool { return errors.Is(err, fs.ErrPermission) }

// ReadTrusted returns the content of a file beside ours that an operator put there,
// through symlinks. The error is ErrDistrusted if another user may have made it.
func ReadTrusted(path string, limit int64) (data []byte, info fs.FileInfo, err error) {
	if err := checkLink(path); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if err := trusted(path, info, false); err != nil {
		return nil, info, err
	}
	data, err = readAll(f, limit)
	return data, info, err
}

// MakeDir makes a directory of ours, with the mode 0700, and returns what CheckDir
// says of it.
func MakeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return CheckDir(dir)
}

// maxPEM bounds a file of certificates or of a key, in bytes.
const maxPEM = 4 << 20

// ReadPEM returns the content of a file of certificates or of a key.
func ReadPEM(path string) ([]byte, error) { return Read(path, maxPEM) }

// KeyPair reads a certificate and its key. It waits for no pipe, and takes no more
// memory than such files need.
func KeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := ReadPEM(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ReadPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
