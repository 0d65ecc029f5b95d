package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/detour-dns/detour/config"
	"github.com/detour-dns/detour/internal/files"
	"github.com/detour-dns/detour/internal/journal"
	"github.com/detour-dns/detour/internal/steer"
)

// HandsDir is the folder in the state directory whose *.yaml and *.yml files hold
// overrides as well. It works when the API and its token are gone.
const HandsDir = "overrides.d"

// Bounds of that folder, and how often it is looked at.
const (
	maxHandFiles = 64
	maxStrays    = 8 // that are told of
	maxHandSize  = 64 << 10
	handsEvery   = time.Second
)

// handFile is one file of overrides, as it was last read.
type handFile struct {
	path  string
	text  string
	stray bool // it is not read, by its name
	made  time.Time
	fault string           // why it is not taken, "" if it is
	alien bool             // another user may have made it: it says nothing
	good  []steer.Override // what it said when it was last without a fault
}

type handFiles []handFile

func (h handFiles) list() (out []steer.Override) {
	for i := range h {
		out = append(out, h[i].good...)
	}
	return out
}

// faults are what is wrong with the files.
func (h handFiles) faults() (out []string) {
	for i := range h {
		if h[i].fault != "" {
			out = append(out, h[i].fault)
		}
	}
	return out
}

// strays are the files that are not read and that somebody may think are.
func (h handFiles) strays() (out []string) {
	for i := range h {
		if h[i].stray {
			out = append(out, h[i].path)
		}
	}
	return out
}

// isAlien reports whether a fault is that another user may have made a file.
func (h handFiles) isAlien(fault string) bool {
	return slices.ContainsFunc(h, func(f handFile) bool { return f.alien && f.fault == fault })
}

func (h handFiles) find(path string) *handFile {
	for i := range h {
		if h[i].path == path {
			return &h[i]
		}
	}
	return nil
}

// readHandFiles reads the folder. A folder that is not there has no files. The error
// says what keeps this process from reading it now.
func readHandFiles(dir string) (out handFiles, err error) {
	names, strays, err := handNames(dir)
	if errors.Is(err, files.ErrDistrusted) {
		return handFiles{{path: dir, fault: dir + ": nothing in it is read: " + err.Error(), alien: true}}, nil
	}
	if err != nil {
		return nil, err
	}
	for i, name := range names[:min(len(names), maxHandFiles)] {
		f := handFile{path: filepath.Join(dir, name)}
		if i == maxHandFiles-1 && len(names) > maxHandFiles {
			f.fault = dir + ": more than 64 files, the last ones are not read: put several overrides into one file"
		} else if err := f.read(); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	for _, name := range strays[:min(len(strays), maxStrays)] {
		out = append(out, handFile{path: filepath.Join(dir, name), stray: true})
	}
	return out, nil
}

// handNames returns the names of the folder's files that are read, and of those that
// are not and that somebody may think are.
func handNames(dir string) (names, strays []string, err error) {
	if err := files.CheckDir(dir); errors.Is(err, files.ErrDistrusted) {
		return nil, nil, err
	}
	entries, err := os.ReadDir(dir)
	if _, lack := files.Lack(err); lack && !files.Barred(err) {
		return nil, nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		switch ext := filepath.Ext(name); {
		case strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") || slices.Contains(editors, ext):
		case ext == ".yaml" || ext == ".yml":
			names = append(names, name)
		case !entry.IsDir():
			strays = append(strays, name)
		}
	}
	return names, strays, nil
}

// editors are the endings of what editors and packages leave beside a file.
var editors = []string{".swp", ".swo", ".bak", ".tmp", ".orig", ".dpkg-old", ".dpkg-dist", ".rpmsave", ".rpmnew"}

// read reads the file. The error says what keeps this process from reading it now, and
// is no fault of the file.
func (f *handFile) read() error {
	text, info, err := files.ReadTrusted(f.path, maxHandSize)
	if info != nil {
		f.made = info.ModTime()
	}
	_, lack := files.Lack(err)
	switch {
	case err == nil:
		f.text = string(text)
	case lack && !files.Barred(err):
		return err
	case errors.Is(err, files.ErrTooLarge):
		f.fault = f.path + ": the file is larger than 64 KiB: it is no list of overrides"
	default:
		f.alien = errors.Is(err, files.ErrDistrusted)
		f.unreadable(err)
	}
	return nil
}

func (f *handFile) unreadable(err error) {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	f.fault = f.path + ": cannot be read: " + err.Error()
}

func (h handFiles) same(o handFiles) bool {
	return slices.EqualFunc(h, o, func(a, b handFile) bool {
		return a.path == b.path && a.text == b.text && a.made.Equal(b.made) && (a.text != "" || a.fault == b.fault)
	})
}

// understand reads what files say, for a configuration. A file with a fault keeps
// what it said before.
func (h handFiles) understand(cfg *config.Config, before handFiles) handFiles {
	out := slices.Clone(h)
	for i := range out {
		if f := &out[i]; !f.stray && !f.parse(cfg) {
			if was := before.find(f.path); was != nil && !f.alien {
				f.good = was.good
			}
		}
	}
	return out
}

// parse reads what a file says. It returns false if it has a fault.
func (f *handFile) parse(cfg *config.Config) bool {
	if f.text == "" && f.fault != "" {
		return false
	}
	f.fault = ""
	list, err := cfg.ParseOverrides(f.path, []byte(f.text))
	if f.good = overridesIn(list, f.path, f.made); err != nil {
		f.fault = err.Error()
	}
	return err == nil
}

// handFiles reads the folder of the state directory, and makes it, so that whoever
// needs it finds it.
func (e *Engine) handFiles() handFiles {
	if e.disk.dir == "" {
		return nil
	}
	dir := filepath.Join(e.disk.dir, HandsDir)
	if err := os.MkdirAll(dir, 0o700); err != nil && e.disk.store != nil {
		e.log.Warn("files of overrides cannot be used", "error", err)
	}
	out, err := readHandFiles(dir)
	e.lacks(dir, err)
	return out
}

// takeHandFiles puts the files' overrides in force. It runs on the loop.
func (e *Engine) takeHandFiles(read handFiles) {
	before := e.hands.files
	e.hands.files = read.understand(e.core.Plan.Config, before)
	e.core.SetHands(e.hands.list())
	e.tellHandFiles(before, e.hands.files)
}

// tellHandFiles tells what the files changed.
func (e *Engine) tellHandFiles(before, now handFiles) {
	was, is := before.list(), now.list()
	for _, o := range is {
		again := func(w steer.Override) bool { w.Made = o.Made; return w == o } // the file was touched
		if !slices.ContainsFunc(was, again) {
			e.tellOverride(&o, byFile+o.From)
		}
	}
	for _, o := range was {
		if !slices.ContainsFunc(is, func(n steer.Override) bool { return n.Target == o.Target && n.From == o.From }) {
			e.tellHand(journal.Override, o.Target, "override on "+people(o.Target)+lifted(false), "", byFile+o.From)
		}
	}
	e.tellHandTrouble(before, now)
}

// tellHandTrouble tells of files that are not taken, and of those that are not read.
func (e *Engine) tellHandTrouble(before, now handFiles) {
	for _, path := range now.strays() {
		if !slices.Contains(before.strays(), path) {
			e.log.Warn("file in "+HandsDir+" not read, its name does not end in .yaml: rename it if it holds overrides", "file", path)
		}
	}
	for _, fault := range now.faults() {
		if !slices.Contains(before.faults(), fault) {
			said := "file of overrides not taken, what it said before stays"
			if now.isAlien(fault) {
				said = "file of overrides ignored, another user may have made it"
			}
			e.log.Error(said, "fault", fault)
			e.record(journal.Event{Kind: journal.Override, Text: said + ": " + fault})
		}
	}
}

// watchHandFiles follows the folder until the engine ends.
func (e *Engine) watchHandFiles(dir string, last handFiles) {
	t := time.NewTicker(handsEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-e.stop:
			return
		}
		now, err := readHandFiles(dir)
		if e.Lacks(dir, err); err != nil || now.same(last) {
			continue // what cannot be read now stays as it was
		}
		last = now
		if e.Do(func(*Core) { e.takeHandFiles(now); e.publish(time.Now()) }) != nil {
			return
		}
	}
}
