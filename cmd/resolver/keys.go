package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// keys gives the keys that are typed on a terminal as they are, and what gives the terminal
// back. From anything else there are none.
func keys(in io.Reader) (typed <-chan byte, restore func()) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}
	}
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, func() {}
	}
	out := make(chan byte)
	go read(f, out) // ends with the process: a read of a terminal cannot be ended
	return out, func() { _ = term.Restore(int(f.Fd()), before) }
}

// read sends what is typed, arrows as the keys that do the same.
func read(in io.Reader, out chan<- byte) {
	buf := make([]byte, 64)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		for _, k := range arrows(buf[:n]) {
			out <- k
		}
	}
}

// arrows replaces the sequences of arrow keys (ECMA-48: ESC [ A and B, or ESC O A and B)
// by k and j. Terminals send each sequence whole.
func arrows(typed []byte) (out []byte) {
	for i := 0; i < len(typed); i++ {
		if typed[i] != keyEsc || i+2 >= len(typed) || typed[i+1] != '[' && typed[i+1] != 'O' {
			out = append(out, typed[i])
			continue
		}
		switch i += 2; typed[i] {
		case 'A':
			out = append(out, keyUp)
		case 'B':
			out = append(out, keyDown)
		}
	}
	return out
}
