package config

import "strings"

// nearest returns the candidate that name most likely stands for, or "" when
// none is close.
func nearest(name string, candidates []string) string {
	best, bestDistance := "", 1+max(2, len(name)/3)
	for _, c := range candidates {
		if d := distance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best != "" {
		return best
	}
	// data-dir stands for data, password for admin-password-file.
	for _, c := range candidates {
		if len(name) >= 4 && strings.Contains(c, name) || len(c) >= 4 && strings.Contains(name, c) {
			return c
		}
	}
	return ""
}

// distance is the number of single-character insertions, deletions,
// replacements and swaps of neighbours between a and b.
func distance(a, b string) int {
	row := func(n int) []int { return make([]int, n+1) }
	before, last, now := row(len(b)), row(len(b)), row(len(b))
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}
