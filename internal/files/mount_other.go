//go:build unix && !linux

package files

func mounted(string) bool { return false }
