//go:build unix

package prober

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// socket is a TCP connection on its way, with nothing around it: thousands of
// probes a second only need to know whether the other side accepts.
type socket struct {
	f    *os.File
	addr syscall.Sockaddr
}

// sockaddr returns an address in the system's form.
func sockaddr(to netip.AddrPort) (family int, sa syscall.Sockaddr, err error) {
	if to.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}, nil
	}
	zone, err := zoneID(to.Addr().Zone())
	return syscall.AF_INET6, &syscall.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port()), ZoneId: zone}, err
}

func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	return uint32(i.Index), nil
}

// startConnect sends a SYN. The socket is nil if the connection is made and
// closed again already, and on error.
func startConnect(to netip.AddrPort) (*socket, error) {
	family, sa, err := sockaddr(to)
	if err != nil {
		return nil, err
	}
	fd, err := newSocket(family, syscall.SOCK_STREAM, syscall.IPPROTO_TCP)
	if err != nil {
		return nil, err
	}
	// Closing resets: nothing stays behind in TIME_WAIT, so checks cannot use up
	// the local ports.
	_ = syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	over, err := connect(fd, sa)
	if !over {
		// A near target has answered by now. Asking costs less than a wait.
		over, err = connect(fd, sa)
	}
	if !over {
		return &socket{f: os.NewFile(uintptr(fd), "probe"), addr: sa}, nil
	}
	_ = syscall.Close(fd)
	return nil, err
}

// connect starts a connection, or asks how one that was started is doing.
func connect(fd int, sa syscall.Sockaddr) (over bool, err error) {
	switch err := syscall.Connect(fd, sa); err {
	case nil, syscall.EISCONN:
		return true, nil
	case syscall.EINPROGRESS, syscall.EALREADY, syscall.EINTR:
		return false, nil
	default:
		return true, os.NewSyscallError("connect", err)
	}
}

// deadline sets when wait gives up. It undoes an interrupt: set the deadline
// first, then arrange for the interrupt.
func (s *socket) deadline(t time.Time) { _ = s.f.SetWriteDeadline(t) }

// interrupt makes wait return, now or as soon as it is called.
func (s *socket) interrupt() { s.deadline(time.Unix(1, 0)) }

// wait returns when the connection is made or has failed, or at the deadline
// with os.ErrDeadlineExceeded. The socket stays open.
func (s *socket) wait() error {
	rc, err := s.f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = rc.Write(func(fd uintptr) bool {
		// To be asked before the first wait as well: Write forgets events that
		// came earlier.
		var over bool
		over, failed = s.state(int(fd))
		return over
	})
	if err != nil {
		return err
	}
	return failed
}

// state reports whether the connection is made or has failed. A second connect
// tells all but what a router said while the first one was still running: the
// system goes on trying then, and keeps the error for who asks.
func (s *socket) state(fd int) (over bool, err error) {
	if over, err := connect(fd, s.addr); over {
		return true, err
	}
	if soft, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR); err == nil && soft != 0 {
		return true, os.NewSyscallError("connect", syscall.Errno(soft))
	}
	return false, nil
}

func (s *socket) close() { _ = s.f.Close() }

// pingConn opens a connected ICMP socket: one that everybody may use if the
// system has them, else a raw one. Being connected, it also hears when a router
// says that the target cannot be reached.
func pingConn(to netip.Addr) (c net.Conn, raw bool, err error) {
	family, sa, err := sockaddr(netip.AddrPortFrom(to, 0))
	if err != nil {
		return nil, false, err
	}
	proto := syscall.IPPROTO_ICMP
	if to.Is6() {
		proto = syscall.IPPROTO_ICMPV6
	}
	fd, err := newSocket(family, syscall.SOCK_DGRAM, proto)
	if err != nil {
		raw = true
		fd, err = newSocket(family, syscall.SOCK_RAW, proto)
	}
	if err != nil {
		return nil, raw, err
	}
	hearRouters(fd, family)
	if err := syscall.Connect(fd, sa); err != nil {
		_ = syscall.Close(fd)
		return nil, raw, os.NewSyscallError("connect", err)
	}
	f := os.NewFile(uintptr(fd), "ping")
	defer func() { _ = f.Close() }()
	c, err = net.FileConn(f)
	return c, raw, err
}

// hearAll is a dialer's Control for datagram sockets. It is called with udp4 or
// udp6.
func hearAll(next control) control {
	return func(network, address string, c syscall.RawConn) error {
		family := syscall.AF_INET
		if network == "udp6" {
			family = syscall.AF_INET6
		}
		if err := c.Control(func(fd uintptr) { hearRouters(int(fd), family) }); err != nil || next == nil {
			return err
		}
		return next(network, address, c)
	}
}
