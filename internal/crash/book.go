package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/internal/files"
)

// Dir is where all this is kept, in the state directory.
const Dir = "crash"

// Files in it. The reports of the last crashes are beside them.
const (
	outputFile  = "output"       // what the runtime says of this process's end
	historyFile = "history.json" // of the processes before
	nextFile    = "next.yaml"    // the configuration that is on trial
	goodFile    = "good.yaml"    // the last one that ran well
	reports     = "report-*.txt"
)

const (
	maxFile    = 16 << 20 // bytes of a configuration, as package config has it
	maxOutput  = 1 << 20  // bytes of a report that are kept
	maxReports = 3
	maxTaken   = 64 << 10 // bytes of lines of ours, of which only the last one counts
)

// noting is the book that the runtime writes this process's end into.
var noting atomic.Pointer[Book]

// Book is the history of one state directory, with what this process adds to it.
// Its methods are safe for concurrent use, and do nothing on a nil Book.
type Book struct {
	dir     string
	file    string // path of the configuration
	version string
	out     *os.File

	writing sync.Mutex // guards the files

	mu      sync.Mutex // guards what follows; never held while a disk works
	history History
	config  string // on trial, "" if none is
	taken   time.Time
}

// Open reads what the process before left in a state directory that no other process
// uses, and has the runtime say there what ends this one, as well as on standard
// error. File is the path of the configuration. Last is the crash that ended the
// process before, nil if that was none. A process has one such place: that of the
// book that was opened last.
//
// What cannot be read is left out. With an error the book is nil.
func Open(stateDir, file, version string, now time.Time) (b *Book, last *Crash, err error) {
	b = &Book{dir: filepath.Join(stateDir, Dir), file: file, version: version}
	if err := files.MakeDir(b.dir); err != nil {
		return nil, nil, fmt.Errorf("directory for crashes: %w", err)
	}
	b.history = readHistory(b.dir)
	last, err = b.take(now)
	if err != nil {
		return nil, last, err
	}
	if b.out, err = files.OpenOwn(b.path(outputFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND); err != nil {
		return nil, last, fmt.Errorf("file for crashes: %w", err)
	}
	if err := debug.SetCrashOutput(b.out, debug.CrashOptions{}); err != nil {
		_ = b.out.Close()
		return nil, last, fmt.Errorf("file for crashes: %w", err)
	}
	noting.Store(b)
	return b, last, nil
}

// take takes what the process before left into the history.
func (b *Book) take(now time.Time) (*Crash, error) {
	info, err := os.Lstat(b.path(outputFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil, nil //nolint:nilnil // nothing crashed
	}
	if err != nil {
		return nil, fmt.Errorf("what ended the last process: %w", err)
	}
	data, err := readFile(b.path(outputFile), maxOutput)
	if err != nil {
		return nil, fmt.Errorf("what ended the last process: %w", err)
	}
	r := parse(data)
	if r.text == "" {
		return nil, nil //nolint:nilnil // nothing crashed
	}
	c := Crash{At: info.ModTime(), Config: r.config, Version: r.version, Text: r.text, Where: r.where}
	if c.At.After(now) {
		c.At = now
	}
	if !r.taken.IsZero() {
		c.Ran = max(0, c.At.Sub(r.taken))
	}
	c.Report = b.keepReport(data, c.At)
	b.history.add(c)
	return &c, b.write()
}

// keepReport keeps all that the runtime said beside the last few, and returns where,
// "" if that cannot be.
func (b *Book) keepReport(data []byte, at time.Time) string {
	path := b.path("report-" + at.UTC().Format("20060102T150405.000") + ".txt")
	if files.WriteOwn(path, func(f *os.File) error { _, err := f.Write(data); return err }) != nil {
		return ""
	}
	all, _ := filepath.Glob(b.path(reports)) // the pattern is well formed
	slices.Sort(all)
	for _, old := range all[:max(0, len(all)-maxReports)] {
		_ = os.Remove(old) // one more than there should be harms nobody
	}
	return path
}

// Against returns the crashes that speak against a configuration, oldest first, none
// if it may be tried.
func (b *Book) Against(hash string) []Crash {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.history.against(hash, b.version)
}

// Good returns the content of the configuration that ran well last.
func (b *Book) Good() ([]byte, error) {
	if b == nil {
		return nil, ErrNone
	}
	data, _, err := readGood(b.dir, b.file)
	return data, err
}

// ReadGood returns the content of the configuration that ran well last, read from a
// path, and when its trial was over. The state directory may be in use.
func ReadGood(stateDir, file string) (data []byte, at time.Time, err error) {
	dir := filepath.Join(stateDir, Dir)
	for _, d := range []string{stateDir, dir} { // who writes there would choose the configuration
		switch err := files.CheckDir(d); {
		case errors.Is(err, fs.ErrNotExist):
			return nil, at, ErrNone
		case err != nil:
			return nil, at, err
		}
	}
	return readGood(dir, file)
}

// ErrNone is returned where there is no configuration to go back to.
var ErrNone = errors.New("no configuration is known to have run well")

func readGood(dir, file string) (data []byte, at time.Time, err error) {
	good := readHistory(dir).Good
	if good.Hash == "" || good.Path != file {
		return nil, at, ErrNone
	}
	path := filepath.Join(dir, goodFile)
	data, err = readFile(path, maxFile)
	if err == nil && hashOf(data) != good.Hash {
		err = fmt.Errorf("%s is not what was written there", path)
	}
	if err != nil {
		return nil, at, err
	}
	return data, good.At, nil
}

// readHistory reads a history: none is as good as one that cannot be read.
func readHistory(dir string) (h History) {
	data, err := readFile(filepath.Join(dir, historyFile), maxOutput)
	if err != nil || json.Unmarshal(data, &h) != nil {
		return History{}
	}
	return h
}

// Takes notes that the configuration with a hash is in use from now on. If the file
// holds another one meanwhile it cannot be gone back to later.
func (b *Book) Takes(hash string, now time.Time) error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	known := hash == b.history.Good.Hash
	b.config, b.taken = hash, now
	b.mu.Unlock()
	b.writing.Lock()
	defer b.writing.Unlock()
	if err := b.say(takenLine(hash, b.version, now)); err != nil {
		return fmt.Errorf("file for crashes: %w", err)
	}
	if known {
		return nil
	}
	data, err := files.Read(b.file, maxFile)
	if err != nil || hashOf(data) != hash {
		err = os.Remove(b.path(nextFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	return b.replace(nextFile, data)
}

// Tries notes that the configuration with a hash is about to be in use: a crash over it
// that comes before Takes is its own. Where it does not come to be in use the one that
// is must be noted anew.
func (b *Book) Tries(hash string, now time.Time) error {
	if b == nil {
		return nil
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.say(takenLine(hash, b.version, now))
}

// say writes a line before what the runtime may write. A file that is edited every few
// seconds must not fill the disk.
func (b *Book) say(line string) error {
	info, err := b.out.Stat()
	if err != nil {
		return err
	}
	if info.Size() > maxTaken {
		if err := b.out.Truncate(0); err != nil {
			return err
		}
	}
	_, err = b.out.WriteString(line)
	return err
}

// Passed returns, once, the hash of the configuration in use when its trial is over.
func (b *Book) Passed(now time.Time) (hash string, ok bool) {
	if b == nil {
		return "", false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.config == "" || now.Sub(b.taken) < Trial {
		return "", false
	}
	hash, b.config = b.config, ""
	return hash, true
}

// RanWell keeps a configuration that passed its trial as the one to go back to.
func (b *Book) RanWell(hash string, now time.Time) error {
	if b == nil {
		return nil
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	data, err := readFile(b.path(nextFile), maxFile)
	kept := err == nil && hashOf(data) == hash
	if kept {
		if err := os.Rename(b.path(nextFile), b.path(goodFile)); err != nil {
			return fmt.Errorf("configuration to go back to: %w", err)
		}
	}
	b.mu.Lock()
	b.history.acquit(hash)
	if kept || hash == b.history.Good.Hash {
		b.history.Good = Good{Hash: hash, Path: b.file, At: now}
	}
	b.mu.Unlock()
	return b.write()
}

// Close ends the noting of this process's end.
func (b *Book) Close() error {
	if b == nil {
		return nil
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	var err error
	if noting.CompareAndSwap(b, nil) {
		err = debug.SetCrashOutput(nil, debug.CrashOptions{})
	}
	return errors.Join(err, b.out.Close())
}

func (b *Book) write() error {
	b.mu.Lock()
	data, err := json.MarshalIndent(b.history, "", "  ")
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("history of crashes: %w", err)
	}
	return b.replace(historyFile, data)
}

// replace writes a file that is whole at any moment.
func (b *Book) replace(name string, data []byte) error {
	err := files.WriteOwn(b.path(name), func(f *os.File) error { _, err := f.Write(data); return err })
	if err != nil {
		return fmt.Errorf("file for crashes: %w", err)
	}
	return nil
}

func (b *Book) path(name string) string { return filepath.Join(b.dir, name) }

// readFile reads a file of ours up to a size, and nothing that is not a file.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := files.OpenOwn(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, limit))
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
