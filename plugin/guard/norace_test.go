//go:build !race

package guard

// underRace says that the race detector runs, which makes all slower.
const underRace = false
