package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
)

// networks are what each transport listens on.
var networks = map[string][]string{
	"dns": {"udp", "tcp"}, "tls": {"tcp"}, "grpc": {"tcp"}, "https": {"tcp"},
	"https3": {"udp"}, "quic": {"udp"},
	"health": {"tcp"}, "ready": {"tcp"}, "prometheus": {"tcp"}, "pprof": {"tcp"},
}

// preflight binds each address once and lets go of it again. CoreDNS listens
// with SO_REUSEPORT: on a port that another resolver has with it too, it would
// start without a word and get half of the queries.
func preflight(addrs []string) error {
	var errs []error
	for _, addr := range addrs {
		transport, hostport, _ := strings.Cut(addr, "://")
		if _, port, _ := net.SplitHostPort(hostport); port == "0" {
			continue // the kernel finds a free one
		}
		move := "choose another address with `bind` or another port in the Corefile"
		if _, ok := beside[transport]; ok {
			move = "give `" + transport + "` another address in the Corefile"
		}
		errs = append(errs, bindEach(networks[transport], hostport, move))
	}
	return errors.Join(errs...)
}

// bindEach stops at the first network that fails: what has one of the two DNS
// ports mostly has the other.
func bindEach(networks []string, hostport, move string) error {
	for _, network := range networks {
		if err := bindOnce(network, hostport); err != nil {
			return bindError(network, hostport, move, err)
		}
	}
	return nil
}

func bindOnce(network, hostport string) error {
	var lc net.ListenConfig
	if network == "udp" {
		pc, err := lc.ListenPacket(context.Background(), network, hostport)
		if err != nil {
			return err
		}
		return pc.Close()
	}
	l, err := lc.Listen(context.Background(), network, hostport)
	if err != nil {
		return err
	}
	return l.Close()
}

// bindError says what is wrong with an address and what to do: how to move to another
// one, for example.
func bindError(network, hostport, move string, err error) error {
	at := network + " " + hostport
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is taken%s: stop what listens there, or %s: %w",
			at, by(holder(network, hostport), hostport), move, syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return fmt.Errorf("may not listen on %s: a port below 1024 needs CAP_NET_BIND_SERVICE%s, or take a higher one: %w", at, without(noNewPrivs()), syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this machine has no such address; %s: %w", at, move, syscall.EADDRNOTAVAIL)
	}
	return fmt.Errorf("cannot listen on %s: %w", at, err)
}

func by(process, hostport string) string {
	if process != "" {
		return " by " + process
	}
	if _, port, _ := net.SplitHostPort(hostport); port == "53" { // whose it is, only root sees
		return " by another process, which on port 53 is often systemd-resolved (DNSStubListener=no in /etc/systemd/resolved.conf ends that)"
	}
	return " by another process"
}

// without says why the capability may be missing of a file that has it.
func without(noNewPrivs bool) string {
	if noNewPrivs {
		return " (one of the file does not act here, because no_new_privs is set: give it by AmbientCapabilities= of the unit, or to the container)"
	}
	return ""
}

// fresh returns the addresses on a port that is not ours yet. On one that is,
// a bind would only meet ourselves.
func fresh(addrs, ours []string) []string {
	var ports []string
	for _, a := range ours {
		ports = append(ports, socketPorts(a)...)
	}
	return slices.DeleteFunc(slices.Clone(addrs), func(a string) bool {
		return slices.ContainsFunc(socketPorts(a), func(p string) bool { return slices.Contains(ports, p) })
	})
}

// socketPorts returns the sockets of an address without its host: "udp 53".
func socketPorts(addr string) []string {
	transport, hostport, _ := strings.Cut(addr, "://")
	_, port, _ := net.SplitHostPort(hostport)
	var out []string
	for _, network := range networks[transport] {
		out = append(out, network+" "+port)
	}
	return out
}
