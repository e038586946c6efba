package catalog

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

func TestEqualDecimalsHaveOneSpelling(t *testing.T) {
	for want, spellings := range map[string][]string{
		"25":       {"25", "25.00", "025.0", "+25", "25.", "2.5e1", "250E-1", "0.25e+2", "25e0", "0000025.000e-0"},
		"0":        {"0", "-0", "0.00", "-0.0e5", ".0", "0.", "+00", "0e1000"},
		"-0.5":     {"-.5", "-0.50", "-5e-1", "-000.5"},
		"19.99":    {"19.99", "019.990", "1999e-2", "0.1999e2"},
		"-25":      {"-25", "-025", "-25.0", "-2.5e1"},
		"0.001":    {"1e-3", ".001", "0.0010", "0.1e-2"},
		"1200":     {"1200", "1.2e3", "12E2", "120000e-2"},
		"100.0001": {"100.0001", "1000001e-4", "1.000001e2"},
		"123456789012345678901234567890.123456789": {"123456789012345678901234567890.123456789", "0123456789012345678901234567890.1234567890"},
	} {
		for _, s := range spellings {
			if got, ok := CanonicalDecimal(s); !ok || got != want {
				t.Errorf("CanonicalDecimal(%q) = %q, %t; want %q", s, got, ok, want)
			}
		}
	}
}

func TestWhatIsNoDecimalIsRefused(t *testing.T) {
	for _, s := range []string{
		"", ".", "-", "+", "-.", "e5", ".e5", "1e", "1e+", "1e1.5", "1_000", "1,5", "0x10", "1/2", "NaN", "Inf", " 1", "1 ", "--1", "+-1",
		"1e1001", "1e-1001", "1e99999999999999999999", "1e_5", strings.Repeat("1", maxDecimal+1), "\uff11", "1.2.3",
	} {
		if got, ok := CanonicalDecimal(s); ok {
			t.Errorf("CanonicalDecimal(%q) = %q", s, got)
		}
	}
}

func TestACanonicalPriceCostsNoMemory(t *testing.T) {
	for _, s := range []string{"25", "19.99", "25.00", "0019.90"} {
		if n := testing.AllocsPerRun(100, func() { CanonicalDecimal(s) }); n != 0 {
			t.Errorf("CanonicalDecimal(%q) allocates %v times", s, n)
		}
	}
}

// decimalForm is the grammar of what CanonicalDecimal accepts, and canonical
// the one of what it answers.
var (
	decimalForm   = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	canonicalForm = regexp.MustCompile(`^(0|-?([1-9][0-9]*|0\.[0-9]*[1-9]|[1-9][0-9]*\.[0-9]*[1-9]))$`)
)

func FuzzCanonicalDecimal(f *testing.F) {
	for _, s := range []string{"25", "25.00", "-0", "1e-3", "0.10", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := CanonicalDecimal(s)
		if !ok {
			// Only a vast exponent is a reason to refuse a number.
			_, exponent, _ := strings.Cut(strings.ToLower(s), "e")
			n, _ := new(big.Int).SetString("0"+strings.TrimLeft(exponent, "+-"), 10)
			if decimalForm.MatchString(s) && len(s) <= maxDecimal && n.Cmp(big.NewInt(maxDecimal)) <= 0 {
				t.Fatalf("CanonicalDecimal(%q) refuses a number", s)
			}
			return
		}
		if !decimalForm.MatchString(s) {
			t.Fatalf("CanonicalDecimal(%q) accepts it as %q", s, got)
		}
		if !canonicalForm.MatchString(got) {
			t.Fatalf("CanonicalDecimal(%q) = %q, not canonical", s, got)
		}
		want, _ := new(big.Rat).SetString(s)
		if is, _ := new(big.Rat).SetString(got); is.Cmp(want) != 0 {
			t.Fatalf("CanonicalDecimal(%q) = %q, another number", s, got)
		}
		if again, ok := CanonicalDecimal(got); len(got) <= maxDecimal && (!ok || again != got) {
			t.Fatalf("CanonicalDecimal(%q) = %q, %t: not stable", got, again, ok)
		}
	})
}
