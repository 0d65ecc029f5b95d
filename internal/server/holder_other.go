//go:build !linux

package server

// holder would say which process listens on an address; here nothing tells us.
func holder(_, _ string) string { return "" }

func noNewPrivs() bool { return false }
