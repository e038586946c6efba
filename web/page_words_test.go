package web

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/queue"
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

func TestASyncsResultIsSaidInWords(t *testing.T) {
	for _, tt := range []struct {
		row   store.SyncRun
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
		run := Run{SyncRun: tt.row}
		if got := runStanding(run); got != (marked{tt.mood, tt.label}) || resultWords(run) != tt.words {
			t.Errorf("%+v: %v %q", tt.row, got, resultWords(run))
		}
	}
}

func TestEveryKindPhaseScheduleAndStateHasAWord(t *testing.T) {
	for _, k := range []store.RunKind{store.RunFull, store.RunIncremental, store.RunReconcile} {
		if runNames[k] == "" || runMeanings[k] == "" {
			t.Errorf("kind %s has no word", k)
		}
	}
	for _, p := range []string{"waiting", "exporting", "reading", "listing", "repairing", "removing"} {
		if phases[p] == "" {
			t.Errorf("phase %s has no word", p)
		}
	}
	for _, s := range []string{"full_sync", "reconcile", "incremental", "subscriptions"} {
		if schedules[s] == "" {
			t.Errorf("schedule %s has no word", s)
		}
	}
	for _, s := range []string{"present", "created", "moved", "missing", "wrong-address", "incomplete", "duplicate", "elsewhere", "by-deliveries"} {
		if row := subscriptionState(status.Subscription{State: s}); row.Label == s {
			t.Errorf("subscription %s has no word", s)
		}
	}
	for _, s := range []string{"webhook", "delivery:7", "fetch", "bulk:gid://x", "reconcile:4", "select", "owner:linen"} {
		if name, _, _ := strings.Cut(s, ":"); writerWords(s) == name {
			t.Errorf("source %s has no word", s)
		}
	}
}

// However large the counts are, a bar stays inside of its drawing, and what is
// not nothing shows.
func TestSparklinesStayInsideTheirDrawing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, int(min(int64(1)<<40, math.MaxInt))), 0, 70).Draw(t, "counts")
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
	if got := saidOf(t, sparkOf([]int{0, 1, 1000})); got != "1,001 product updates in the last hour, at most 1,000 in a minute" {
		t.Error(got)
	}
	if got := saidOf(t, sparkOf(nil)); got != "No product updates in the last hour" {
		t.Error(got)
	}
}

func TestMarksAndDrawingsAreWellFormed(t *testing.T) {
	for _, name := range []string{"icon.svg", "icon-past.svg"} {
		icon, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(icon, new(struct{})); err != nil {
			t.Error(name, err)
		}
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
	st := statusFor(noon, func(st *status.Sync) {
		st.Running = &store.SyncRun{Kind: store.RunFull}
		for i := range st.Schedules {
			st.Schedules[i].Next = noon.Add(time.Millisecond) // the status was asked for a moment after
		}
	})
	if v := stepOf(noon, &st); v.NextWhat != "" {
		t.Errorf("next is %s %s", v.NextWhat, v.NextWhen.Words)
	}
	st.Running = nil
	if v := stepOf(noon, &st); v.NextWhat == "" || v.NextWhen.Words != "any moment" {
		t.Errorf("next is %s %s", v.NextWhat, v.NextWhen.Words)
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

// An Event names the product and what was changed of it.
func TestAnEventNamesItsProductAndWhatChanged(t *testing.T) {
	r := newRig(t, nil)
	r.product(7, "Linen shirt", "")
	r.deliver("Product", `{"topic":"Product","action":"update","fields_changed":{"updated":["product[id: 'gid://shopify/Product/7'].title"]}}`)
	r.deliver("Collection", `{"topic":"Collection","action":"create"}`)
	_, text := checkPage(t, r.admin(200, "GET", "/updates", ""))
	for _, want := range []string{"Linen shirt was changed", "Stored: changed: title; the product is read from the shop",
		"Collection changed (Event)", "Left out: created; the copy has nothing that this could change"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in %s", want, text)
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

func TestARunThatGoesOnIsNeverShownAsWhole(t *testing.T) {
	for _, run := range []store.SyncRun{{Read: 76, Expected: 76}, {Read: 141, Expected: 76}, {Read: 1, Expected: 1}, {Read: 100_000, Expected: 100_000}} {
		for _, phase := range []string{"reading", "repairing", "removing", "listing"} {
			run.Kind, run.Phase = store.RunFull, phase
			if p := progressOf(&Run{SyncRun: run}); !p.Known || p.Percent >= 100 {
				t.Errorf("%s, %d of %d: %d %%", phase, run.Read, run.Expected, p.Percent)
			}
		}
	}
}

// What came again is one row that says how often, on the pages and in the API.
func TestADeliveryThatCameAgainSaysHowOften(t *testing.T) {
	r := newRig(t, nil)
	const body = `{"id":7,"title":"Shirt","status":"active","updated_at":"2026-11-01T10:00:00Z"}`
	for range 13 {
		r.deliver("products/update", body)
	}
	for _, path := range []string{"/updates", "/products/" + testShop + "/7"} {
		if page := r.admin(200, "GET", path, ""); strings.Count(page, " (seen 12 times, last at ") != 1 {
			t.Errorf("%s does not say it once: %s", path, page)
		}
	}
	if page := r.admin(200, "GET", "/products/"+testShop+"/7", ""); !strings.Contains(page, "Since then nothing was taken from 12 updates") {
		t.Errorf("the product's page counts otherwise: %s", page)
	}
	p := decode[struct{ Deliveries []store.DeliveryRow }](t, r.admin(200, "GET", "/api/v1/deliveries", ""))
	if len(p.Deliveries) != 2 || p.Deliveries[0].Count != 12 || p.Deliveries[0].LastAt < p.Deliveries[0].ReceivedAt || p.Deliveries[1].Count != 1 {
		t.Errorf("%+v", p)
	}
}

// Anybody who has seen one delivery can send one that does not fit its topic.
func TestWhatDoesNotFitItsTopicIsNowhereRed(t *testing.T) {
	red := func(r *rig) (where []string) {
		for _, path := range []string{"/", "/jobs", "/jobs/1", "/updates", "/shops"} {
			if page := r.admin(200, "GET", path, ""); strings.Contains(page, `"#m-bad"`) || regexp.MustCompile(`class="(n )?bad"`).MatchString(page) {
				where = append(where, path)
			}
		}
		return where
	}
	for class, outcome := range map[queue.Class]store.Outcome{queue.ClassValidation: store.Mismatch, queue.ClassPoison: store.Dead} {
		r := newRig(t, nil)
		job := queue.NewJob{Kind: store.DeliveryJob, Labels: labels(), Payload: payload(`{}`)}
		d := store.Delivery{Shop: testShop, Topic: "products/update", ReceivedAt: time.Now()}
		if _, err := r.queue.Bury(t.Context(), job, class, errors.New("no")); err != nil {
			t.Fatal(err)
		}
		if _, err := r.store.Record(t.Context(), d, 0, outcome, "no", nil); err != nil {
			t.Fatal(err)
		}
		want := 0
		if outcome == store.Dead {
			want = 5
		}
		if got := red(r); len(got) != want {
			t.Errorf("%s: red are %v", class, got)
		}
	}
}

// saidOf is what a drawing says to whoever does not see it.
func saidOf(t *testing.T, s spark) string {
	t.Helper()
	var b strings.Builder
	if err := loadAssets().pages["overview.html"].ExecuteTemplate(&b, "spark", s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
