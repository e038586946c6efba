package web

import (
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestTimesInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", 0: "just now", 999 * time.Millisecond: "just now", time.Second: "1 second ago", 59 * time.Second: "59 seconds ago",
		time.Minute: "1 minute ago", 90 * time.Minute: "1 hour 30 minutes ago", 12*time.Hour + 5*time.Minute: "12 hours ago", 47 * time.Hour: "47 hours ago",
		48 * time.Hour: "2 days ago", 4000 * 24 * time.Hour: "4,000 days ago",
	} {
		if got := ago(noon, noon.Add(-d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := until(noon, noon.Add(5*time.Second)); got != "in 5 seconds" {
		t.Error(got)
	}
	if got := until(noon, noon.Add(-time.Hour)); got != "any moment" {
		t.Error(got)
	}
}

func TestEveryOutcomeClassAndTopicHasWords(t *testing.T) {
	for _, o := range store.Outcomes() {
		if label := outcomeOf(o).Label; label == string(o) || label == "" {
			t.Errorf("outcome %s has no words", o)
		}
	}
	for _, c := range []queue.Class{queue.ClassUpstream, queue.ClassAuth, queue.ClassValidation, queue.ClassConflict, queue.ClassStorage, queue.ClassBug,
		queue.ClassCrash, queue.ClassPoison, queue.ClassDamaged, queue.ClassUnknown, queue.ClassTimeout} {
		if c != queue.ClassUnknown && classWords(c) == classWords(queue.ClassUnknown) {
			t.Errorf("class %s has no words", c)
		}
	}
	for _, r := range webhook.Reasons() {
		if got := rejectedWords(r); got == strings.ReplaceAll(string(r), "_", " ") {
			t.Errorf("reason %s has no words", r)
		}
	}
	for _, topic := range catalog.Topics() {
		if arrival(string(topic)) == arrival("other/topic") {
			t.Errorf("topic %s has no words", topic)
		}
	}
	for _, kind := range []store.WantedKind{store.WantProduct, store.WantInventoryItem, store.WantUninstalled, store.WantScopes} {
		if got := jobWords(string(kind), nil); got == strings.ReplaceAll(string(kind), "_", " ") {
			t.Errorf("kind %s has no words", kind)
		}
	}
}

func TestNumbersAndSentences(t *testing.T) {
	for _, tt := range []struct {
		n, waiting int
		want       string
	}{{0, 7, ""}, {1, 0, "1 is being worked on now."}, {1200, 0, "1,200 are being worked on now."}, {1, 3, "1 more is being worked on now."}, {2, 3, "2 more are being worked on now."}} {
		if got := workingWords(tt.n, tt.waiting); got != tt.want {
			t.Errorf("%d and %d: %q", tt.n, tt.waiting, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 12345678: "12,345,678"} {
		if got := number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if got := sentences("ärger", "", " with a stop. ", "really?"); got != "Ärger. With a stop. Really?" {
		t.Error(got)
	}
	for sel, want := range map[string]string{
		`{}`: "all products", `{"mode":"all","exclude":[1,2]}`: "all products except 2 listed ones", `{"mode":"include"}`: "no products",
		`{"mode":"include","include":[1]}`: "1 listed product", `{"mode":"rules","rules":[{"field":"tag","value":"x"}]}`: "products with tag=x",
	} {
		s, err := catalog.ParseSelection([]byte(sel))
		if err != nil {
			t.Fatal(err)
		}
		if got := selectionWords(s); got != want {
			t.Errorf("%s: %q", sel, got)
		}
	}
}
