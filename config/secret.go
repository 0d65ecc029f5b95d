package config

import "github.com/detour-dns/detour/internal/files"

// secrets returns the files with secrets that the file names, and under which keys.
func (c *Config) secrets() [][2]string {
	out := [][2]string{{"admin.token_file", c.Admin.TokenFile}, {"admin.tls.key_file", c.Admin.KeyFile}}
	for i := range c.Share.Consul {
		s := &c.Share.Consul[i]
		out = append(out, [2]string{"share.consul.token_file", s.TokenFile}, [2]string{"share.consul.key_file", s.KeyFile})
	}
	for i := range c.Sources {
		s := &c.Sources[i].Consul.Agent
		out = append(out, [2]string{"sources.consul.token_file", s.TokenFile}, [2]string{"sources.consul.key_file", s.KeyFile})
	}
	return out
}

// Exposed warns of secrets that other users of this machine can read or change.
func (c *Config) Exposed() (out []Fault) {
	for _, s := range c.secrets() {
		if s[1] == "" {
			continue
		}
		if why := files.Exposed(s[1]); why != "" {
			out = append(out, Fault{File: c.Path, Message: s[0] + ": " + why})
		}
	}
	return out
}
