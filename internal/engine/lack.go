package engine

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/journal"
)

// Lacks notes that a file or a folder cannot be read now because this process or its
// machine lacks something, or that it can be read again where err is nil. That is no
// fault of the file: what is in use stays, and whoever reads it tries again.
func (e *Engine) Lacks(path string, err error) { _ = e.Do(func(*Core) { e.lacks(path, err) }) }

// lacks is Lacks on the loop.
func (e *Engine) lacks(path string, err error) {
	before, told := e.lacking[path]
	if err == nil {
		if told {
			delete(e.lacking, path)
			e.tellLack(path + " can be read again")
		}
		return
	}
	why, ok := files.Lack(err)
	if !ok {
		why = err.Error()
	}
	var at *fs.PathError
	if errors.As(err, &at) && files.Barred(err) {
		why += " (" + at.Path + ")"
	}
	if e.lacking == nil {
		e.lacking = map[string]string{}
	}
	if e.lacking[path] = why; before != why {
		e.tellLack(path + " cannot be read now, what is in use stays, it is tried again: " + why)
	}
}

func (e *Engine) tellLack(text string) {
	e.log.Warn(text)
	e.record(journal.Event{At: time.Now(), Kind: journal.State, Text: text})
}

// lackings says what cannot be read now.
func (e *Engine) lackings() (out []string) {
	for _, path := range slices.Sorted(maps.Keys(e.lacking)) {
		out = append(out, path+" cannot be read now: "+e.lacking[path])
	}
	return out
}
