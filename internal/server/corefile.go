package server

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/coredns/caddy"
	"github.com/coredns/caddy/caddyfile"

	"github.com/detour-dns/detour/config"
)

// builtIn is the name of the Corefile inside the binary, as messages show it.
const builtIn = "built-in Corefile"

// besideCorefile makes the folder of a Corefile the working one, from which CoreDNS and
// its plugins take paths that are not absolute: a unit, an image and a shell start in
// different ones. It returns the Corefile's absolute path and the way back.
func besideCorefile(path string) (abs string, back func()) {
	back = func() {}
	if path == "" {
		return "", back
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path, back
	}
	was, err := os.Getwd()
	if err == nil && os.Chdir(filepath.Dir(abs)) == nil { // else reading it says why
		back = func() { _ = os.Chdir(was) }
	}
	return abs, back
}

// maxCorefile keeps a path that names something else, such as a device, from
// taking the memory.
const maxCorefile = 16 << 20

// read returns the Corefile at path afresh, or the built-in one if path is "".
// No other place is ever looked at: a file that happens to be named Corefile in
// the working directory is not ours.
func read(path string) (caddy.CaddyfileInput, error) {
	if path == "" {
		return input(builtIn, config.DefaultCorefile()), nil
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return caddy.CaddyfileInput{}, fmt.Errorf("there is no file %s: name your Corefile with --config, or leave that out for the built-in one: %w", path, err)
	case err != nil:
		return caddy.CaddyfileInput{}, fmt.Errorf("cannot read the Corefile: %w", err)
	case info.IsDir():
		return caddy.CaddyfileInput{}, fmt.Errorf("%s is a folder: name the Corefile in it", path)
	case info.Size() > maxCorefile:
		return caddy.CaddyfileInput{}, fmt.Errorf("%s is larger than 16 MiB: that is no Corefile", path)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return caddy.CaddyfileInput{}, fmt.Errorf("cannot read the Corefile: %w", err)
	}
	return input(path, body), nil
}

func input(path string, body []byte) caddy.CaddyfileInput {
	return caddy.CaddyfileInput{Filepath: path, Contents: body, ServerTypeName: "dns"}
}

// hash is a SHA-512, because stock `reload` shows that in its log and metric.
type hash = [sha512.Size]byte

// fingerprint is of what a Corefile means: its tokens, with imported files and
// variables in place. Comments and white space do not count.
func fingerprint(in caddy.Input) hash {
	blocks, err := caddyfile.Parse(in.Path(), bytes.NewReader(in.Body()), nil)
	if err != nil {
		return sha512.Sum512(in.Body())
	}
	text, err := json.Marshal(blocks)
	if err != nil {
		text = in.Body()
	}
	return sha512.Sum512(text)
}
