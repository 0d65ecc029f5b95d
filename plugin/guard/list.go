package guard

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/guard"
)

// matched is how a name is guarded.
type matched uint8

const (
	unguarded matched = iota // not at all
	listed                   // by its own name
	patterned                // by a pattern
)

// list is what a guard guards.
type list struct {
	named    map[string]bool // in the Corefile, presets included
	filed    atomic.Pointer[map[string]bool]
	patterns []*slot
	denied   map[string]bool // names, and "*.base." for all below

	file string
	open func(path string, limit int64) ([]byte, error) // files.Read, but in tests
	seen [sha256.Size]byte                              // of the file, when it was read last

	reading atomic.Bool // the file is being read
	read    guard.Stamp // when that began last; this and the next are the beat's
	hung    bool        // told that it does not end
	lack    bool        // told that this process cannot read it now; this is the reading goroutine's
}

// slot is a pattern and how many names it guards.
type slot struct {
	guard.Pattern
	used atomic.Int32
}

// take takes one of the pattern's places, if there is any. Names that one client alone
// asked for take half of them at most.
func (s *slot) take(alone bool) bool {
	most := s.Most
	if alone {
		most = (most + 1) / 2
	}
	if int(s.used.Add(1)) <= most {
		return true
	}
	s.used.Add(-1)
	return false
}

func newList() *list {
	return &list{named: map[string]bool{}, denied: map[string]bool{}, open: files.Read}
}

// match says how a name, in lower case, is guarded.
func (l *list) match(name string) (matched, *slot) {
	if l.isListed(name) {
		if l.isDenied(name) {
			return unguarded, nil
		}
		return listed, nil
	}
	for _, p := range l.patterns {
		if strings.HasSuffix(name, p.Base) && p.Covers(name) && guard.Special(name) == "" && !l.isDenied(name) {
			return patterned, p
		}
	}
	return unguarded, nil
}

func (l *list) isListed(name string) bool {
	if l.named[name] {
		return true
	}
	f := l.filed.Load()
	return f != nil && (*f)[name]
}

func (l *list) isDenied(name string) bool {
	if len(l.denied) == 0 {
		return false
	}
	if l.denied[name] {
		return true
	}
	for rest := range ancestors(name) {
		if l.denied["*."+rest] {
			return true
		}
	}
	return false
}

// ancestors yields the names above one, the root left out.
func ancestors(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, rest, ok := strings.Cut(name, "."); ok && rest != "" && yield(rest); _, rest, ok = strings.Cut(rest, ".") {
		}
	}
}

// Bounds of a file of names.
const (
	maxFile  = 8 << 20 // bytes
	maxNames = 200_000
)

// readFile reads the file of names, one a line, `#` begins a comment. All faults
// are told at once, and then nothing of it is taken.
func (l *list) readFile() error {
	text, err := l.open(l.file, maxFile)
	switch why, lack := files.Lack(err); {
	case errors.Is(err, files.ErrTooLarge):
		return fmt.Errorf("%s is larger than %d MiB", l.file, maxFile>>20)
	case lack:
		return fmt.Errorf("%w: %s", err, why)
	case err != nil:
		return fmt.Errorf("%w; it must be a text file with one name a line", err)
	}
	sum := sha256.Sum256(text)
	if sum == l.seen {
		return nil
	}
	l.seen = sum
	names, err := parseNames(l.file, text)
	if err != nil {
		return err
	}
	l.filed.Store(&names)
	return nil
}

func parseNames(file string, text []byte) (map[string]bool, error) {
	names := map[string]bool{}
	var faults []string
	s := bufio.NewScanner(bytes.NewReader(text))
	for line := 1; s.Scan(); line++ {
		word, _, _ := strings.Cut(s.Text(), "#")
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		name, err := guard.CheckName(word)
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s:%d: %v", file, line, err))
			continue
		}
		names[name] = true
	}
	switch {
	case s.Err() != nil:
		return nil, fmt.Errorf("%s: %w", file, s.Err())
	case len(names) > maxNames:
		return nil, fmt.Errorf("%s: %d names are more than the %d that a guard keeps", file, len(names), maxNames)
	case len(faults) > 0:
		return nil, fmt.Errorf("%s", strings.Join(faults, "\n"))
	}
	return names, nil
}

// reread is how often the file of names is read again.
const reread = 5 * time.Second

// refresh begins to read the file again when that is due, and calls changed if the
// names did. It does not wait: a file on a disk that hangs holds up nothing else.
func (l *list) refresh(now guard.Stamp, changed func()) {
	since := now.Sub(l.read)
	switch {
	case l.file == "" || since >= 0 && since < reread:
		return
	case l.reading.Load():
		if !l.hung {
			l.hung = true
			log.Errorf("%s does not answer since %s: the names to guard stay as they were", l.file, l.read.Time().UTC().Format(time.TimeOnly))
		}
		return
	case l.hung:
		l.hung = false
		log.Infof("%s answers again", l.file)
	}
	l.read = now
	l.reading.Store(true)
	go func() {
		defer survive(l.file)
		defer l.reading.Store(false)
		l.reread(changed)
	}()
}

// reread reads the file again. One with faults changes nothing, and is told of once.
func (l *list) reread(changed func()) {
	before := l.seen
	err := l.readFile()
	_, lack := files.Lack(err)
	switch {
	case lack && !l.lack:
		log.Warningf("The names to guard stay as they were, and are read again in %v: %v", reread, err)
	case before == l.seen:
	case err != nil:
		log.Errorf("The names to guard stay as they were: %v", err)
	default:
		changed()
	}
	l.lack = lack
}
