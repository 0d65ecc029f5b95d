package server

import "strings"

// suggest returns the directive nearest to a word that is none, or "": at most
// a third of its letters may differ.
func suggest(word string) string {
	best, least := "", max(len(word)/3, 1)+1
	for _, d := range directives {
		if n := distance(strings.ToLower(word), d); n < least {
			best, least = d, n
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace to make b of a.
func distance(a, b string) int {
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, change)
		}
		last = row
	}
	return last[len(b)]
}
