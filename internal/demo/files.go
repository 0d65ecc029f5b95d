package demo

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// The resolver is an ordinary one: this is all the configuration there is.
const failoverYAML = `# A demo of Detour. This file is gone when the demo ends.
version: 1
monitors:
  web: {type: http, port: %PORT%, path: /healthz, interval: %INTERVAL%, timeout: %TIMEOUT%, confirm: %CONFIRM%, fall: %FALL%, rise: 2}
services:
  shop.example.org:
    monitors: [web]
    pools:
%POOLS%
defaults:
  ttl: {settled: 2s, changing: 1s}
  hold_down: {step: 1s, max: 5s}
  failback: {after: %FAILBACK%, max: %FAILBACK%, ramp: [10, 50, 100], step: %STEP%}
probes: {allow_targets: [127.0.0.0/8]}     # for a demo only: probes never go to loopback otherwise
admin: {listen: "%ADMIN%"}
state: {dir: "%DIR%"}
`

const corefileText = `.:%PORT% {
    bind 127.0.0.1
    failover "%YAML%"
}
`

// write makes the demo's files and returns the path of the Corefile.
func (s *stage) write() (string, error) {
	port, err := freePort(s.Options.Port)
	if err != nil {
		return "", err
	}
	s.moved = s.Options.Port != 0 && port != s.Options.Port
	listen := s.adminAddr()
	_, web := split(s.regions[0].addr)
	var pools strings.Builder
	for _, r := range s.regions {
		host, _ := split(r.addr)
		fmt.Fprintf(&pools, "      - %s: [%s]\n", r.name, host)
	}
	yaml := strings.NewReplacer(
		"%PORT%", web, "%INTERVAL%", span(s.Pace.Interval), "%TIMEOUT%", span(s.Pace.Timeout), "%CONFIRM%", span(s.Pace.Confirm),
		"%FALL%", strconv.Itoa(fall), "%POOLS%\n", pools.String(), "%FAILBACK%", span(s.Pace.Failback), "%STEP%", span(s.Pace.Step),
		"%ADMIN%", listen, "%DIR%", s.path("state"),
	).Replace(failoverYAML)
	corefile := strings.NewReplacer("%PORT%", strconv.Itoa(port), "%YAML%", s.path("failover.yaml")).Replace(corefileText)
	err = errors.Join(
		os.WriteFile(s.path("failover.yaml"), []byte(yaml), 0o600),
		os.WriteFile(s.path("Corefile"), []byte(corefile), 0o600),
		os.Mkdir(s.path("state"), 0o700),
	)
	return s.path("Corefile"), err
}

// span writes a duration for the file: 1s, 500ms.
func span(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// adminAddr is where the admin API listens: on a socket of our own, so that a resolver
// that is there already is left alone.
func (s *stage) adminAddr() string {
	s.apiAddr = s.Admin
	if s.apiAddr == "" {
		s.apiAddr = "unix://" + s.path("admin.sock")
	}
	return s.apiAddr
}

// freePort returns want, or another port that UDP and TCP both have free.
func freePort(want int) (int, error) {
	const tries = 20
	for i := range tries {
		if i > 0 {
			want = 0
		}
		if port, ok := bothFree(want); ok {
			return port, nil
		}
	}
	return 0, errors.New("no port on 127.0.0.1 is free for the resolver")
}

func bothFree(port int) (int, bool) {
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return 0, false
	}
	defer func() { _ = u.Close() }()
	_, text := split(u.LocalAddr().String())
	t, err := net.Listen("tcp", "127.0.0.1:"+text)
	if err != nil {
		return 0, false
	}
	port, err = strconv.Atoi(text)
	return port, t.Close() == nil && err == nil
}

// split cuts an address that we made ourselves.
func split(hostport string) (host, port string) {
	host, port, _ = net.SplitHostPort(hostport)
	return host, port
}
