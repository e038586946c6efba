//go:build !linux

package bulk

func peakKiB() int { return 0 }
