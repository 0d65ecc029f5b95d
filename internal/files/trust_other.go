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
