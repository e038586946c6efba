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
	d := make([][]int, len(a)+1) // between the first i characters of a and the first j of b
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
			case a[i-1] == b[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j-1], d[i-1][j], d[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], 1+d[i-2][j-2])
			}
		}
	}
	return d[len(a)][len(b)]
}
