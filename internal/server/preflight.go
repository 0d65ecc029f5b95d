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
		err := bindEach(networks[transport], hostport)
		if _, ok := beside[transport]; ok && err != nil {
			err = fmt.Errorf("`%s` of the Corefile cannot listen: %w", transport, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// bindEach stops at the first network that fails: what has one of the two DNS
// ports mostly has the other.
func bindEach(networks []string, hostport string) error {
	for _, network := range networks {
		if err := bindOnce(network, hostport); err != nil {
			return bindError(network, hostport, err)
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

// bindError says what is wrong with an address and what to do.
func bindError(network, hostport string, err error) error {
	at := network + " " + hostport
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is taken%s: stop what listens there, or choose another address with `bind` or another port in the Corefile: %w",
			at, by(holder(network, hostport)), syscall.EADDRINUSE)
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		return fmt.Errorf("may not listen on %s: a port below 1024 needs CAP_NET_BIND_SERVICE, or take a higher one: %w", at, syscall.EACCES)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this machine has no such address; correct `bind` in the Corefile: %w", at, syscall.EADDRNOTAVAIL)
	}
	return fmt.Errorf("cannot listen on %s: %w", at, err)
}

func by(process string) string {
	if process == "" {
		return " by another process"
	}
	return " by " + process
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
