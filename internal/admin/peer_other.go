//go:build !linux

package admin

import "net"

func socketPeer(*net.UnixConn) string { return "unix socket" }
