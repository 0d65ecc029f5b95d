//go:build unix && !linux

package prober

import (
	"os"
	"syscall"
)

// newSocket opens a socket that does not block and that closes on exec.
func newSocket(family, kind, proto int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(family, kind, proto)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		_ = syscall.Close(fd)
		return -1, os.NewSyscallError("setnonblock", err)
	}
	return fd, nil
}

// hearRouters has nothing to do: these systems report what routers say.
func hearRouters(int, int) {}
