package admit

import (
	"crypto/sha256"
	_ "embed" // the list
	"encoding/hex"
	"strings"
)

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
