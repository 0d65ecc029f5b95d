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

// hearRouters makes a connected datagram socket report all that routers say
// about its packets. Without it the system keeps "host unreachable" to itself.
func hearRouters(fd, family int) {
	if family == syscall.AF_INET6 {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
		return
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
}
