package config

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

var adminBlock = newBlock("admin",
	field[Admin]{"listen", decodeListen},
	field[Admin]{"tls", func(d *decoder, v value, a *Admin) { d.decodeTLS(v, a) }},
	field[Admin]{"token_file", filePath(func(a *Admin) *string { return &a.TokenFile })},
)

var tlsBlock = newBlock("tls",
	field[Admin]{"cert_file", filePath(func(a *Admin) *string { return &a.CertFile })},
	field[Admin]{"key_file", filePath(func(a *Admin) *string { return &a.KeyFile })},
)

func (d *decoder) decodeTLS(v value, a *Admin) {
	seen := tlsBlock.decode(d, v, a)
	if v.node.Kind == yaml.MappingNode && (!seen.has("cert_file") || !seen.has("key_file")) && !d.bad[v.node] {
		d.fault(v, "tls needs both cert_file and key_file: add the one that is missing")
	}
}

// decodeAdmin reads where the admin API listens; `admin: off` is short for
// `admin: {listen: off}`.
func decodeAdmin(d *decoder, v value, c *Config) {
	if v.node.Kind == yaml.ScalarNode && v.node.Value == "off" {
		c.Admin = Admin{Off: true}
		return
	}
	seen := adminBlock.decode(d, v, &c.Admin)
	a := c.Admin
	if a.Off || a.onThisMachine() || !d.sound(seen, "listen", "tls", "token_file") {
		return
	}
	if a.CertFile == "" || a.TokenFile == "" {
		d.fault(seen["listen"], "admin.listen %s can be reached from other machines: add tls: {cert_file, key_file} and token_file, or listen on a unix socket",
			a.Listen.Host)
	}
}

// onThisMachine reports whether only this machine can reach the API.
func (a Admin) onThisMachine() bool {
	if a.Listen == nil || a.Listen.Scheme == "unix" {
		return true
	}
	ap, err := netip.ParseAddrPort(a.Listen.Host)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

const listenForms = "write unix:///run/detour/admin.sock, or address:port, such as 127.0.0.1:8053, or off"

func decodeListen(d *decoder, v value, a *Admin) {
	s, ok := d.text(v)
	if !ok {
		return
	}
	if s == "off" {
		a.Off, a.Listen = true, nil
		return
	}
	if path, isUnix := strings.CutPrefix(s, "unix://"); isUnix {
		if !filepath.IsAbs(path) {
			d.fault(v, "%s %s is not an absolute path: write unix:///run/detour/admin.sock", v.key, s)
			return
		}
		a.Listen = &url.URL{Scheme: "unix", Path: path}
		return
	}
	ap, ok := parseListen(s)
	if !ok {
		d.fault(v, "%s %s is not an address to listen on: %s", v.key, s, listenForms)
		return
	}
	a.Listen = &url.URL{Scheme: "tcp", Host: ap.String()}
}

// parseListen reads address:port; no address means every one of this machine.
func parseListen(s string) (netip.AddrPort, bool) {
	s = strings.TrimPrefix(s, "tcp://")
	if port, ok := strings.CutPrefix(s, "localhost:"); ok {
		s = "127.0.0.1:" + port
	}
	if strings.HasPrefix(s, ":") {
		s = "[::]" + s
	}
	ap, err := netip.ParseAddrPort(s)
	return ap, err == nil
}

var stateBlock = newBlock("state",
	field[State]{"dir", func(d *decoder, v value, s *State) {
		dir, ok := d.text(v)
		if ok && !filepath.IsAbs(dir) {
			d.fault(v, "dir %s is not absolute: write the whole path, such as /var/lib/detour", dir)
		}
		s.Dir = filepath.Clean(dir)
	}},
)

// DefaultStateDir is where state is kept unless said: systemd's directory for
// the service, else the user's, else nowhere.
func DefaultStateDir() string {
	if dirs := os.Getenv("STATE_DIRECTORY"); dirs != "" {
		dir, _, _ := strings.Cut(dirs, ":")
		return dir
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "detour")
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return ""
	}
	return filepath.Join(home, ".local", "state", "detour")
}
