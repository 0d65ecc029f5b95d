package journal

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/detour-dns/detour/internal/files"
)

// The history on disk is lines of JSON in two files, so that it can be read with
// anything: what is written to, and what was written before. When the first holds
// Size events, or is large, it takes the second's place.
const (
	current = "events.jsonl"
	before  = "events.old.jsonl"
)

// Bounds of what is read and written.
const (
	maxLine = 1 << 20 // MaxNames names of 253 bytes, twice, and the rest
	maxFile = 32 << 20
)

// rest is how long nothing is written after a write: events come in crowds.
const rest = 200 * time.Millisecond

// retry is how long a disk that failed is left alone.
const retry = 10 * time.Second

// file is the two files. It belongs to the writing goroutine.
type file struct {
	dir   string
	f     *os.File
	lines int
	size  int64
	torn  bool // the last line may be cut short
}

// load reads both files and opens the first for writing.
func (f *file) load() (events []Event, damaged int, err error) {
	for _, name := range []string{before, current} {
		part, bad, rerr := read(filepath.Join(f.dir, name))
		events, damaged = append(events, part...), damaged+bad
		if rerr != nil {
			return nil, damaged, rerr
		}
		f.lines = len(part) + bad
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.ID, b.ID) })
	events = slices.CompactFunc(events, func(a, b Event) bool { return a.ID == b.ID }) // written again after an error
	return events[max(0, len(events)-Size):], damaged, f.open()
}

func (f *file) open() (err error) {
	f.f, err = files.OpenOwn(filepath.Join(f.dir, current), os.O_RDWR|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("history of events: %w", err)
	}
	if f.size, err = f.f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("history of events: %w", err)
	}
	var last [1]byte
	if f.size > 0 {
		_, err = f.f.ReadAt(last[:], f.size-1)
		f.torn = err != nil || last[0] != '\n'
	}
	return nil
}

// read returns the events of a file, in which it trusts no line.
func read(path string) (events []Event, damaged int, err error) {
	f, err := files.OpenOwn(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("history of events: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(io.LimitReader(f, 2*maxFile))
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Kind == "" || e.At.IsZero() {
			damaged++
			continue
		}
		events = append(events, e)
	}
	if lines.Err() != nil { // a line without an end, or a disk that cannot be read
		damaged++
	}
	return events, damaged, nil
}

// write brings events to the disk until the journal is closed.
func (j *Journal) write(f *file) {
	defer close(j.done)
	for {
		select {
		case <-j.wake:
		case <-j.quit:
			_ = j.flush(f)
			_ = f.f.Close() // what could be written is
			return
		}
		wait := rest
		if j.flush(f) != nil {
			wait = retry
			j.signal()
		}
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-j.quit:
			pause.Stop()
		}
	}
}

// signal tells the writer that something waits for it.
func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// flush writes what waits. What cannot be written waits on.
func (j *Journal) flush(f *file) error {
	j.mu.Lock()
	list := j.pending
	j.pending = nil
	j.mu.Unlock()
	err := f.append(list)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.problem = err; err != nil {
		j.pending = append(list, j.pending...)
	}
	return err
}

// append writes events in one write, and waits until the disk has them.
func (f *file) append(events []Event) error {
	if len(events) == 0 {
		return nil
	}
	var b bytes.Buffer
	if f.torn {
		b.WriteByte('\n')
	}
	lines := json.NewEncoder(&b)
	for i := range events {
		if err := lines.Encode(&events[i]); err != nil {
			return fmt.Errorf("history of events: %w", err)
		}
	}
	if err := f.turn(); err != nil {
		return err
	}
	n, err := f.f.Write(b.Bytes())
	f.size += int64(n)
	f.torn = err != nil
	if err == nil {
		f.lines += len(events)
		err = f.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("history of events: %w", err)
	}
	return nil
}

// turn starts the file anew if it is full.
func (f *file) turn() error {
	if f.lines < Size && f.size < maxFile {
		return nil
	}
	path := filepath.Join(f.dir, current)
	if err := os.Rename(path, filepath.Join(f.dir, before)); err != nil {
		return fmt.Errorf("history of events: %w", err)
	}
	_ = f.f.Close() // synced by every write
	f.lines, f.torn = 0, false
	return f.open()
}
