package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/store"
)

// post sends a form from our own page and returns the answer.
func (r *rig) post(path string, form url.Values) (int, string) {
	r.t.Helper()
	w := serve(r.Admin(), request(http.MethodPost, path, form.Encode(), "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html"))
	return w.Code, w.Body.String()
}

const selectionPath = "/shops/" + testShop + "/selection"

func TestANoticeOfALossIsTakenOffByAPerson(t *testing.T) {
	r := newRig(t, nil)
	r.notices = []status.Notice{{ID: "state.db-7", Level: status.LevelBad, Text: "state.db was lost."}, {Level: status.LevelBad, Text: "The selection is not known."}}
	_, text := checkPage(t, r.admin(200, "GET", "/", ""))
	if strings.Count(text, "Done, take it off") != 1 {
		t.Errorf("not one button: %s", text)
	}
	for _, want := range []string{"The notice is taken off.", "Nothing changed"} {
		location := r.click("/notices/state.db-7/acknowledge", nil)
		_, text := checkPage(t, r.admin(200, "GET", location, ""))
		if !strings.Contains(text, want) || strings.Contains(text, "state.db was lost") || !strings.Contains(text, "The selection is not known") {
			t.Errorf("%s is missing, or a wrong notice went: %s", want, text)
		}
	}
	if body := r.admin(200, "POST", "/api/v1/notices/state.db-7/acknowledge", ""); !strings.Contains(body, `"acknowledged":0`) && !strings.Contains(body, `"acknowledged": 0`) {
		t.Errorf("once more: %s", body)
	}
}

func TestASelectionIsSavedAndSaysWhatItDid(t *testing.T) {
	r := newRig(t, nil)
	r.product(7, "Shirt", "")
	r.product(8, "Hat", "")
	form := url.Values{"version": {versionOf(catalog.Selection{})}, "mode": {"include"}, "rules": {" "}, "exclude": {""}, "yes": {"yes"},
		"include": {"7\r\nhttps://admin.shopify.com/store/linen/products/9/\n gid://shopify/Product/7, 11"}}
	location := r.click(selectionPath, form)
	if location != selectionPath+"?fetch=2&n=0&off=1&said=selected" {
		t.Errorf("leads to %s", location)
	}
	_, text := checkPage(t, r.admin(200, "GET", location, ""))
	for _, want := range []string{"Saved. 0 products became active, 1 inactive.", "is read from Shopify", "Now: 3 listed products", "7\n9\n11"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if got := r.shops.list[0].Selection; fmt.Sprint(got.Include) != "[7 9 11]" || got.Mode != "include" {
		t.Errorf("saved %+v", got)
	}
	// The same click again, with the version of the form as it was opened.
	if location := r.click(selectionPath, form); location != selectionPath+"?said=same" {
		t.Errorf("the second click leads to %s", location)
	}
}

func TestASelectionIsNotSavedOverSomebodyElses(t *testing.T) {
	r := newRig(t, nil)
	opened := versionOf(catalog.Selection{})
	r.click(selectionPath, url.Values{"version": {opened}, "mode": {"rules"}, "rules": {"tag=summer\nvendor=Acme"}, "exclude": {"5"}})
	mine := url.Values{"version": {opened}, "mode": {"include"}, "include": {"42"}}
	status, page := r.post(selectionPath, mine)
	if status != http.StatusConflict {
		t.Fatalf("status %d", status)
	}
	elements, text := checkPage(t, page)
	for _, want := range []string{"somebody changed the selection", "Matching: tag=summer, vendor=Acme", "Except: 5", "42", "Save mine instead"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if got := r.shops.list[0].Selection.Mode; got != "rules" {
		t.Errorf("theirs was replaced by %s", got)
	}
	for _, e := range elements {
		if e.attr["name"] == "version" {
			mine.Set("version", e.attr["value"])
		}
	}
	if location := r.click(selectionPath, mine); !strings.Contains(location, "said=selected") {
		t.Errorf("mine instead leads to %s", location)
	}
}

func TestASelectionThatLeavesMuchOutIsAskedAbout(t *testing.T) {
	r := newRig(t, nil)
	for id := range int64(3) {
		r.product(id+1, "Shirt", "")
	}
	form := url.Values{"version": {versionOf(catalog.Selection{})}, "mode": {"rules"}, "rules": {"vendor=acme suply\nvendor=no"}, "exclude": {"2 99"}}
	status, page := r.post(selectionPath, form)
	elements, text := checkPage(t, page)
	for _, want := range []string{
		"3 of 3 ACTIVE products would become INACTIVE. Go on?", `No stored product fits vendor=acme suply; there is `, "(3).",
		"Not stored, so leaving them out changes nothing now: 99.", "The whole shop would be read once", "keeps its row",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s\n%s", want, text)
		}
	}
	if got := r.shops.list[0].Selection; status != http.StatusOK || got.Mode != "" {
		t.Fatalf("%d, saved %+v without an answer", status, got)
	}
	confirmed := url.Values{}
	for _, e := range elements {
		if e.attr["type"] == "hidden" {
			confirmed.Set(e.attr["name"], e.attr["value"])
		}
	}
	if location := r.click(selectionPath, confirmed); location != selectionPath+"?fetch=1&n=0&off=3&said=selected" {
		t.Errorf("leads to %s", location)
	}
	if got := r.shops.list[0].Selection; len(got.Rules) != 2 || got.Rules[0].Value != "acme suply" || fmt.Sprint(got.Exclude) != "[2 99]" {
		t.Errorf("saved %+v", got)
	}
}

func TestTheAPIRefusesASelectionThatLeavesMuchOut(t *testing.T) {
	r := newRig(t, nil)
	for id := range int64(10) {
		r.product(id+1, "Shirt", "")
	}
	path := "/api/v1" + selectionPath
	refused := r.admin(409, "PUT", path, `{"mode":"all","exclude":[1,2]}`)
	if !strings.Contains(refused, "2 of 10 ACTIVE products would become INACTIVE. Nothing was changed; add yes=true") {
		t.Error(refused)
	}
	if got := r.admin(200, "PUT", path+"?dry_run=true", `{"mode":"all","exclude":[1,2]}`); !strings.Contains(got, `"active":10,"activated":0,"deactivated":2,`) || !strings.Contains(got, `"drastic":true`) {
		t.Error(got)
	}
	if got := r.shops.list[0].Selection; got.Mode != "" {
		t.Fatalf("saved %+v", got)
	}
	r.admin(200, "PUT", path, `{"mode":"all","exclude":[1]}`) // one of ten is no question
	if got := r.shops.list[0].Selection; len(got.Exclude) != 1 {
		t.Errorf("saved %+v", got)
	}
}

// slowShops lets everybody else run between the look at the shops and what is
// done with it.
type slowShops struct{ Shops }

func (s slowShops) List(ctx context.Context) ([]status.Connection, error) {
	list, err := s.Shops.List(ctx)
	for range 2000 {
		runtime.Gosched()
	}
	return list, err
}

func TestTwoWindowsThatSaveAtOnceDoNotBothWin(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Shops = slowShops{o.Shops} })
	var saved, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			form := url.Values{"version": {versionOf(catalog.Selection{})}, "mode": {"include"}, "include": {fmt.Sprint(i + 1)}}
			switch status, _ := r.post(selectionPath, form); status {
			case http.StatusSeeOther:
				saved.Add(1)
			case http.StatusConflict:
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if saved.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d saved, %d refused", saved.Load(), refused.Load())
	}
}

func TestAWrongSelectionIsNamedAndKeptInTheForm(t *testing.T) {
	r := newRig(t, nil)
	for name, tt := range map[string]struct {
		form url.Values
		want string
	}{
		"no radio":       {url.Values{"mode": {"all"}, "rules": {"tag=summer"}}, `Something is written under "Products that fit a rule", but that is not chosen.`},
		"another radio":  {url.Values{"mode": {"rules"}, "rules": {"tag=x"}, "include": {"7"}}, `under "Only these products", but that is not chosen`},
		"no choice":      {url.Values{}, "Choose which products are kept."},
		"words for ids":  {url.Values{"mode": {"include"}, "include": {"shirt"}}, `"shirt" is not a product's id`},
		"negative":       {url.Values{"mode": {"all"}, "exclude": {"-4"}}, `"-4" is not a product's id`},
		"no rule":        {url.Values{"mode": {"rules"}}, "write at least one"},
		"a broken rule":  {url.Values{"mode": {"rules"}, "rules": {"colour=red"}}, "looks at tag, vendor, type or published"},
		"an unknown one": {url.Values{"mode": {"some"}}, "Choose which products are kept."},
	} {
		t.Run(name, func(t *testing.T) {
			tt.form.Set("version", versionOf(catalog.Selection{}))
			status, page := r.post(selectionPath, tt.form)
			_, text := checkPage(t, page)
			if status != http.StatusBadRequest || !strings.Contains(text, tt.want) {
				t.Errorf("%d, without %q", status, tt.want)
			}
			for _, field := range []string{"include", "rules", "exclude"} {
				if !strings.Contains(text, tt.form.Get(field)) {
					t.Errorf("what was typed in %s is lost", field)
				}
			}
		})
	}
	if got := r.shops.list[0].Selection; got.Mode != "" {
		t.Errorf("saved %+v", got)
	}
}

func TestASyncIsStartedOnceAndJoined(t *testing.T) {
	r, _ := newSyncRig(t, nil)
	form := url.Values{"shop": {testShop}, "kind": {"dry"}}
	if got := r.click("/syncs", form); got != "/syncs/1?said=started" {
		t.Errorf("leads to %s", got)
	}
	if got := r.click("/syncs", form); got != "/syncs/1?said=joined" {
		t.Errorf("the second click leads to %s", got)
	}
	run, err := r.store.Run(t.Context(), 1)
	if err != nil || run.Kind != store.RunReconcile || !run.DryRun {
		t.Errorf("%+v %v", run, err)
	}
	if got := r.click("/syncs", url.Values{"shop": {testShop}, "kind": {"full"}}); got != "/syncs/2?said=started" {
		t.Errorf("the full read leads to %s", got)
	}
	if status, _ := r.post("/syncs", url.Values{"shop": {testShop}, "kind": {"all"}}); status != 400 {
		t.Errorf("an unknown kind: %d", status)
	}
	if status, _ := r.post("/syncs", url.Values{"shop": {"none.myshopify.com"}, "kind": {"full"}}); status != 404 {
		t.Errorf("an unknown shop: %d", status)
	}
}

func TestOnlyTheRunThatIsShownIsCancelled(t *testing.T) {
	r, syncs := newSyncRig(t, nil)
	r.click("/syncs", url.Values{"shop": {testShop}, "kind": {"full"}})
	r.click("/syncs", url.Values{"shop": {testShop}, "kind": {"reconcile"}})
	newer, err := r.store.Run(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	syncs.status.Running = &newer
	if got := r.click("/syncs/1/cancel", nil); got != "/syncs/1?said=not-running" || len(syncs.running) != 2 {
		t.Errorf("the older page cancelled another run: %s", got)
	}
	if got := r.click("/syncs/2/cancel", nil); got != "/syncs/2?said=cancelled" {
		t.Errorf("leads to %s", got)
	}
	if got := r.click("/syncs/2/cancel", nil); got != "/syncs/2?said=not-running" {
		t.Errorf("the second click leads to %s", got)
	}
	r.admin(404, "POST", "/syncs/77/cancel", "")
}

func TestALongReportIsPagedAndProgressBelongsToItsRun(t *testing.T) {
	r, syncs := newSyncRig(t, nil)
	r.click("/syncs", url.Values{"shop": {testShop}, "kind": {"full"}})
	r.click("/syncs", url.Values{"shop": {testShop}, "kind": {"reconcile"}})
	running, err := r.store.Run(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	running.Expected, running.Read = 400, 100
	syncs.status.Running, syncs.status.Rate = &running, 50
	for path, want := range map[string]bool{"/syncs/1": false, "/syncs/2": true} {
		if _, text := checkPage(t, r.admin(200, "GET", path, "")); strings.Contains(text, "100 of 400 products, 50 a second") != want {
			t.Errorf("%s: the progress is shown: %v", path, !want)
		}
	}
	var list []store.Drift
	for i := range driftListed + 5 {
		list = append(list, store.Drift{Shop: testShop, ExternalID: int64(i + 1), Title: fmt.Sprintf("Number %d.", i+1), Kind: store.DriftMissing})
	}
	r.drift(1, list...)
	next, seen := "/syncs/1", 0
	for next != "" {
		elements, text := checkPage(t, r.admin(200, "GET", next, ""))
		seen += strings.Count(text, "Number ")
		path := next
		next = ""
		for _, e := range elements {
			if href := e.attr["href"]; e.attr["class"] == "button" && strings.HasPrefix(href, "/syncs/1?after=") {
				next = strings.TrimSuffix(href, "#drift")
			}
		}
		if next == path {
			t.Fatal("the list does not go on")
		}
	}
	if seen != len(list) {
		t.Errorf("%d of %d differences are shown", seen, len(list))
	}
}

func TestCallsAreHeldAndAllowedByHand(t *testing.T) {
	calls := &fakeCalls{calls: status.Calls{Circuit: "open", Held: true}}
	r := newRig(t, func(o *Options) { o.Outbound = calls })
	path := "/shops/" + testShop + "/circuit"
	for hold, want := range map[string]string{"open": "held", "auto": "allowed", "try": "tried"} {
		if got := r.click(path, url.Values{"hold": {hold}, "back": {"/shops"}}); got != "/shops?said="+want {
			t.Errorf("%s leads to %s", hold, got)
		}
	}
	if len(calls.held) != 3 {
		t.Errorf("decided %v", calls.held)
	}
	if status, _ := r.post(path, url.Values{"hold": {"closed"}}); status != 400 {
		t.Errorf("a decision without a button: %d", status)
	}
	if status, _ := newRig(t, nil).post(path, url.Values{"hold": {"open"}}); status != http.StatusConflict {
		t.Errorf("without calls: %d", status)
	}
	_, text := checkPage(t, r.admin(200, "GET", "/shops", ""))
	if !strings.Contains(text, "held back by hand") || !strings.Contains(text, "Allow calls again") {
		t.Error("the page does not say that calls are held back")
	}
}

func TestSubscriptionsAreRegisteredFromThePage(t *testing.T) {
	r, syncs := newSyncRig(t, nil)
	path := "/shops/" + testShop + "/subscriptions"
	refused := status.Subscriptions{CheckedAt: time.Now(), Error: "Shopify refuses the address https://x.example: it is taken.", Next: "Start Stockroom with another --public-url.",
		Wanted: []status.Subscription{{Topic: "products/update", State: "missing", Needed: true, Reason: "it is taken"}, {Topic: "app/uninstalled", State: "missing", Reason: "not for this app"}}}
	syncs.status.Subscriptions, syncs.subs = refused, refused
	for path, words := range map[string][]string{
		"/":      {"1 subscription is missing", "Shopify refuses the address https://x.example: it is taken.", "another --public-url"},
		"/shops": {"Shopify refuses the address https://x.example: it is taken.", "another --public-url", "Missing. Shopify says: it is taken", "Missing. Shopify says: not for this app"},
	} {
		_, text := checkPage(t, r.admin(200, "GET", path, ""))
		for _, want := range words {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", path, want)
			}
		}
		if strings.Contains(text, "Press Register") {
			t.Errorf("%s says to press what can't work", path)
		}
	}
	if status, page := r.post(path, url.Values{"back": {"/shops"}}); status != http.StatusConflict || !strings.Contains(page, "it is taken") {
		t.Errorf("a refusal is said to be registered: %d", status)
	}
	syncs.fixed, syncs.subs = nil, status.Subscriptions{Present: true}
	if got := r.click(path, url.Values{"back": {"/shops"}}); got != "/shops?said=registered" || fmt.Sprint(syncs.fixed) != "[true]" {
		t.Errorf("leads to %s, %v", got, syncs.fixed)
	}
}

// Pull mode is told in grey, with how often and when last; nothing is missing there,
// and no button stands for what can't be done.
func TestThePagesTakePullModeForAWayToRun(t *testing.T) {
	r, syncs := newSyncRig(t, func(o *Options) { o.PublicURL = "" })
	const mode = "Pull mode: Stockroom looks for changes every 30 seconds; nothing has to reach this machine."
	last := time.Now().Add(-12 * time.Second)
	syncs.status = status.Sync{AsOf: last, ProvenIDs: last, Schedules: []status.Schedule{{Name: "incremental", Every: 30}, {Name: "subscriptions"}}, Looking: status.Looking{
		Looking: syncer.Looking{Pull: true, Every: 30 * time.Second, Last: last, Waiting: 312, WaitsSince: last, Ends: last.Add(4*time.Minute + 50*time.Second)}}}
	syncs.status.Subscriptions = status.Subscriptions{Present: true}
	looked := "Last looked for changes at " + last.Format("15:04:05 MST") + "."
	for path, want := range map[string][]string{
		"/":        {mode, "nowhere: this is pull mode", looked, "312 about 4 minutes to go", "Equal to the shop at"},
		"/shops":   {mode, looked, "Look for changes"},
		"/syncs":   {"In pull mode Stockroom looks for changes itself; a look that finds some is listed here as a catch-up."},
		"/updates": {"None: in pull mode Shopify sends nothing."},
	} {
		page := r.admin(200, "GET", path, "")
		_, text := checkPage(t, page)
		for _, want := range want {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", path, want, text)
			}
		}
		for _, never := range []string{"Register", "--public-url", "Not checked yet", "Check of subscriptions", "is missing", "in the last hour"} {
			if strings.Contains(text, never) {
				t.Errorf("%s says %q", path, never)
			}
		}
		if strings.Contains(page, `class="mark bad"`) {
			t.Errorf("%s has a red mark", path)
		}
	}
	syncs.status.Looking.Every, syncs.status.Looking.Slow = 2*time.Minute, "the shop allows few calls"
	syncs.status.Subscriptions.Error, syncs.status.Subscriptions.Next = "The subscriptions that Stockroom made can't be removed now: no network.", "It is tried again every 5 minutes."
	_, text := checkPage(t, r.admin(200, "GET", "/shops", ""))
	if want := "looks for changes every 2 minutes (the shop allows few calls); nothing has to reach this machine. The subscriptions that Stockroom made can't be removed now: no network. It is tried again"; !strings.Contains(text, want) {
		t.Error(text)
	}
}

func TestSubscriptionsOfTheConfigurationFileAreKnownByTheirDeliveries(t *testing.T) {
	r, syncs := newSyncRig(t, nil)
	syncs.status.Subscriptions = status.Subscriptions{CheckedAt: time.Now(), Present: true, Wanted: []status.Subscription{
		{Topic: "products/update", State: "by-deliveries", Needed: true}, {Topic: "products/delete", State: "unheard", Needed: true}}}
	_, text := checkPage(t, r.admin(200, "GET", "/shops", ""))
	for _, want := range []string{"Known by their deliveries", "Nothing has come yet of products/delete.", "There, as the updates that arrive show"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestAProductIsReadAgainOnce(t *testing.T) {
	var told []store.Wanted
	r := newRig(t, func(o *Options) { o.Wanted = func(w store.Wanted) { told = append(told, w) } })
	r.product(7, "Shirt", "")
	path := productPath(testShop, 7)
	for range 2 {
		if got := r.click(path+"/read", nil); got != path+"?said=reading" {
			t.Errorf("leads to %s", got)
		}
	}
	list, err := r.store.WantedList(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != 7 || list[0].Kind != store.WantProduct || len(told) != 2 {
		t.Errorf("%v %v, told %v", list, err, told)
	}
	_, text := checkPage(t, r.admin(200, "GET", path, ""))
	if !strings.Contains(text, "It is to be read from Shopify again: somebody asked for it on the page.") {
		t.Error("the page does not say that it is read again")
	}
	r.admin(404, "POST", "/products/none.myshopify.com/7/read", "")
}

func TestTwoClicksAreOneCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lastCheck
		looks := 0
		done := make(chan struct{})
		for range 3 {
			go l.run(t.Context(), func(context.Context) []Finding {
				looks++
				<-done
				return []Finding{{Check: "token"}}
			})
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			l.run(gone, nil)
			close(left)
		}()
		synctest.Wait()
		cancel() // a browser that leaves does not wait, and ends nothing
		<-left
		close(done)
		synctest.Wait()
		if at, list := l.found(); looks != 1 || len(list) != 1 || at.IsZero() {
			t.Errorf("looked %d times, found %v", looks, list)
		}
		l.run(t.Context(), func(context.Context) []Finding { looks++; return nil })
		if looks != 2 {
			t.Error("a later click does not look again")
		}
		l.run(t.Context(), func(context.Context) []Finding { panic("boom") })
		if _, list := l.found(); len(list) != 1 || list[0].Level != "fail" {
			t.Errorf("a check that broke off found %v", list)
		}
	})
}

func TestWhatACheckFoundComesWithItsFix(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Doctor = func(context.Context, bool) []Finding {
			return []Finding{{Check: "token", Shop: testShop, Level: "fail", Text: "the token is refused", Fix: "give a new one"}}
		}
	})
	_, text := checkPage(t, r.admin(200, "GET", r.click("/settings/check", nil), ""))
	for _, want := range []string{"Does not work", "The token is refused.", "What to do: give a new one", "linen", "Last checked"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if status, _ := newRig(t, nil).post("/settings/check", nil); status != http.StatusConflict {
		t.Errorf("without a doctor: %d", status)
	}
}
