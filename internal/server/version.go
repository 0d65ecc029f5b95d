package server

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker for a release: -X .../internal/server.version=1.2.3
var version string

// Versions are what this binary is made of.
type Versions struct {
	Detour  string `json:"detour"`
	CoreDNS string `json:"coredns"`
	Go      string `json:"go"`
}

// Version returns what the build recorded.
func Version() Versions {
	v := Versions{Detour: version, CoreDNS: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/coredns/coredns" {
			v.CoreDNS = moduleVersion(dep)
		}
	}
	if v.Detour == "" {
		v.Detour = info.Main.Version
	}
	if v.Detour == "" || v.Detour == "(devel)" {
		v.Detour = "devel"
	}
	return v
}

func moduleVersion(m *debug.Module) string {
	if m.Replace != nil {
		m = m.Replace
	}
	if len(m.Version) > 1 && m.Version[0] == 'v' {
		return m.Version[1:]
	}
	return m.Version
}
