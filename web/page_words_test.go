package web

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stockroom/catalog"
	"stockroom/store"
)

// Every moment of a product's story is a time element, in words.
func TestTheStoryOfAProductTellsItsMomentsInWords(t *testing.T) {
	r := newRig(t, nil)
	r.product(7, "Linen shirt", "")
	r.product(8, "Linen coat", "")
	r.deliver("products/delete", `{"id":8}`)
	story := regexp.MustCompile(`(?s)id="h-story".*?</section>`)
	for path, want := range map[string][]string{
		"/products/" + testShop + "/7": {`<p>This state was stored <time `, ` ago</time> by a product update from Shopify (`, `<p>Shopify's own version of it was changed <time `},
		"/products/" + testShop + "/8": {`<p>It was deleted <time `, `</time>, as told by a product update from Shopify.</p>`},
	} {
		part := story.FindString(strings.ReplaceAll(r.admin(200, "GET", path, ""), "&#39;", "'"))
		for _, text := range want {
			if !strings.Contains(strings.ReplaceAll(part, "just now<", "1 second ago<"), text) {
				t.Errorf("%s has no %q: %s", path, text, part)
			}
		}
		if clock := regexp.MustCompile(`>[^<]*[0-9]:[0-9]{2}`).FindString(part); clock != "" {
			t.Errorf("%s: a bare time of day: %s", path, clock)
		}
	}
}

// withSync is a calm state whose shops are compared.
func withSync(n int, change func(i int, st *SyncStatus)) facts {
	return calm(func(f *facts) {
		f.shops = nil
		for i := range n {
			st := statusFor(noon, func(st *SyncStatus) { st.Schedules = st.Schedules[:2] })
			if change != nil {
				change(i, &st)
			}
			f.shops = append(f.shops, shopFacts{ShopView: ShopView{Shop: fmt.Sprintf("shop-%d.myshopify.com", i+1), State: "active", HasSecret: true}, Last: noon, Sync: &st})
		}
	})
}

// whileRead is the same while a product is being read from Shopify.
func whileRead(f facts) facts {
	f.queue.Reads, f.queue.Waiting, f.queue.Oldest = 1, 1, noon.Add(-time.Second)
	f.shops[0].Waiting, f.shops[0].OldestJob = 1, f.queue.Oldest
	return f
}

func TestTheSentenceOfAShopIsNotWellBeforeItsFirstComparison(t *testing.T) {
	f := whileRead(withSync(1, func(_ int, st *SyncStatus) {
		*st = SyncStatus{Why: "The first comparison with the shop is under way.", Running: &store.SyncRun{Kind: store.RunFull}}
	}))
	if h := shopLine(noon, f.shops[0]); h.Mood != moodWait || h.Text != "The catalogue is being read for the first time." {
		t.Errorf("%s %q", h.Mood, h.Text)
	}
}

func TestTheSentenceSaysWhetherTheCopyIsInStep(t *testing.T) {
	missing := func(_ int, st *SyncStatus) {
		st.Subscriptions = Subscriptions{CheckedAt: noon, Wanted: []Subscription{{State: "missing"}, {State: "wrong-address"}, {State: "present"}}}
	}
	for _, tt := range []struct {
		name       string
		f          facts
		mood       mood
		text, next string
	}{
		{"in step", withSync(1, nil), moodGood, "In step: every product equals the shop's. Last product update 3 seconds ago.", "Compared: ids and times 11:59; every field 22 Nov 10:00."},
		{"several in step", withSync(3, nil), moodGood, "In step: every product equals its shop's. Last product update 3 seconds ago.", ""},
		{"in step without an update yet", func() facts { f := withSync(1, nil); f.last = time.Time{}; return f }(), moodGood, "In step: every product equals the shop's.", "Compared"},
		{"not in step", withSync(1, func(_ int, st *SyncStatus) { st.InStep, st.Why = false, "the last comparison could not be finished" }), moodWait,
			"Not known to be in step with the shop. The last comparison could not be finished.", "Next: comparison in 59 minutes."},
		{"the first read while products are read", whileRead(withSync(1, func(_ int, st *SyncStatus) {
			*st = SyncStatus{Why: "The first comparison with the shop is under way.", Running: &store.SyncRun{Kind: store.RunFull, Phase: "reading", Read: 66, Expected: 60},
				Waits: "Shopify asked us to wait", WaitsUntil: noon.Add(18 * time.Second)}
		})), moodWait, "The catalogue is being read for the first time.", "66 of 66 products, waits 18 seconds: Shopify asked us to wait."},
		{"behind while products are read", whileRead(withSync(1, func(_ int, st *SyncStatus) { st.InStep, st.Why = false, "The comparison is overdue." })),
			moodWait, "Not known to be in step with the shop. The comparison is overdue.", "Next: comparison"},
		{"only products being read", whileRead(withSync(1, func(_ int, st *SyncStatus) { st.InStep, st.OnlyJobs, st.Why = false, true, "Product updates wait." })),
			moodGood, "Everything that arrived is stored. 1 product is being read from Shopify.", ""},
		{"one of three", withSync(3, func(i int, st *SyncStatus) { st.InStep, st.Why = i != 1, "something" }), moodWait, "Not known to be in step with the shop. Something.", "shop-2: Next: comparison"},
		{"two of three", withSync(3, func(i int, st *SyncStatus) { st.InStep, st.Why = i == 1, "something" }), moodWait,
			"Everything that arrived is stored. 2 shops are not known to be in step: shop-1, shop-3.", "Each shop says below why"},
		{"the first read", withSync(1, func(_ int, st *SyncStatus) {
			*st = SyncStatus{Why: "it was never compared", Running: &store.SyncRun{Kind: store.RunFull, Phase: "reading", Expected: 4000, Read: 1200}, Rate: 35.4, EndsAt: noon.Add(80 * time.Second)}
		}), moodWait, "The catalogue is being read for the first time.", "1,200 of 4,000 products, 35 a second, about 1 minute left."},
		{"a comparison that waits", withSync(1, func(_ int, st *SyncStatus) {
			st.InStep, st.Why, st.Running, st.Waits, st.WaitsUntil = false, "x", &store.SyncRun{Kind: store.RunReconcile, Read: 5}, "Points are used up.", noon.Add(30*time.Second)
		}), moodWait, "The copy is being compared with the shop.", "5 products so far, waits 30 seconds: points are used up."},
		{"subscriptions missing", withSync(1, missing), moodBad, "Shopify does not send all product updates of shop-1: 2 subscriptions are missing.", "Press Register on the page Shops."},
		{"reads that take their time", func() facts {
			f := withSync(1, nil)
			f.queue.Reads, f.queue.Waiting, f.queue.Oldest = 3, 3, noon.Add(-5*time.Second)
			return f
		}(), moodGood, "Everything that arrived is stored. 3 products are being read from Shopify.", ""},
		{"reads that take longer", func() facts {
			f := withSync(1, nil)
			f.queue.Reads, f.queue.Waiting, f.queue.Oldest, f.queue.Next = 1, 1, noon.Add(-5*time.Minute), noon.Add(time.Minute)
			return f
		}(), moodWait, "Everything that arrived is stored. 1 read from Shopify is still to be done.", "Next try in 1 minute."},
		{"a dead letter", func() facts {
			f := withSync(1, nil)
			f.queue.Dead, f.shops[0].Dead = 1, 1
			return f
		}(), moodBad, "1 item needs a look; everything else that arrived is stored.", "The next comparison, in 59 minutes, sets the products themselves right"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := headlineOf(tt.f)
			if h.Mood != tt.mood || h.sentence(noon) != tt.text || !strings.Contains(h.Next, tt.next) {
				t.Errorf("%s: %q, next %q\nwant %s: %q, next %q", h.Mood, h.sentence(noon), h.Next, tt.mood, tt.text, tt.next)
			}
			for _, s := range tt.f.shops {
				if line := shopLine(noon, s); line.Text == "" && line.When.IsZero() {
					t.Errorf("%s: no line", s.Shop)
				}
			}
		})
	}
}

func TestASyncsResultIsSaidInWords(t *testing.T) {
	for _, tt := range []struct {
		run   store.SyncRun
		mood  mood
		label string
		words string
	}{
		{store.SyncRun{State: store.RunDone, Kind: store.RunFull, Proven: true, ProvenAt: 1, Read: 4000, Added: 2, Changed: 1}, moodGood, "In step", "4,000 products looked at, 2 added, 1 changed."},
		{store.SyncRun{State: store.RunDone, Kind: store.RunReconcile, Proven: true, ProvenAt: 1, Read: 1}, moodGood, "In step", "1 product looked at, no difference."},
		{store.SyncRun{State: store.RunDone, Kind: store.RunReconcile, DryRun: true, Proven: true, Read: 10, Removed: 3}, moodWait, "Differences found", "10 products looked at, 3 to remove."},
		{store.SyncRun{State: store.RunDone, Kind: store.RunFull, Read: 10}, moodWait, "Done, but the list was not complete", "10 products looked at, no difference."},
		{store.SyncRun{State: store.RunDone, Kind: store.RunIncremental}, moodGood, "Done", "No difference."},
		{store.SyncRun{State: store.RunFailed, Error: "Shopify did not answer"}, moodBad, "Failed", "Shopify did not answer."},
		{store.SyncRun{State: store.RunCancelled, Read: 4, Added: 4}, moodIdle, "Cancelled", "4 products looked at, 4 added."},
		{store.SyncRun{State: store.RunRunning, Read: 4}, moodWait, "Running", ""},
	} {
		if m, label := runStanding(tt.run); m != tt.mood || label != tt.label || resultWords(tt.run) != tt.words {
			t.Errorf("%+v: %s %q %q", tt.run, m, label, resultWords(tt.run))
		}
	}
}

func TestEveryKindPhaseScheduleAndStateHasAWord(t *testing.T) {
	for _, k := range []store.RunKind{store.RunFull, store.RunIncremental, store.RunReconcile} {
		if runWords(k) == string(k) || runMeaning(k) == "" {
			t.Errorf("kind %s has no word", k)
		}
	}
	for _, p := range []string{"waiting", "exporting", "reading", "listing", "repairing", "removing"} {
		if phaseWords(p) == p {
			t.Errorf("phase %s has no word", p)
		}
	}
	for _, s := range []string{"full_sync", "reconcile", "incremental", "subscriptions"} {
		if strings.ToLower(scheduleWords(s)) == s {
			t.Errorf("schedule %s has no word", s)
		}
	}
	for _, s := range []string{"present", "created", "moved", "missing", "wrong-address", "incomplete", "duplicate", "elsewhere", "by-deliveries"} {
		if row := subscriptionRowOf(Subscription{State: s}); row.Label == s {
			t.Errorf("subscription %s has no word", s)
		}
	}
	for _, s := range []string{"webhook", "delivery:7", "fetch", "bulk:gid://x", "reconcile:4", "select"} {
		if name, _, _ := strings.Cut(s, ":"); writerWords(s) == name {
			t.Errorf("source %s has no word", s)
		}
	}
}

// However large the counts are, a bar stays inside of its drawing, and what is
// not nothing shows.
func TestSparklinesStayInsideTheirDrawing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, 1<<40), 0, 70).Draw(t, "counts")
		s := sparkOf(counts)
		bars := strings.Count(s.Path, "M")
		var total int64
		shown := 0
		for _, n := range counts {
			total += int64(n)
			if n > 0 {
				shown++
			}
		}
		if bars != shown || s.Total != total {
			t.Fatalf("%d bars for %d counts, total %d of %d", bars, shown, s.Total, total)
		}
		for _, bar := range strings.Split(s.Path, "z") {
			if bar == "" {
				continue
			}
			var x, y, up, down int
			if _, err := fmt.Sscanf(bar, "M%d %dv-%dh3v%d", &x, &y, &up, &down); err != nil {
				t.Fatalf("%q: %v", bar, err)
			}
			if x < 0 || x+3 > s.Width || up < 3 || up >= sparkHeight || up != down || y != sparkHeight-1 {
				t.Fatalf("%q leaves the drawing", bar)
			}
		}
		done, all := rapid.Int64().Draw(t, "done"), rapid.Int64Range(0, 1<<50).Draw(t, "all")
		if m, ok := meterOf(done, all); ok != (all > 0) || m.Percent < 0 || m.Percent > 100 || m.Width < 0 || m.Width > meterWidth {
			t.Fatalf("%d of %d: %+v", done, all, m)
		}
	})
	if got := sparkOf([]int{0, 1, 1000}).Label(); got != "1,001 product updates in the last hour, at most 1,000 in a minute" {
		t.Error(got)
	}
	if got := sparkOf(nil).Label(); got != "No product updates in the last hour" {
		t.Error(got)
	}
}

func TestMarksAndDrawingsAreWellFormed(t *testing.T) {
	icon, err := assetFiles.ReadFile("assets/icon.svg")
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(icon, new(struct{})); err != nil {
		t.Error(err)
	}
	r, _ := newSyncRig(t, nil)
	for _, m := range []mood{moodGood, moodIdle, moodWait, moodBad} {
		if !strings.Contains(r.admin(200, "GET", "/", ""), `id="m-`+string(m)+`"`) {
			t.Errorf("no mark for %s", m)
		}
	}
}

func TestTheStoryOfAProductNamesItsReasons(t *testing.T) {
	r := newRig(t, nil)
	r.product(7, "Shirt", "")
	for range 2 {
		r.deliver("products/update", `{"id":7,"title":"old","updated_at":"2020-01-01T00:00:00Z"}`)
	}
	_, text := checkPage(t, r.admin(200, "GET", productPath(testShop, 7), ""))
	for _, want := range []string{"by a product update from Shopify (product changed).", "Since then nothing was taken from 2 updates: 2 because a newer version is stored.", "SKU-7-S", "1299.000", "linen, summer", "Description as text", "<p>x</p>", "Older: a newer version is stored"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	r.deliver("products/delete", `{"id":7}`)
	_, text = checkPage(t, r.admin(200, "GET", productPath(testShop, 7), ""))
	for _, want := range []string{"Deleted", "It was deleted just now, as told by a product update from Shopify.", "Shopify never uses a product's id again"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestADeliveryThatDoesNotFitItsTopicOnlyClaims(t *testing.T) {
	id, reason := int64(7), "the body carries more than the id of a deleted product"
	rows := updateRows(time.Now(), []store.DeliveryRow{
		{ID: 1, Shop: "a.myshopify.com", Topic: "products/delete", Outcome: store.Mismatch, ExternalID: &id, Error: &reason},
		{ID: 2, Shop: "a.myshopify.com", Topic: "products/delete", Outcome: store.Applied, ExternalID: &id},
	}, &titles{seen: map[productKey]*store.ProductRow{{"a.myshopify.com", 7}: nil}})
	if rows[0].What != "is said to have been deleted" || rows[1].What != "was deleted" {
		t.Errorf("%q and %q", rows[0].What, rows[1].What)
	}
}

func TestWhatIsDueWaitsForTheRunThatIsUnderWay(t *testing.T) {
	f := withSync(1, func(_ int, st *SyncStatus) {
		st.Running = &store.SyncRun{Kind: store.RunFull}
		for i := range st.Schedules {
			st.Schedules[i].Next = noon.Add(time.Millisecond) // the status was asked for a moment after
		}
	})
	f.queue.Dead, f.shops[0].Dead = 1, 1
	if v := stepOf(noon, f.shops[0].Sync); v.NextWhat != "" {
		t.Errorf("next is %s %s", v.NextWhat, v.NextWhen.Words)
	}
	if h := headlineOf(f); !strings.Contains(h.Next, "The next comparison, after the one that runs now, sets") {
		t.Error(h.Next)
	}
	f.shops[0].Dead = 0
	f.shops[0].Sync.InStep, f.shops[0].Sync.Why = false, "The first comparison is under way."
	if c := cardOf(noon, f.shops[0]); c.Progress == nil || c.Line.Next != "" {
		t.Errorf("the progress is told twice: %+v", c.Line)
	}
	f.shops[0].Dead, f.shops[0].Sync.Running = 1, nil
	if v := stepOf(noon, f.shops[0].Sync); v.NextWhat == "" || v.NextWhen.Words != "any moment" {
		t.Errorf("next is %s %s", v.NextWhat, v.NextWhen.Words)
	}
	if h := headlineOf(f); !strings.Contains(h.Next, "The next comparison, any moment, sets") {
		t.Error(h.Next)
	}
}

// A stock change names the product, once it is known whose it is.
func TestAStockChangeNamesItsProduct(t *testing.T) {
	r := newRig(t, nil)
	r.product(7, "Linen shirt <b>", "")
	for _, item := range []int{71, 701} { // the second is nobody's yet
		r.deliver("inventory_levels/update", fmt.Sprintf(`{"inventory_item_id":%d,"location_id":1,"available":4,"updated_at":"2026-11-01T10:00:00Z"}`, item))
		r.deliver("inventory_items/update", fmt.Sprintf(`{"id":%d,"sku":"S","tracked":true,"updated_at":"2026-11-01T10:00:00Z"}`, item))
	}
	page := r.admin(200, "GET", "/updates", "")
	link := `<a class="name" href="/products/` + testShop + `/7" dir="auto">Linen shirt &lt;b&gt;</a> `
	for _, want := range []string{link + "has another stock level", link + "has other inventory details", "<p>Stock changed</p>", "<p>Inventory item changed</p>"} {
		if strings.Count(page, want) != 1 {
			t.Errorf("%q is there %d times: %s", want, strings.Count(page, want), page)
		}
	}
}

func TestTheFilterOfUpdatesHasOneOrder(t *testing.T) {
	first := topicsInOrder()
	if string(first[0]) != "products/create" || len(first) != len(catalog.Topics()) {
		t.Errorf("%v", first)
	}
	for range 50 {
		if again := topicsInOrder(); !slices.Equal(again, first) {
			t.Fatalf("%v, then %v", first, again)
		}
	}
}
