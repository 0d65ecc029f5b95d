// Package crash remembers what ended the processes before this one, so that a
// configuration which ends the program again and again is not tried for ever, and
// so that a person learns why from more than a log that is gone.
//
// Only what the Go runtime itself reports counts: a panic that nobody recovered, or
// a fatal error. A process that was killed, had no memory left in its container or
// lost its power did not end by a fault of its own.
package crash

import (
	"slices"
	"time"
)

// Trial is how long a configuration must be in use to have run well. What crashes
// after a change does so within minutes: on 29 October 2025 Azure Front Door's data
// plane took a configuration that passed its checks, and crashed asynchronously.
const Trial = 10 * time.Minute

// Limit is how many crashes within their trial speak against a configuration. One
// may be a coincidence.
const Limit = 2

// maxCrashes bounds a history; of more the oldest are forgotten.
const maxCrashes = 16

// Crash is one end of a process by a fault of the program.
type Crash struct {
	At      time.Time     `json:"at"`
	Config  string        `json:"config"` // hash of the configuration in use, "" if none was yet
	Ran     time.Duration `json:"ran"`    // since that was taken, not negative
	Version string        `json:"version"`
	Text    string        `json:"text"`             // the first line of what the runtime said, printable, at most 300 characters
	Where   string        `json:"where,omitempty"`  // the first function of this program on its stack, with file and line
	Report  string        `json:"report,omitempty"` // path of all that the runtime said
}

// History is what is known of the processes before.
type History struct {
	Crashes []Crash `json:"crashes"` // oldest first
	Good    Good    `json:"good"`
}

// Good is the configuration that ran well last.
type Good struct {
	Hash string    `json:"hash,omitempty"` // "": there is none
	Path string    `json:"path,omitempty"` // of the file that it was read from
	At   time.Time `json:"at,omitzero"`    // when its trial was over
}

// add notes a crash.
func (h *History) add(c Crash) {
	h.Crashes = append(h.Crashes, c)
	h.Crashes = slices.Delete(h.Crashes, 0, max(0, len(h.Crashes)-maxCrashes))
}

// acquit notes that a configuration passed its trial: what it was blamed for before
// was something else.
func (h *History) acquit(hash string) {
	h.Crashes = slices.DeleteFunc(h.Crashes, func(c Crash) bool { return c.Config == hash })
}

// against returns the crashes within their trial that one version of the program
// had with a configuration, if they are so many that it should not be tried again.
// Another version may have mended what ended this one.
func (h *History) against(hash, version string) []Crash {
	var out []Crash
	for _, c := range h.Crashes {
		if c.Config == hash && c.Version == version && c.Ran < Trial {
			out = append(out, c)
		}
	}
	if len(out) < Limit {
		return nil
	}
	return out
}
