package web

import (
	"strings"
	"testing"
	"time"

	"stockroom/catalog"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// calm is a state in which nothing is wrong; change makes another of it.
func calm(change func(*facts)) facts {
	f := facts{
		now: noon, last: noon.Add(-3 * time.Second), publicURL: "https://stock.example",
		catalogue: storeFacts{OK: true}, queue: queueFacts{OK: true},
		shops: []shopFacts{{ShopView: ShopView{Shop: testShop, State: "active", HasSecret: true}, Last: noon.Add(-3 * time.Second)}},
	}
	if change != nil {
		change(&f)
	}
	return f
}

func TestTheOverallSentence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*facts)
		mood    mood
		text    string
		next    string // a part of it
		command string
	}{
		{"all well", nil, moodGood, "Everything that arrived is stored. Last product update 3 seconds ago.", "", ""},
		{"locked", func(f *facts) { f.catalogue = storeFacts{Closed: true, Cause: store.CauseLocked} }, moodWait,
			"Product updates wait to be stored: another program holds products.db locked.", "Tried again every half second. Whatever arrives", ""},
		{"locked with updates waiting", func(f *facts) {
			f.catalogue = storeFacts{Closed: true, Cause: store.CauseFull}
			f.queue.Waiting, f.queue.Updates = 1200, 1200
		}, moodWait, "Product updates wait to be stored: the disk is full.", "1,200 updates are kept safely meanwhile.", ""},
		{"slow disk", func(f *facts) { f.catalogue = storeFacts{Closed: true} }, moodWait,
			"Product updates wait to be stored: the catalogue did not answer in time.", "half second", ""},
		{"nothing can be stored", func(f *facts) {
			f.catalogue, f.queue.OK, f.queue.Reason = storeFacts{Closed: true, Cause: store.CauseFull}, false, "its file can't be written"
		}, moodBad, "Nothing can be stored now: the disk is full.", "send each product update again", ""},
		{"queue broken", func(f *facts) { f.queue.OK, f.queue.Reason = false, "its file can't be read" }, moodWait,
			"Product updates are stored, but the retry queue can't be used: its file can't be read.", "tried again by itself", ""},
		{"no shop", func(f *facts) { f.shops = nil }, moodIdle, "No shop is connected yet.", "Connect one", "stockroom shop add my-shop.myshopify.com"},
		{"token refused", func(f *facts) { f.shops[0].State, f.shops[0].Reason = "paused", "token: HTTP 401" }, moodBad,
			"Paused for linen: Shopify does not accept the access token (HTTP 401).", "every 15 minutes", "stockroom shop add " + testShop},
		{"frozen", func(f *facts) { f.shops[0].State, f.shops[0].Reason = "paused", "frozen" }, moodBad, "Paused for linen: Shopify has frozen the shop.", "Asked again", ""},
		{"paused for another reason", func(f *facts) { f.shops[0].State, f.shops[0].Reason = "paused", "the moon is full." }, moodBad,
			"Paused for linen: the moon is full.", "resumed", ""},
		{"paused without a reason", func(f *facts) { f.shops[0].State = "paused" }, moodBad, "Paused for linen: no reason was given.", "", ""},
		{"uninstalled", func(f *facts) { f.shops[0].State = "uninstalled" }, moodBad, "The app was removed from linen, so nothing new comes from it.",
			"Install the app again", "stockroom shop remove " + testShop},
		{"several paused", func(f *facts) {
			f.shops = append(f.shops, shopFacts{ShopView: ShopView{Shop: "a.myshopify.com", State: "paused"}}, shopFacts{ShopView: ShopView{Shop: "b.myshopify.com", State: "uninstalled"}})
		}, moodBad, "2 of 3 shops are paused: a, b.", "below", ""},
		{"secret missing", func(f *facts) { f.shops[0].HasSecret = false }, moodBad,
			"Product updates of linen can't be checked: the app's secret is missing.", "send them again", "stockroom shop add " + testShop},
		{"one dead letter", func(f *facts) { f.queue.Dead = 1 }, moodBad, "1 item needs a look; everything else that arrived is stored.", "retry or discard", ""},
		{"dead letters and waiting", func(f *facts) { f.queue.Dead, f.queue.Waiting, f.queue.Updates = 2, 3, 3 }, moodBad,
			"2 items need a look; 3 product updates wait to be stored.", "kept whole", ""},
		{"one waits", func(f *facts) {
			f.queue.Waiting, f.queue.Updates, f.queue.Next = 1, 1, noon.Add(90*time.Second)
		}, moodWait, "1 product update waits to be stored; everything else that arrived is stored.", "Next try in 1 minute.", ""},
		{"in hand", func(f *facts) { f.queue.Leased, f.queue.Updates = 2, 2 }, moodWait,
			"2 product updates wait to be stored; everything else that arrived is stored.", "Being worked on now.", ""},
		{"paused by hand", func(f *facts) { f.queue.Waiting, f.queue.Updates, f.queue.Paused = 2, 2, []string{"webhook"} }, moodWait,
			"2 product updates wait to be stored; everything else that arrived is stored.", "Paused by hand: webhook.", ""},
		{"reads to do", func(f *facts) { f.queue.Waiting, f.queue.Reads, f.queue.Next = 1, 1, noon }, moodWait,
			"Everything that arrived is stored. 1 read from Shopify is still to be done.", "Next try any moment.", ""},
		{"work that nobody does", func(f *facts) { f.queue.Waiting, f.queue.Unworked = 4, 4 }, moodWait,
			"Everything that arrived is stored. Last product update 3 seconds ago.", "4 further jobs", ""},
		{"reads that Shopify makes wait", func(f *facts) {
			f.queue.Waiting, f.queue.Leased, f.queue.Reads, f.queue.Next = 5, 1, 6, noon
			f.shops[0].Waiting, f.shops[0].Calls = 6, &Calls{Circuit: "closed", NextGrant: noon.Add(17 * time.Second)}
		}, moodWait, "Everything that arrived is stored. 6 reads from Shopify are still to be done.", "Calls to Shopify have to wait; the next one goes out in 17 seconds.", ""},
		{"damage while products are read", func(f *facts) {
			f.queue.Reads, f.queue.Leased, f.queue.Oldest = 1, 1, noon.Add(-time.Second)
			f.notices = []Notice{{LevelBad, "products.db was damaged.", "A full sync."}}
		}, moodBad, "Something was lost or damaged here; what arrives is stored.", "products.db was damaged. A full sync.", ""},
		{"damage", func(f *facts) { f.notices = []Notice{{LevelBad, "products.db was damaged.", "A full sync."}} }, moodBad,
			"Something was lost or damaged here; what arrives is stored.", "products.db was damaged. A full sync.", ""},
		{"nothing arrived", func(f *facts) { f.last = time.Time{} }, moodIdle, "Ready. No product update has arrived yet.", "Change a product", ""},
		{"nothing arrived in the demo", func(f *facts) { f.last, f.demo = time.Time{}, true }, moodIdle, "Ready. No product update has arrived yet.", "simulated shop", ""},
		{"nothing arrived and no address", func(f *facts) { f.last, f.publicURL = time.Time{}, "" }, moodIdle, "Ready. No product update has arrived yet.", "--public-url", ""},
	} {
		h := headlineOf(calm(tt.change))
		if h.Mood != tt.mood || h.sentence(noon) != tt.text || !strings.Contains(h.Next, tt.next) || h.Command != tt.command {
			t.Errorf("%s: %s %q next %q command %q", tt.name, h.Mood, h.sentence(noon), h.Next, h.Command)
		}
		if h.Mood == moodBad && h.Next == "" {
			t.Errorf("%s: a red state without a next step", tt.name)
		}
	}
}

func TestTheSentenceOfAShop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*shopFacts)
		mood   mood
		text   string
	}{
		{"well", nil, moodGood, "Last update 3 seconds ago."},
		{"nothing yet", func(s *shopFacts) { s.Last = time.Time{} }, moodIdle, "Connected; no product update yet."},
		{"waiting", func(s *shopFacts) { s.Waiting, s.OldestJob = 2, noon.Add(-time.Minute) }, moodWait, "2 reads from Shopify are still to be done. The oldest came 1 minute ago."},
		{"updates and reads wait", func(s *shopFacts) { s.Waiting, s.Updates, s.Unworked, s.OldestJob = 6, 3, 1, noon.Add(-time.Minute) }, moodWait,
			"3 product updates wait to be stored; 2 reads from Shopify are still to be done. The oldest came 1 minute ago."},
		{"work that nobody does", func(s *shopFacts) { s.Waiting, s.Unworked = 2, 2 }, moodGood, "Last update 3 seconds ago."},
		{"dead", func(s *shopFacts) { s.Dead, s.Waiting = 1, 2 }, moodBad, "1 item needs a look."},
		{"no secret", func(s *shopFacts) { s.HasSecret = false }, moodBad, "The app's secret is missing, so its updates can't be checked."},
		{"missing scope", func(s *shopFacts) { s.State, s.Reason = "paused", "scope: read_products" }, moodBad, "Paused: the app lacks a permission (read_products)."},
		{"uninstalled", func(s *shopFacts) { s.State = "uninstalled" }, moodBad, "The app was removed from this shop."},
	} {
		s := calm(nil).shops[0]
		if tt.change != nil {
			tt.change(&s)
		}
		h := shopLine(time.Now(), s)
		if got := strings.TrimSpace(h.sentence(noon)); h.Mood != tt.mood || got != tt.text {
			t.Errorf("%s: %s %q", tt.name, h.Mood, got)
		}
	}
}

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
		if label, _ := outcomeWords(o); label == string(o) || label == "" {
			t.Errorf("outcome %s has no words", o)
		}
	}
	for _, c := range queue.Classes() {
		if c != queue.ClassUnknown && classWords(c) == classWords(queue.ClassUnknown) {
			t.Errorf("class %s has no words", c)
		}
	}
	for _, r := range webhook.Reasons() {
		if got := rejectedWords(string(r)); got == strings.ReplaceAll(string(r), "_", " ") {
			t.Errorf("reason %s has no words", r)
		}
	}
	for _, topic := range catalog.Topics() {
		if arrival(string(topic)) == arrival("other/topic") {
			t.Errorf("topic %s has no words", topic)
		}
	}
	for _, kind := range []store.WantedKind{store.WantProduct, store.WantInventoryItem, store.WantUninstalled, store.WantScopes, store.WantBulk, store.WantSync} {
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
