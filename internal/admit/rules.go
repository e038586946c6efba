package admit

import (
	"crypto/sha256"
	_ "embed" // the list
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a password that is set on the page or by a command. The upper one
// is far beyond what anybody types.
const (
	ShortestPassword = 12   // characters
	longestPassword  = 1024 // bytes
)

// Weakness says what is wrong with a new password, "" when nothing is. Length
// counts; which kinds of characters it has does not. What people choose first
// at this length is refused: one short piece over and over, rows of the
// keyboard or the alphabet, common words with digits at an end, and common
// passwords.
func Weakness(text string) string {
	switch {
	case !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\r\n"):
		return "Use characters that can be typed, on one line."
	case utf8.RuneCountInString(text) < ShortestPassword:
		return "Use at least " + strconv.Itoa(ShortestPassword) + " characters. A few words are easy to remember."
	case len(text) > longestPassword:
		return "Use at most " + strconv.Itoa(longestPassword) + " bytes."
	case guessable(strings.ToLower(text)), isCommon(strings.ToLower(text)):
		return "This is one of the first that would be tried. Use a few words that do not belong together."
	}
	return ""
}

// guessable reports whether a password in lower case is a pattern. Digits and
// signs around common words, or in place of their letters, do not make a
// password of them.
func guessable(text string) bool {
	few := len(slices.Compact(slices.Sorted(slices.Values([]rune(text))))) < 6
	return few || repeats(text) || inRow(text) || onlyCommonWords(text) ||
		onlyCommonWords(plainLetters(strings.TrimFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })))
}

// onlyCommonWords reports whether next to no letters are left without them.
func onlyCommonWords(text string) bool {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, text)
	rest := letters
	for _, word := range commonWords() {
		rest = strings.ReplaceAll(rest, word, "")
	}
	return rest != letters && utf8.RuneCountInString(rest) < 3
}

// plainLetters undoes the usual digits for letters.
func plainLetters(text string) string {
	return strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "@", "a", "$", "s", "!", "i").Replace(text)
}

// repeats reports whether the text is a piece of at most four characters over
// and over, the last of them perhaps cut.
func repeats(text string) bool {
	runes := []rune(text)
	for n := 1; n <= 4 && n < len(runes); n++ {
		same := true
		for i := n; i < len(runes) && same; i++ {
			same = runes[i] == runes[i-n]
		}
		if same {
			return true
		}
	}
	return false
}

// inRow reports whether the text is made of runs along the keyboard, the
// alphabet or the digits, forwards or backwards.
func inRow(text string) bool {
	const rows = "abcdefghijklmnopqrstuvwxyz 01234567890 1234567890 qwertyuiop asdfghjkl zxcvbnm qwertz azerty 1qaz 2wsx 3edc 4rfv 5tgb 6yhn"
	both := rows + " " + backwards(rows)
	rest := text
	for rest != "" {
		n := 0
		for n < len(rest) && strings.Contains(both, rest[:n+1]) && rest[n] != ' ' {
			n++
		}
		if n < 3 {
			return len(rest) < 3 // a leftover of a character or two
		}
		rest = rest[n:]
	}
	return true
}

func backwards(text string) string {
	b := []byte(text)
	slices.Reverse(b)
	return string(b)
}

// commonWords are what most guessed passwords are made of, and the words of
// this page.
func commonWords() []string {
	return []string{
		"administrator", "password", "passwort", "motdepasse", "contrasena", "stockroom", "shopify", "welcome", "qwertyuiop", "qwerty", "azerty",
		"iloveyou", "superman", "football", "baseball", "princess", "sunshine", "trustno", "letmein", "changeme", "default", "dragon", "monkey",
		"master", "shadow", "secret", "login", "admin", "hello", "merchant", "catalogue", "products", "product", "webhook", "server", "shop",
		"store", "summer", "winter", "spring", "autumn", "test", "demo", "user", "root", "pass", "love", "abc", "the", "my",
	}
}

// commonHashes are the first eight bytes of the SHA-256 of each password of
// twelve or more characters among the 30,000 most common ones that zxcvbn 4.4.2
// lists, in lower case, a line each. As hashes, because many are obscene.
//
//go:embed common_passwords.txt
var commonHashes string

// isCommon reports whether a password in lower case is a common one, signs at its
// end left out of it.
func isCommon(text string) bool {
	for _, form := range []string{text, strings.TrimRight(text, "!?.,-_*#$ ")} {
		sum := sha256.Sum256([]byte(form))
		if strings.Contains(commonHashes, hex.EncodeToString(sum[:8])+"\n") {
			return true
		}
	}
	return false
}
