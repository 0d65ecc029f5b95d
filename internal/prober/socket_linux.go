package prober

import (
	"os"
	"syscall"
)

// newSocket opens a socket that does not block and that closes on exec.
func newSocket(family, kind, proto int) (int, error) {
	fd, err := syscall.Socket(family, kind|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, proto)
	return fd, os.NewSyscallError("socket", err)
}
