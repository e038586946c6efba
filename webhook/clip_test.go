package webhook

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatAStrangerSentIsCutBetweenTwoCharacters(t *testing.T) {
	if s := clip("x" + strings.Repeat("ä", 100)); !utf8.ValidString(s) || len(s) != 99 {
		t.Errorf("%d bytes, valid %t", len(s), utf8.ValidString(s))
	}
}
