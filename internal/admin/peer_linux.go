package admin

import (
	"net"
	"strconv"
	"syscall"
)

// socketPeer returns the user at the other end of a unix socket: "uid 1000 (jo)". It
// is the one that connected, whoever has the connection now.
func socketPeer(c *net.UnixConn) string {
	who := "unix socket"
	raw, err := c.SyscallConn()
	if err != nil {
		return who
	}
	_ = raw.Control(func(fd uintptr) {
		if u, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			who = uidText(int(u.Uid))
		}
	})
	return who
}

func uidText(uid int) string {
	text := "uid " + strconv.Itoa(uid)
	if name := userName(uid); name != "" {
		text += " (" + name + ")"
	}
	return text
}
