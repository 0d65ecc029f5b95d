package kit

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"testing"
)

// ConsulServerName is the name in a server's certificate, beside 127.0.0.1.
const ConsulServerName = "server.dc1.consul"

// ConsulCerts are the files of an authority that lives for one test.
type ConsulCerts struct {
	CA        string // file: whom to trust
	Cert, Key string // files: of a client

	ServerCert, ServerKey string // files: of a server
	authority             *Authority
	own                   tls.Certificate
}

// Client returns what a client verifies the server with.
func (c *ConsulCerts) Client() *tls.Config {
	return &tls.Config{RootCAs: c.authority.Pool, Certificates: []tls.Certificate{c.own}}
}

// MakeConsulCerts makes an authority, a server and a client in dir.
func MakeConsulCerts(t testing.TB, dir string) *ConsulCerts {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, name) }
	c := &ConsulCerts{
		CA: file("ca.pem"), Cert: file("client.pem"), Key: file("client.key"),
		ServerCert: file("server.pem"), ServerKey: file("server.key"), authority: NewAuthority(t),
	}
	c.authority.Write(t, c.CA)
	server := c.authority.Issue(t, Leaf{
		Subject: ConsulServerName, Names: []string{ConsulServerName, "localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
	WritePair(t, &server, c.ServerCert, c.ServerKey)
	c.own = c.authority.Issue(t, Leaf{Subject: "observer"})
	WritePair(t, &c.own, c.Cert, c.Key)
	return c
}
