package config

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/detour-dns/detour/internal/files"
)

// maxToken bounds the token in a file.
const maxToken = 4 << 10

// ReadToken returns the one token that a file holds, "" if path is "". No error
// shows what is in the file.
func ReadToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := files.Read(path, 2*maxToken) // with the space around it
	data = bytes.TrimSpace(data)
	switch {
	case err != nil && !errors.Is(err, files.ErrTooLarge):
		return "", fmt.Errorf("token_file: %w", err)
	case len(data) == 0 || len(data) > maxToken || bytes.ContainsFunc(data, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("token_file does not hold one token, printable and without spaces: put its secret ID there, alone")
	}
	return string(data), nil
}
