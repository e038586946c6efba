package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	day     = 24 * time.Hour
	maxDays = 36500
)

// ParseDuration reads a duration such as "90s", "1h30m", "7d" or "1d12h". It
// is time.ParseDuration plus days of 24 hours. A number needs its unit, except
// 0. Negative durations are errors.
func ParseDuration(text string) (time.Duration, error) {
	s := strings.TrimSpace(text)
	if _, err := strconv.ParseFloat(s, 64); err == nil && s != "0" {
		return 0, fmt.Errorf("%q has no unit, write for example %ss, %sm or %sh", text, s, s, s)
	}
	head, rest, hasDays := strings.Cut(s, "d")
	if !hasDays {
		head, rest = "0", s
	} else if rest == "" {
		rest = "0"
	}
	days, wrong := strconv.ParseFloat(head, 64)
	d, err := time.ParseDuration(rest)
	// The bounds keep the sum from overflowing.
	inBounds := math.Abs(days) <= maxDays && (!hasDays || d >= 0 && d <= maxDays*day)
	switch {
	case wrong != nil || err != nil || !inBounds:
		return 0, fmt.Errorf("%q is not a duration, write for example 90s, 15m, 1h30m or 7d", text)
	case days < 0 || d < 0:
		return 0, fmt.Errorf("%q is negative", text)
	}
	return time.Duration(days*float64(day)) + d, nil
}

// FormatDuration writes d as ParseDuration reads it, without units that are
// zero: "60s" stays in seconds below two minutes, "168h" in hours.
func FormatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < 2*time.Minute && d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if head, ends := strings.CutSuffix(s, zero); ends {
			s = head + zero[:1]
		}
	}
	return s
}

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are tried in this order, so that "MiB" is not read as "B".
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
	}
}

// ParseSize reads a number of bytes such as "8MiB" (1024s), "8MB" (1000s) or
// "8388608". Negative sizes are errors.
func ParseSize(text string) (int64, error) {
	s := strings.TrimSpace(text)
	factor := int64(1)
	for _, u := range sizeUnits() {
		if head, found := strings.CutSuffix(s, u.name); found {
			s, factor = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is too large", text)
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a size, write for example 512KiB or 8MiB", text)
	}
	if n < 0 {
		return 0, fmt.Errorf("%q is negative", text)
	}
	return n * factor, nil
}

// FormatSize writes n bytes in the largest unit of 1024s that divides it.
func FormatSize(n int64) string {
	for _, u := range sizeUnits()[:3] {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
