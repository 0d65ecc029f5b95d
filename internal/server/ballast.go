package server

import "sync"

// How many goroutines are parked, and how much of its stack each holds. The sum
// costs 2 MB.
const (
	ballastCount = 256
	ballastFrame = 5 << 10
)

// ballast parks goroutines that hold deep stacks, until release is called.
//
// A new goroutine serves every packet. The runtime gives it a stack as large as
// the average that it found in use at the last collection; a resolver's other
// goroutines are few and shallow, so that it starts with 2 KB, and every query
// pays for growing it twice. With these in the average it starts with 8 KB.
// docs/adr/0009 has the figures. Turned off by `serve --no-ballast`.
func ballast() (release func()) {
	end := make(chan struct{})
	var wg sync.WaitGroup
	for range ballastCount {
		wg.Go(func() { park(end) })
	}
	return func() {
		close(end)
		wg.Wait()
	}
}

// park waits for end with a frame of ballastFrame on the stack.
//
//go:noinline
func park(end <-chan struct{}) byte {
	var frame [ballastFrame]byte
	touch(&frame)
	<-end
	return frame[ballastFrame-1]
}

//go:noinline
func touch(frame *[ballastFrame]byte) { frame[0] = 1 }
