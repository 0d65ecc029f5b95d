//go:build !unix

package files

import (
	"io/fs"
	"os"
)

const (
	noFollow = 0
	nonblock = 0
)

func trusted(string, fs.FileInfo, bool) error { return nil }

func checkLink(string) error { return nil }

// CheckDir is of systems with owners and modes.
func CheckDir(dir string) error {
	_, err := os.Stat(dir)
	return err
}

// Exposed is of systems with owners and modes.
func Exposed(string) string { return "" }

// Steered is of systems with owners and modes.
func Steered(path string) error {
	_, err := os.Stat(path)
	return err
}

// CheckPlace is of systems with owners and modes.
func CheckPlace(dir string) error { return CheckDir(dir) }

// CheckSocket is of systems with owners and modes.
func CheckSocket(path string, _ bool) error {
	_, err := os.Lstat(path)
	return err
}

// Umask is of systems with owners and modes.
func Umask(f func()) { f() }

// Writable is of systems with owners and modes.
func Writable(string) bool { return true }
