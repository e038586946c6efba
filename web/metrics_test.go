package web

import (
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/telemetry"
)

// scrape reads a metrics page.
func scrape(r *rig, path string) string { return r.admin(200, http.MethodGet, path, "") }

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)(\{[a-z_]+="[^"\\\n]*"(?:,[a-z_]+="[^"\\\n]*")*\})? (\S+)$`)
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE) (\S+) (.+)$`)
)

// lint checks the text format by hand, for machines without promtool: HELP then
// TYPE then samples, each family once and in one piece, no sample without one.
func lint(t *testing.T, text string) (families []string) {
	t.Helper()
	kinds, series := map[string]string{}, map[string]bool{}
	current, help := "", ""
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if m := metaLine.FindStringSubmatch(line); m != nil {
			switch {
			case m[1] == "HELP":
				if kinds[m[2]] != "" || len(m[3]) < 12 {
					t.Errorf("line %d: HELP twice or empty: %s", i+1, line)
				}
				help = m[2]
			case m[2] != help:
				t.Errorf("line %d: TYPE without HELP before it: %s", i+1, line)
			default:
				current, kinds[m[2]] = m[2], m[3]
				families = append(families, m[2])
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("line %d is no sample: %q", i+1, line)
			continue
		}
		name := m[1]
		if kinds[current] == histogram {
			name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		}
		if name != current {
			t.Errorf("line %d: %s stands under %s: it has no line in the table of families", i+1, m[1], current)
		}
		if series[m[1]+m[2]] {
			t.Errorf("line %d: %s twice", i+1, m[1]+m[2])
		}
		series[m[1]+m[2]] = true
		if _, err := strconv.ParseFloat(m[3], 64); err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
		if (kinds[current] == counter) != strings.HasSuffix(current, "_total") {
			t.Errorf("%s is a %s", current, kinds[current])
		}
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
	return families
}

func TestMetricsAreCleanAndEveryFamilyIsThereFromTheStart(t *testing.T) {
	r := newRig(t, nil)
	text := scrape(r, "/metrics")
	if got := lint(t, text); len(got) != len(families) {
		t.Errorf("%d families, want %d", len(got), len(families))
	}
	for _, want := range []string{
		`shopify_webhooks_total{shop="linen.myshopify.com",type="update",status="success"} 0`,
		`shopify_sync_duration_seconds_bucket{shop="linen.myshopify.com",operation_type="webhook_update",le="120"} 0`,
		`shopify_rate_limit_hits_total{shop="linen.myshopify.com"} 0`,
		`stockroom_store_healthy{store="catalogue"} 1`, `stockroom_store_healthy{store="queue"} 1`,
		`stockroom_queue_jobs{state="waiting"} 0`, `stockroom_queue_dead_letters 0`, `stockroom_queue_oldest_age_seconds 0`,
		`stockroom_shops{state="active"} 1`, `stockroom_build_info{version="test"`,
	} {
		if !strings.Contains(text, "\n"+want) && !strings.HasPrefix(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestMetricsAreCleanAfterTraffic(t *testing.T) {
	set := metrics.NewSet()
	r := newRig(t, func(o *Options) { o.Sets = append(o.Sets, set, set) }) // given twice by mistake
	set.NewCounter(`stockroom_deliveries_total{outcome="applied"}`).Inc()
	set.NewCounter(`stockroom_webhooks_rejected_total{reason="no_hmac"}`).Inc()
	set.NewCounter(`stockroom_store_quarantines_total{store="queue"}`).Inc()
	r.product(1, "Shirt", "")
	r.waitingJob("{}")
	r.deadJob("{}")
	for i := range 40 {
		shop := fmt.Sprintf("shop-%d.myshopify.com", i)
		r.tel.Webhook(shop, "update", true, 40*time.Millisecond)
		r.tel.Error(shop, "webhook_update", telemetry.ErrLocked)
		r.tel.RateLimited(shop)
		r.tel.RateLimited(shop)
	}
	text := scrape(r, "/metrics")
	lint(t, text)
	for _, want := range []string{`stockroom_queue_jobs{state="waiting"} 1`, `stockroom_queue_jobs{state="dead"} 1`, `stockroom_queue_dead_letters 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestASampleWithoutAFamilyIsFound(t *testing.T) {
	set := metrics.NewSet()
	r := newRig(t, func(o *Options) { o.Sets = append(o.Sets, set) })
	set.NewCounter("stockroom_forgotten_total").Inc()
	text := scrape(r, "/metrics")
	if !strings.HasSuffix(text, "\nstockroom_forgotten_total 1\n") {
		t.Error("a sample without a family does not come last")
	}
}

func TestTheShopifySetIsTheFourFamiliesWithTheirBuckets(t *testing.T) {
	r := newRig(t, nil)
	r.tel.Webhook(testShop, "update", true, 700*time.Millisecond)
	r.tel.Webhook(testShop, "update", false, 3*time.Second)
	text := scrape(r, "/metrics/shopify")
	got := strings.Join(lint(t, text), " ")
	want := "shopify_webhooks_total shopify_sync_duration_seconds shopify_sync_errors_total shopify_rate_limit_hits_total"
	if got != want {
		t.Errorf("families %s", got)
	}
	var buckets []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, `shopify_sync_duration_seconds_bucket{shop="linen.myshopify.com",operation_type="webhook_update",le=`); ok {
			buckets = append(buckets, strings.TrimSpace(rest))
		}
	}
	const cumulative = `"0.1"} 0 "0.5"} 0 "1"} 1 "2"} 1 "5"} 2 "10"} 2 "30"} 2 "60"} 2 "120"} 2 "+Inf"} 2`
	if strings.Join(buckets, " ") != cumulative {
		t.Errorf("buckets %v", buckets)
	}
	for _, line := range []string{
		`shopify_webhooks_total{shop="linen.myshopify.com",type="update",status="success"} 1`,
		`shopify_webhooks_total{shop="linen.myshopify.com",type="update",status="error"} 1`,
		`shopify_sync_duration_seconds_count{shop="linen.myshopify.com",operation_type="webhook_update"} 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("missing %s", line)
		}
	}
}

func TestMetricsAreServedWithoutAnyRecorderOrSet(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Telemetry, o.Sets = nil, nil })
	lint(t, scrape(r, "/metrics"))
	lint(t, scrape(r, "/metrics/shopify"))
}
