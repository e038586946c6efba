package telemetry

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

func written(r *Recorder) string {
	var b bytes.Buffer
	r.Write(&b)
	return b.String()
}

func want(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
}

func TestAConnectedShopShowsAtZero(t *testing.T) {
	r := New(metrics.NewSet())
	r.Shop("a.myshopify.com")
	want(t, written(r),
		`shopify_webhooks_total{shop="a.myshopify.com",type="update",status="success"} 0`,
		`shopify_webhooks_total{shop="a.myshopify.com",type="delete",status="error"} 0`,
		`shopify_sync_duration_seconds_bucket{shop="a.myshopify.com",operation_type="webhook_create",le="0.1"} 0`,
		`shopify_rate_limit_hits_total{shop="a.myshopify.com"} 0`)
}

func TestAWebhookIsCountedAndTimed(t *testing.T) {
	r := New(metrics.NewSet())
	r.Webhook("a.myshopify.com", "update", true, 300*time.Millisecond)
	r.Webhook("a.myshopify.com", "update", false, 3*time.Second)
	r.Error("a.myshopify.com", "webhook_update", ErrLocked)
	r.RateLimited("a.myshopify.com")
	r.RateLimited("a.myshopify.com")
	const of = `{shop="a.myshopify.com",operation_type="webhook_update"`
	want(t, written(r),
		`shopify_webhooks_total{shop="a.myshopify.com",type="update",status="success"} 1`,
		`shopify_webhooks_total{shop="a.myshopify.com",type="update",status="error"} 1`,
		`shopify_sync_duration_seconds_bucket`+of+`,le="0.1"} 0`,
		`shopify_sync_duration_seconds_bucket`+of+`,le="0.5"} 1`,
		`shopify_sync_duration_seconds_bucket`+of+`,le="120"} 2`,
		`shopify_sync_duration_seconds_bucket`+of+`,le="+Inf"} 2`,
		`shopify_sync_duration_seconds_count`+of+`} 2`,
		`shopify_sync_errors_total`+of+`,error_type="locked"} 1`,
		`shopify_rate_limit_hits_total{shop="a.myshopify.com"} 2`)
}

func TestAThousandShopsMakeABoundedNumberOfSeries(t *testing.T) {
	r := New(metrics.NewSet())
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			shop := fmt.Sprintf("shop-%d.myshopify.com", i)
			r.Shop(shop)
			for _, typ := range []string{"create", "update", "delete"} {
				r.Webhook(shop, typ, true, time.Millisecond)
			}
		})
	}
	wg.Wait()
	text := written(r)
	if n := strings.Count(text, "\n"); n > 60*(Shops+1) {
		t.Errorf("%d series for %d labels", n, Shops+1)
	}
	if got := len(r.Sharing()); got != 1000-Shops {
		t.Errorf("%d shops share a label, want %d", got, 1000-Shops)
	}
	if got := len(r.Own()); got != Shops {
		t.Errorf("%d shops have a label of their own, want %d", got, Shops)
	}
	want(t, text, fmt.Sprintf(`shopify_webhooks_total{shop="other",type="update",status="success"} %d`, 1000-Shops))
}

// everything uses a shop in every way there is, once.
func everything(r *Recorder, shop string) (operations, errors int) {
	operationTypes := []string{"refetch", "refetch_inventory", "confirm_uninstall", "check_scopes", "probe", "bulk_sync", "reconcile", "incremental", "subscriptions"}
	for i := range 12 { // topics
		typ := fmt.Sprint("type_", i)
		r.Webhook(shop, typ, true, time.Millisecond)
		r.Webhook(shop, typ, false, time.Millisecond)
		r.Error(shop, "webhook_"+typ, ErrLocked)
		r.Error(shop, "webhook_"+typ, ErrDiskFull)
		errors += 2
	}
	for _, op := range operationTypes {
		r.Duration(shop, op, time.Second)
		for _, typ := range []ErrorType{ErrTimeout, ErrThrottled, ErrAuth, ErrMalformed, ErrUpstream, ErrInternal} {
			r.Error(shop, op, typ)
			errors++
		}
	}
	r.RateLimited(shop)
	return 24 + len(operationTypes), errors
}

func TestBeyondTheLimitOfSeriesThingsAreCountedUnderOther(t *testing.T) {
	r := New(metrics.NewSet())
	operations, errors := 0, 0
	for i := range 50 {
		o, e := everything(r, fmt.Sprintf("shop-%d.myshopify.com", i))
		operations, errors = operations+o, errors+e
	}
	text := written(r)
	var own, other int
	sums := map[string]int{}
	for line := range strings.Lines(text) {
		if strings.Contains(line, `shop="other"`) {
			other++
		} else {
			own++
		}
		name, rest, _ := strings.Cut(line, "{")
		var n int
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &n); err == nil && !strings.HasSuffix(name, "_bucket") && !strings.HasSuffix(name, "_sum") {
			sums[name] += n
		}
	}
	if own > ownSeries || other > 450 {
		t.Errorf("%d series of single shops, %d shared", own, other)
	}
	if sums["shopify_sync_duration_seconds_count"] != operations || sums["shopify_sync_errors_total"] != errors || sums["shopify_rate_limit_hits_total"] != 50 {
		t.Errorf("sums %v, want %d operations and %d errors", sums, operations, errors)
	}
}

func TestPreferredShopsGetTheLabels(t *testing.T) {
	r := New(metrics.NewSet())
	busy := []string{"busy-1", "busy-2"}
	r.Prefer(busy)
	for i := range 100 {
		r.Shop(fmt.Sprint("shop-", i))
	}
	for _, shop := range busy {
		if got := r.Label(shop); got != shop {
			t.Errorf("%s has the label %q", shop, got)
		}
	}
}

func TestAShopKeepsItsLabel(t *testing.T) {
	r := New(metrics.NewSet())
	for i := range Shops {
		r.Label(fmt.Sprint("shop-", i))
	}
	if got := r.Label("late"); got != Other {
		t.Errorf("label %q, want %q", got, Other)
	}
	if got := r.Label("shop-0"); got != "shop-0" {
		t.Errorf("label %q", got)
	}
}
