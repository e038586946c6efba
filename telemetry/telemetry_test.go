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
	r.RateLimited("a.myshopify.com", 2)
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
	if n := strings.Count(text, "\n"); n > 1800 {
		t.Errorf("%d series, want room for the rest below 2,000", n)
	}
	if got := len(r.Sharing()); got != 1000-Shops {
		t.Errorf("%d shops share a label, want %d", got, 1000-Shops)
	}
	want(t, text, fmt.Sprintf(`shopify_webhooks_total{shop="other",type="update",status="success"} %d`, 1000-Shops))
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
