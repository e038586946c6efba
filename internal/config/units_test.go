package config_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/config"
)

func TestDurationsAreReadInDaysToo(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "168h": 168 * time.Hour, "7d": 168 * time.Hour,
		"1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, "1h30m": 90 * time.Minute, " 5m ": 5 * time.Minute, "0d": 0, "0s": 0,
	} {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestUnusableDurationsAreRefusedWithAnExample(t *testing.T) {
	for text, want := range map[string]string{
		"60": "60s", "": "not a duration", "d": "not a duration", "-5m": "negative", "-1d": "negative", "-1d48h": "negative", "1d-1h": "not a duration",
		"five": "not a duration", "1h1d": "not a duration", "NaNd": "not a duration", "99999999d": "not a duration",
		"1d9999999h": "not a duration", "1d 1h": "not a duration", "9999999999h": "not a duration", "36500d2562047h": "not a duration",
	} {
		if d, err := config.ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", text, d, err, want)
		}
	}
}

func TestSizesAreReadInUnitsOf1024And1000(t *testing.T) {
	for text, want := range map[string]int64{
		"8MiB": 8 << 20, "8 MiB": 8 << 20, "512KiB": 512 << 10, "1GiB": 1 << 30, "8MB": 8e6, "3kB": 3000, "3KB": 3000, "17B": 17, "8388608": 8 << 20, "0": 0,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "not a size", "8M": "8MiB", "big": "not a size", "-1": "negative", "-1MiB": "negative",
		"99999999999999999999": "too large", "9999999999GiB": "too large", "1.5MiB": "not a size",
	} {
		if n, err := config.ParseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want an error with %q", text, n, err, want)
		}
	}
}

func TestWrittenUnitsAreReadBackUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(t, "unit")
		d := time.Duration(rapid.Int64Range(0, 2_000_000).Draw(t, "n")) * unit
		if back, err := config.ParseDuration(config.FormatDuration(d)); err != nil || back != d {
			t.Fatalf("%v written %q reads %v, %v", d, config.FormatDuration(d), back, err)
		}
		n := rapid.Int64Min(0).Draw(t, "size")
		if back, err := config.ParseSize(config.FormatSize(n)); err != nil || back != n {
			t.Fatalf("%v written %q reads %v, %v", n, config.FormatSize(n), back, err)
		}
	})
}

func TestDefaultsAreWrittenAsDocumented(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"60s": time.Minute, "30s": 30 * time.Second, "1h": time.Hour, "24h": 24 * time.Hour, "168h": 168 * time.Hour, "720h": 720 * time.Hour, "15m": 15 * time.Minute, "1h30m": 90 * time.Minute, "0": 0, "1m30.5s": 90*time.Second + 500*time.Millisecond,
	} {
		if got := config.FormatDuration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"7d", "8MiB", "1d12h", "60", "-1d", "1e3d", "9223372036854775807", "0x1p-2d", "infd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := config.ParseDuration(text); err == nil {
			if d < 0 {
				t.Fatalf("%q is read as %v", text, d)
			}
			if back, err := config.ParseDuration(config.FormatDuration(d)); err != nil || back != d {
				t.Fatalf("%q is %v, written %q, read %v, %v", text, d, config.FormatDuration(d), back, err)
			}
		}
		if n, err := config.ParseSize(text); err == nil && n < 0 {
			t.Fatalf("%q is read as %d", text, n)
		}
	})
}
