package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/internal/telemetry"
	"stockroom/store"
)

// told is a Syncs whose status each shop is given; it starts nothing.
type told struct {
	Syncs
	status map[string]status.Sync
}

func (t told) Status(shop string, _ time.Time) status.Sync { return t.status[shop] }

// quiet is an Outbound about which there is nothing to tell.
type quiet struct{ Outbound }

func (quiet) Calls(string, time.Time) status.Calls {
	return status.Calls{Circuit: "open", Used: 1, Budget: 80}
}
func (quiet) DaysLeft(time.Time) (int, bool) { return 200, true }
func (quiet) SelfThrottled() int64           { return 0 }

// standing is a status with everything in it that makes a series.
func standing(at time.Time) status.Sync {
	st := status.Sync{
		Running: &store.SyncRun{Read: 7, Expected: 10}, ProvenIDs: time.Now(), Staleness: 60, Remote: 12,
		LastReconcile: &store.SyncRun{Added: 1, Changed: 2, Removed: 3}, Subscriptions: status.Subscriptions{Present: true, CheckedAt: time.Now()},
	}
	for _, name := range []string{"full_sync", "reconcile", "incremental", "subscriptions"} {
		st.Schedules = append(st.Schedules, status.Schedule{Name: name, LastSuccess: at})
	}
	return st
}

// connect adds n shops, whose names are returned.
func (r *rig) connect(n int) []string {
	var names []string
	for i := range n {
		shop := fmt.Sprintf("shop-%04d.myshopify.com", i)
		r.shops.list = append(r.shops.list, status.Connection{Shop: shop, State: "active", HasSecret: true})
		r.tel.Shop(shop)
		names = append(names, shop)
	}
	return names
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
}

func TestACopyIsToldByItsGauges(t *testing.T) {
	at := time.Unix(1_790_000_000, 500e6)
	st := standing(at)
	st.Looking = status.Looking{Looking: syncer.Looking{Pull: true, Last: time.Now().Add(time.Hour), Waiting: 312}, EverySeconds: 30}
	r := newRig(t, func(o *Options) {
		o.Syncs = told{status: map[string]status.Sync{testShop: st}}
		o.DiskFree = func() (int64, error) { return 5 << 30, nil }
	})
	r.product(1, "Shirt", "")
	text := scrape(r, "/metrics")
	lint(t, text)
	const of = `{shop="linen.myshopify.com"`
	wantLines(t, text,
		`stockroom_in_step`+of+`} 1`, `stockroom_staleness_seconds`+of+`} 60`, `stockroom_subscriptions_present`+of+`} 1`,
		`stockroom_products`+of+`,where="local"} 1`, `stockroom_products`+of+`,where="shop"} 12`,
		`stockroom_drift_products`+of+`,kind="missing"} 1`, `stockroom_drift_products`+of+`,kind="different"} 2`, `stockroom_drift_products`+of+`,kind="extra"} 3`,
		`stockroom_sync_running`+of+`} 1`, `stockroom_sync_products_read`+of+`} 7`, `stockroom_sync_products_expected`+of+`} 10`,
		`stockroom_schedule_last_success_timestamp_seconds`+of+`,schedule="reconcile"} 1.7900000005e+09`, `stockroom_schedule_late`+of+`,schedule="reconcile"} 0`,
		`stockroom_look_pull`+of+`} 1`, `stockroom_look_age_seconds`+of+`} 0`, `stockroom_look_interval_seconds`+of+`} 30`, `stockroom_look_changes_waiting`+of+`} 312`,
		`stockroom_disk_free_bytes 5368709120`)
}

func TestACopyThatWasNeverProvenIsInfinitelyStale(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Syncs = told{status: map[string]status.Sync{testShop: {Staleness: -1, Remote: -1, Schedules: []status.Schedule{{Name: "reconcile", Late: true}}}}}
	})
	text := scrape(r, "/metrics")
	lint(t, text)
	const of = `{shop="linen.myshopify.com"`
	wantLines(t, text,
		`stockroom_in_step`+of+`} 0`, `stockroom_staleness_seconds`+of+`} +Inf`, `stockroom_subscriptions_present`+of+`} 0`,
		`stockroom_look_pull`+of+`} 0`, `stockroom_look_age_seconds`+of+`} +Inf`,
		`stockroom_schedule_last_success_timestamp_seconds`+of+`,schedule="reconcile"} 0`, `stockroom_schedule_late`+of+`,schedule="reconcile"} 1`)
	for _, absent := range []string{`where="shop"`, `stockroom_drift_products{`} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is told, though nobody knows it", absent)
		}
	}
}

func TestOfShopsThatShareALabelTheWorstCounts(t *testing.T) {
	now := time.Now()
	states := map[string]status.Sync{}
	r := newRig(t, func(o *Options) { o.Syncs = told{status: states} })
	for i, shop := range append(r.connect(telemetry.Shops+4), testShop) {
		st := standing(now.Add(-time.Duration(i) * time.Hour))
		st.Staleness = float64(i)
		states[shop] = st
	}
	sharing := r.tel.Sharing()
	if len(sharing) != 5 {
		t.Fatalf("%d shops share a label", len(sharing))
	}
	bad := states[sharing[1]]
	bad.Subscriptions.Present, bad.Staleness, bad.Remote = false, -1, -1
	bad.Schedules = slices.Clone(bad.Schedules)
	bad.Schedules[1].Late, bad.Schedules[1].LastSuccess = true, time.Time{}
	states[sharing[1]] = bad
	gone := slices.IndexFunc(r.shops.list, func(v status.Connection) bool { return v.Shop == sharing[0] })
	r.shops.list[gone].State = "uninstalled"

	text := scrape(r, "/metrics")
	lint(t, text)
	wantLines(t, text,
		`stockroom_in_step{shop="other"} 0`, `stockroom_staleness_seconds{shop="other"} +Inf`, `stockroom_subscriptions_present{shop="other"} 0`,
		`stockroom_schedule_late{shop="other",schedule="reconcile"} 1`, `stockroom_schedule_late{shop="other",schedule="full_sync"} 0`,
		`stockroom_schedule_last_success_timestamp_seconds{shop="other",schedule="reconcile"} 0`,
		`stockroom_sync_running{shop="other"} 4`, `stockroom_sync_products_read{shop="other"} 28`, `stockroom_drift_products{shop="other",kind="extra"} 12`)
	if strings.Contains(text, `stockroom_products{shop="other",where="shop"}`) {
		t.Error("the shops' own counts are added up though one of them is not known")
	}
	for _, sh := range decode[statusView](t, r.admin(200, "GET", "/api/v1/status", "")).Shops {
		if want := r.tel.Label(sh.Shop); sh.MetricsLabel != want {
			t.Errorf("%s: metrics_label %q, want %q", sh.Shop, sh.MetricsLabel, want)
		}
	}
}

func TestThePageSaysWhichShopsHaveNumbersOfTheirOwn(t *testing.T) {
	r := newRig(t, nil)
	if page := r.admin(200, "GET", "/settings", ""); strings.Contains(page, "h-metrics") {
		t.Error("one shop, and the page tells of shops that share a label")
	}
	r.connect(telemetry.Shops + 4)
	page := r.admin(200, "GET", "/settings", "")
	if !strings.Contains(page, "the 5 others share") {
		t.Error("the page does not say how many share a label")
	}
	for _, shop := range r.tel.Own() {
		if !strings.Contains(page, "<li>"+shop+"</li>") {
			t.Errorf("%s is not listed", shop)
		}
	}
}

// topics are all that are taken; the last has no use here.
func topics() []string {
	return []string{
		"create", "update", "delete", "inventory_levels_update",
		"inventory_levels_connect", "inventory_levels_disconnect", "inventory_items_update", "app_uninstalled", "app_scopes_update",
		"bulk_operations_finish", "customers_data_request", "customers_redact", "shop_redact", catalog.Topic("orders/paid").Label(),
	}
}

// busy does everything with a shop that makes a series.
func (r *rig) busy(shop string) {
	for _, typ := range topics() {
		r.tel.Webhook(shop, typ, true, time.Millisecond)
		r.tel.Webhook(shop, typ, false, time.Millisecond)
		r.tel.Error(shop, "webhook_"+typ, telemetry.ErrLocked)
		r.tel.Error(shop, "webhook_"+typ, telemetry.ErrMismatch)
	}
	for _, operation := range []string{"refetch", "refetch_inventory", "confirm_uninstall", "check_scopes", "probe", "bulk_sync", "reconcile", "incremental", "subscriptions"} {
		r.tel.Duration(shop, operation, time.Second)
		for _, typ := range []telemetry.ErrorType{telemetry.ErrTimeout, telemetry.ErrThrottled, telemetry.ErrAuth, telemetry.ErrMalformed, telemetry.ErrUpstream, telemetry.ErrInternal} {
			r.tel.Error(shop, operation, typ)
		}
	}
	r.tel.RateLimited(shop)
}

func TestAThousandBusyShopsMakeAtMostTwoThousandSeries(t *testing.T) {
	states := map[string]status.Sync{}
	r := newRig(t, func(o *Options) {
		o.Syncs, o.Outbound = told{status: states}, quiet{}
		o.DiskFree = func() (int64, error) { return 1, nil }
	})
	for _, shop := range append(r.connect(999), testShop) {
		states[shop] = standing(time.Now())
		r.busy(shop)
	}
	text := scrape(r, "/metrics")
	lint(t, text)
	series := map[string]int{}
	total := 0
	for line := range strings.Lines(text) {
		if line[0] != '#' {
			name, _, _ := strings.Cut(line, "{")
			name, _, _ = strings.Cut(name, " ")
			series[name]++
			total++
		}
	}
	// What this rig has not: the intake's counters and the breakers' transitions.
	const elsewhere = 40
	if total+elsewhere > 2000 {
		for _, name := range slices.Sorted(maps.Keys(series)) {
			t.Log(series[name], name)
		}
		t.Errorf("%d series", total+elsewhere)
	}
	t.Logf("%d series with 1,000 shops that did everything once", total+elsewhere)
	if got := len(decode[statusView](t, r.admin(200, "GET", "/api/v1/status", "")).Shops); got != 1000 {
		t.Errorf("%d shops", got)
	}
}

// Every sample has the labels that its family's row tells.
func TestTheTableTellsTheLabels(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Syncs, o.Outbound = told{status: map[string]status.Sync{testShop: standing(time.Now())}}, quiet{}
	})
	r.busy(testShop)
	byName := map[string]family{}
	for _, f := range families {
		byName[f.name] = f
	}
	told := map[string]bool{}
	for line := range strings.Lines(scrape(r, "/metrics")) {
		m := sampleLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		f, ok := byName[m[1]]
		if !ok {
			name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(m[1], "_bucket"), "_sum"), "_count")
			f = byName[name]
		}
		var have []string
		for pair := range strings.SplitSeq(strings.Trim(m[2], "{}"), ",") {
			if name, _, found := strings.Cut(pair, "="); found && name != "le" {
				have = append(have, name)
			}
		}
		if !slices.Equal(have, strings.Fields(f.labels)) && !(len(have) == 0 && f.labels == "") {
			t.Errorf("%s has the labels %v, its row tells %q", m[1], have, f.labels)
		}
		told[f.name] = true
	}
	// Those that other packages write are looked at where all is together, in
	// the root's tests.
	if len(told) < len(families)/2 {
		t.Errorf("only %d families have a sample", len(told))
	}
}
