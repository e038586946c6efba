package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
	"stockroom/store"
)

// fakeSyncs makes runs that are rows and nothing else.
type fakeSyncs struct {
	store *store.Store

	mu      sync.Mutex
	status  status.Sync
	running map[string]int64 // by kind and dry run
	fixed   []bool
	subs    status.Subscriptions
	err     error // of whatever is asked next
}

func (f *fakeSyncs) Status(string, time.Time) status.Sync {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fakeSyncs) Start(ctx context.Context, shop string, kind store.RunKind, dryRun bool) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return 0, f.err
	}
	key := fmt.Sprint(kind, dryRun)
	if id := f.running[key]; id != 0 {
		return id, nil
	}
	run, err := f.store.StartRun(ctx, store.SyncRun{Shop: shop, Kind: kind, DryRun: dryRun, Trigger: "asked for by hand", Phase: "waiting"})
	f.running[key] = run.ID
	return run.ID, err
}

func (f *fakeSyncs) Cancel(string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := len(f.running) > 0
	clear(f.running)
	return was
}

func (f *fakeSyncs) CheckSubscriptions(_ context.Context, _ string, fix bool) (status.Subscriptions, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fixed = append(f.fixed, fix)
	return f.subs, f.err
}

func newSyncRig(t *testing.T, change func(*Options)) (*rig, *fakeSyncs) {
	t.Helper()
	f := &fakeSyncs{running: map[string]int64{}}
	r := newRig(t, func(o *Options) {
		f.store = o.Store
		o.Syncs, o.PublicURL = f, "https://shop.example"
		if change != nil {
			change(o)
		}
	})
	return r, f
}

const syncPath = "/api/v1/shops/" + testShop + "/sync"

func TestASyncThatIsAskedForTwiceIsOne(t *testing.T) {
	r, f := newSyncRig(t, nil)
	first := decode[Run](t, r.admin(http.StatusAccepted, "POST", syncPath, `{"kind":"full"}`))
	if first.ID == 0 || first.Kind != store.RunFull || first.State != store.RunRunning || first.Shop != testShop {
		t.Fatalf("%+v", first)
	}
	if again := decode[Run](t, r.admin(http.StatusAccepted, "POST", syncPath, `{"kind":"full","dry_run":false}`)); again.ID != first.ID {
		t.Errorf("a second click began run %d beside %d", again.ID, first.ID)
	}
	dry := decode[Run](t, r.admin(http.StatusAccepted, "POST", syncPath, `{"kind":"reconcile","dry_run":true}`))
	if dry.ID == first.ID || !dry.DryRun {
		t.Errorf("%+v", dry)
	}
	w := serve(r.Admin(), request("POST", syncPath, `{"kind":"full"}`, "Authorization", "Bearer "+testToken))
	if got := w.Header().Get("Location"); got != fmt.Sprintf("/api/v1/syncs/%d", first.ID) {
		t.Errorf("Location %q", got)
	}
	if got := r.admin(200, "POST", syncPath+"/cancel", ""); !strings.Contains(got, `"cancelled":true`) {
		t.Error(got)
	}
	if got := r.admin(200, "POST", syncPath+"/cancel", ""); !strings.Contains(got, `"cancelled":false`) {
		t.Error(got)
	}
	if len(f.fixed) != 0 {
		t.Error("subscriptions were checked")
	}
}

func TestASyncThatCannotBeginSaysWhatToDo(t *testing.T) {
	r, f := newSyncRig(t, nil)
	for _, tt := range []struct {
		name, path, body string
		err              error
		want             int
		words            string
	}{
		{"no kind", syncPath, `{}`, nil, 400, "full, incremental or reconcile"},
		{"an unknown kind", syncPath, `{"kind":"everything"}`, nil, 400, "full, incremental or reconcile"},
		{"a dry run that would not be dry", syncPath, `{"kind":"full","dry_run":true}`, nil, 400, "Only a reconcile"},
		{"an unknown member", syncPath, `{"kind":"full","dryrun":true}`, nil, 400, "member"},
		{"no body", syncPath, ``, nil, 400, "JSON"},
		{"a shop that is not connected", "/api/v1/shops/wool.myshopify.com/sync", `{"kind":"full"}`, nil, 404, "shop list"},
		{"no shop's name", "/api/v1/shops/wool/sync", `{"kind":"full"}`, nil, 400, "wool"},
		{"another one in the way", syncPath, `{"kind":"full"}`, answer.Refuse(409, "Another sync runs", "It begins after that."), 409, "after that"},
	} {
		f.err = tt.err
		if got := r.admin(tt.want, "POST", tt.path, tt.body); !strings.Contains(got, tt.words) {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	if runs, err := r.store.Runs(t.Context(), store.RunFilter{}); err != nil || len(runs) != 0 {
		t.Errorf("runs began: %v, %v", runs, err)
	}
}

func TestAServerThatDoesNotCompareSaysSo(t *testing.T) {
	r := newRig(t, nil)
	for _, call := range [][3]string{
		{"GET", syncPath, ""}, {"POST", syncPath, `{"kind":"full"}`}, {"POST", syncPath + "/cancel", ""},
		{"GET", "/api/v1/shops/" + testShop + "/subscriptions", ""},
	} {
		if got := r.admin(409, call[0], call[1], call[2]); !strings.Contains(got, "stockroom serve") {
			t.Errorf("%s %s: %s", call[0], call[1], got)
		}
	}
	if got := r.admin(200, "GET", "/api/v1/syncs", ""); got != `{"syncs":[],"next":null}`+"\n" {
		t.Error(got)
	}
}

func TestSyncsAreListedNewestFirstByPages(t *testing.T) {
	r, f := newSyncRig(t, nil)
	var ids []int64
	for i := range 5 {
		kind, shop := store.RunFull, testShop
		if i == 3 {
			kind, shop = store.RunReconcile, "wool.myshopify.com"
		}
		run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: shop, Kind: kind, Trigger: "by schedule", State: store.RunDone})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, run.ID)
	}
	slices.Reverse(ids)
	type answer struct {
		Syncs []Run   `json:"syncs"`
		Next  *string `json:"next"`
	}
	var got []int64
	path := "/api/v1/syncs?limit=2"
	for pages := 1; ; pages++ {
		a := decode[answer](t, r.admin(200, "GET", path, ""))
		for _, v := range a.Syncs {
			got = append(got, v.ID)
		}
		if a.Next == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		path = "/api/v1/syncs?limit=2&after=" + *a.Next
	}
	if !slices.Equal(got, ids) {
		t.Errorf("listed %v, want %v", got, ids)
	}
	for query, want := range map[string]int{"?kind=reconcile": 1, "?shop=" + testShop: 4, "?shop=" + testShop + "&kind=reconcile": 0} {
		if a := decode[answer](t, r.admin(200, "GET", "/api/v1/syncs"+query, "")); len(a.Syncs) != want {
			t.Errorf("%s: %d, want %d", query, len(a.Syncs), want)
		}
	}
	r.admin(400, "GET", "/api/v1/syncs?kind=all", "")
	r.admin(400, "GET", "/api/v1/syncs?limit=0", "")
	r.admin(400, "GET", "/api/v1/syncs/abc", "")
	r.admin(404, "GET", "/api/v1/syncs/4711", "")
	r.admin(404, "GET", "/api/v1/syncs/4711/drift", "")

	// Progress comes from the one who makes the run: the row is older. The
	// counters stand in the row only.
	run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunReconcile, DryRun: true, Trigger: "by schedule"})
	if err != nil {
		t.Fatal(err)
	}
	live := run
	read := store.Read{Shop: testShop, Source: "reconcile", Started: time.Now(), Run: run.ID, Report: true, DryRun: true}
	hat := &catalog.Product{ID: 2, Title: catalog.Of("Hat"), UpdatedAt: catalog.Of[int64](1000), Coverage: catalog.Complete}
	if _, err := r.store.PutFetched(t.Context(), read, hat); err != nil {
		t.Fatal(err)
	}
	live.Phase, live.Read, live.Expected = "reading", 12_400, 100_000
	f.status = status.Sync{Running: &live, Rate: 1900, EndsAt: time.UnixMilli(1_800_000_000_000), Waits: "other work goes first", WaitsUntil: time.UnixMilli(1_700_000_000_000)}
	v := decode[Run](t, r.admin(200, "GET", fmt.Sprintf("/api/v1/syncs/%d", run.ID), ""))
	if v.Read != 12_400 || v.Phase != "reading" || v.Rate != 1900 || v.EndsAt.UnixMilli() != 1_800_000_000_000 || v.Waits == "" || v.Added != 1 || v.WaitsUntil.UnixMilli() != 1_700_000_000_000 {
		t.Errorf("%+v", v)
	}
	if old := decode[Run](t, r.admin(200, "GET", fmt.Sprintf("/api/v1/syncs/%d", ids[0]), "")); old.Rate != 0 || old.Read != 0 {
		t.Errorf("an ended run has the pace of another: %+v", old)
	}
}

func TestTheDriftOfARunIsListedByPages(t *testing.T) {
	r, _ := newSyncRig(t, nil)
	run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunReconcile, DryRun: true, Trigger: "by hand"})
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/api/v1/syncs/%d/drift", run.ID)
	if got := r.admin(200, "GET", path, ""); got != `{"drift":[],"next":null}`+"\n" {
		t.Error(got)
	}
	r.drift(run.ID,
		store.Drift{ExternalID: 1, Title: "Shirt", Kind: store.DriftDifferent, Fields: []catalog.FieldDiff{{Path: "title", Old: "a", New: "b"}}},
		store.Drift{ExternalID: 2, Title: "Hat", Kind: store.DriftMissing},
		store.Drift{ExternalID: 3, Title: "Sock", Kind: store.DriftExtra})
	type answer struct {
		Drift []store.Drift `json:"drift"`
		Next  *string       `json:"next"`
	}
	first := decode[answer](t, r.admin(200, "GET", path+"?limit=2", ""))
	if len(first.Drift) != 2 || first.Next == nil || first.Drift[0].Fields[0] != (catalog.FieldDiff{Path: "title", Old: "a", New: "b"}) {
		t.Fatalf("%+v", first)
	}
	last := decode[answer](t, r.admin(200, "GET", path+"?limit=2&after="+*first.Next, ""))
	if len(last.Drift) != 1 || last.Next != nil || last.Drift[0].ExternalID != 3 {
		t.Errorf("%+v", last)
	}
}

func TestSubscriptionsAreListedAndRegistered(t *testing.T) {
	const path = "/api/v1/shops/" + testShop + "/subscriptions"
	r, f := newSyncRig(t, nil)
	f.subs = status.Subscriptions{Present: true, Wanted: []status.Subscription{{Topic: "products/update", URI: "https://shop.example/webhooks/shopify/products", State: "present"}}}
	if got := r.admin(200, "GET", path, ""); !strings.Contains(got, `"present":true`) || !strings.Contains(got, `"others":[]`) {
		t.Error(got)
	}
	r.admin(200, "POST", path, "")
	if !slices.Equal(f.fixed, []bool{false, true}) {
		t.Errorf("asked to mend: %v", f.fixed)
	}
	for _, tt := range []struct {
		kind  shopify.Kind
		want  int
		title string
	}{
		{shopify.KindNetwork, 502, "Shopify can't be reached"}, {shopify.KindTimeout, 502, "Shopify can't be reached"},
		{shopify.KindServer, 502, "Shopify can't be reached"}, {shopify.KindOpen, 502, "Shopify can't be reached"},
		{shopify.KindToken, 409, "does not let the app in"}, {shopify.KindThrottled, 503, "Not now"}, {shopify.KindRefused, 502, "Shopify refuses"},
	} {
		f.err = fmt.Errorf("list subscriptions: %w", &shopify.Error{Kind: tt.kind, Shop: testShop, Op: "Subscriptions"})
		if got := r.admin(tt.want, "GET", path, ""); !strings.Contains(got, tt.title) {
			t.Errorf("%v: %s", tt.kind, got)
		}
	}
}

func TestTheSyncStatusHasListsForNone(t *testing.T) {
	r, f := newSyncRig(t, nil)
	f.status = status.Sync{Staleness: -1, Remote: -1, Why: "The copy has not been compared with the shop yet."}
	got := r.admin(200, "GET", syncPath, "")
	for _, want := range []string{`"running":null`, `"schedules":[]`, `"wanted":[]`, `"staleness_seconds":-1`, `"remote_products":-1`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}
