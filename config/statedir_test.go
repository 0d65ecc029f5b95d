package config

import "testing"

// TestStateDirOfAFaultyFile: where the state is must be found in a file that nothing
// else can be told of, for what to go back to is there.
func TestStateDirOfAFaultyFile(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/default")
	for text, want := range map[string]string{
		"":                                      "/default",
		"services: {a: 1}\n":                    "/default",
		"state: {dir: /a/b}\nservices: 3\n":     "/a/b",
		"state: {dir: \"/a/b\"}\nservices: [\n": "/a/b",
		"state:\n  dir: /a/b # here\nx: {\n":    "/a/b",
		"state: # kept\n\n  # why\n  dir: '/a/b/'\r\nx: {\n":    "/a/b",
		"x: {\nstate: {dir: relative}\n":                        "/default",
		"x: 1\n  state: {dir: /a/b}\n\t- z: [\n":                "/default",
		"state: [dir, /a]\n":                                    "/default",
		"state: {dir: [/a]}\n":                                  "/default",
		"overrides:\n  - {target: a}\nstate: {dir: /c}\ny: %\n": "/c",
	} {
		if got := StateDir([]byte(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
