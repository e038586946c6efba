package admit

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWeakPasswordsAreRefused(t *testing.T) {
	for password, weak := range map[string]bool{
		"": true, "short": true, "elevenchars": true, "aaaaaaaaaaaaaaaa": true, "abababababababab": true, "123456789012": true, "1234567890123456": true,
		"098765432109": true, "qwertyuiop12": true, "qwertyuiopasdfghjkl": true, "abcdefghijklmnop": true, "password1234": true, "Passw0rd!2026": true, "PASSWORDPASSWORD": true,
		"stockroom2026": true, "administrator": true, "admin-admin-admin": true, "my shopify store": true, "welcome12345": true, "P@ssw0rd1234": true, "111122223333": true,
		"line\nbreak in it": true, "\xff\xfe\xfd\xfc\xfb\xfa\xff\xfe\xfd\xfc\xfb\xfa": true, strings.Repeat("correct horse ", 80): true, "iloveyou1234!": true, "242424242424": true,
		"sonyericsson": true, "Finalfantasy": true, "CHRISTOPHER1!": true, "q1w2e3r4t5y6": true, "sonyericsson and linen": false,
		"correct horse battery": false, "cotton and jute 7": false, "Xk3-9vQp_77Lm": false, "schöne Wäsche 4": false, "春眠不觉晓处处闻啼鸟夜来": false, "tr0ub4dor&3 x!": false,
		"my shop sells linen": false, "the quick brown fox": false, "9f86d081884c7d659a2f": false, "    spaces    here    ": false, strings.Repeat("long ", 20) + "enough words": false,
	} {
		if got := Weakness(password); (got != "") != weak {
			t.Errorf("%q: %q", password, got)
		}
	}
}

func TestRandomPasswordsAreNotCalledWeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Twelve letters of a large alphabet drawn at random; patterns are rarer than one in a million.
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abcdefghjkmnpqrstuvwxyzACDEFGHJKLMNPQRSTUVWXYZ2346789")), 16, 16, -1).
			Filter(func(s string) bool {
				seen := map[rune]bool{}
				for _, r := range s {
					seen[r] = true
				}
				return len(seen) > 9 // rapid likes repetition
			}).Draw(t, "password")
		if inRow(strings.ToLower(text)) || repeats(text) {
			t.Fatalf("%q is called a pattern", text)
		}
	})
}
