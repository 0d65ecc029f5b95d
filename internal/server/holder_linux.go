package server

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder returns which process listens on an address, as far as /proc tells us:
// "systemd-resolve (process 812)", or "".
func holder(network, hostport string) string {
	_, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return ""
	}
	want, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	var sockets []string
	for _, file := range []string{network, network + "6"} {
		sockets = append(sockets, listeners("/proc/net/"+file, network, want)...)
	}
	for _, inode := range sockets {
		if p := ownerOf(inode); p != "" {
			return p
		}
	}
	return ""
}

// listeners returns the socket inodes of a table of the kernel that listen on
// a port: state 0A for tcp, 07 for udp.
func listeners(table, network string, port uint64) []string {
	data, err := os.ReadFile(table)
	if err != nil {
		return nil
	}
	state := "0A"
	if network == "udp" {
		state = "07"
	}
	suffix := fmt.Sprintf(":%04X", port)
	var inodes []string
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == state {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// ownerOf finds the process that holds a socket open. Others' processes are
// hidden from a resolver without rights.
func ownerOf(inode string) string {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil || link != "socket:["+inode+"]" {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		return fmt.Sprintf("%s (process %s)", bytes.TrimSpace(name), filepath.Base(dir))
	}
	return ""
}

// noNewPrivs reports whether capabilities of files have no effect on this process
// (prctl(2), PR_SET_NO_NEW_PRIVS): systemd's NoNewPrivileges= and a container without
// allowPrivilegeEscalation set that.
func noNewPrivs() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && bytes.Contains(status, []byte("\nNoNewPrivs:\t1\n"))
}
