package admin

import (
	"net"
	"strconv"
	"syscall"
)

// socketPeer returns the user at the other end of a unix socket.
func socketPeer(c *net.UnixConn) string {
	who := "unix socket"
	raw, err := c.SyscallConn()
	if err != nil {
		return who
	}
	_ = raw.Control(func(fd uintptr) {
		if u, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			who = "uid " + strconv.Itoa(int(u.Uid))
		}
	})
	return who
}
