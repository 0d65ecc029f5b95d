package config

import (
	"slices"
	"strings"
)

// Bounds of a search for the nearest name: a file that is nothing but typing
// errors must not cost more than a moment.
const (
	maxSuggestLen        = 64     // bytes of a word
	maxSuggestCandidates = 20_000 // words that are looked at
	maxSuggestFaults     = 50     // faults before which names are suggested
)

// nearest returns the candidate closest to word, if one is close enough to be
// what was meant: at most a third of its letters differ.
func nearest(word string, candidates []string) (string, bool) {
	if len(word) > maxSuggestLen {
		return "", false
	}
	best, bestAt := "", max(len(word)/3, 1)+1
	for _, c := range candidates[:min(len(candidates), maxSuggestCandidates)] {
		if len(c) > maxSuggestLen || max(len(c), len(word))-min(len(c), len(word)) >= bestAt {
			continue
		}
		if at := distance(strings.ToLower(word), c); at < bestAt {
			best, bestAt = c, at
		}
	}
	return best, best != ""
}

// suggest ends a message about an unknown word: with the nearest known one, or
// with all of them if they are few.
func suggest(word string, candidates []string) string {
	if near, ok := nearest(word, candidates); ok {
		return "did you mean " + near + "?"
	}
	const few = 40
	if len(candidates) == 0 || len(candidates) > few {
		return "there is none of that name"
	}
	list := slices.Sorted(slices.Values(candidates))
	return "use one of " + strings.Join(list, ", ")
}

// suggest is as the function, for names out of the file, which may be many.
func (d *decoder) suggest(word string, names func() []string) string {
	if len(d.faults) >= maxSuggestFaults {
		return "there is none of that name"
	}
	return suggest(word, names())
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbor to make b of a.
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+differ(a[i-1], b[j-1]))
			if swapped(a, b, i, j) {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

func differ(a, b byte) int {
	if a == b {
		return 0
	}
	return 1
}

func swapped(a, b string, i, j int) bool {
	return i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1]
}
