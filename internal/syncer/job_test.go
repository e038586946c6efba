package syncer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"stockroom/queue"
	"stockroom/store"
)

func TestAReasonIsCutBetweenTwoCharacters(t *testing.T) {
	j := jobOf(store.Wanted{Shop: "a.myshopify.com", ID: 1, Kind: store.WantProduct, Reason: "x" + strings.Repeat("ä", queue.MaxLabel)})
	if r := j.Labels["reason"]; !utf8.ValidString(r) || len(r) != queue.MaxLabel-1 {
		t.Errorf("%d bytes, valid %t", len(r), utf8.ValidString(r))
	}
}
