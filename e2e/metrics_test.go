package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// load posts deliveries from several connections at once and returns how many
// got which answer.
func load(t *testing.T, s *server, connections int, deliveries []delivery) map[string]int {
	t.Helper()
	next := make(chan delivery)
	answers := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for d := range next {
				r, err := s.try(t.Context(), d)
				key := fmt.Sprintf("%d %s", r.Status, r.Body)
				if err != nil {
					key = "error " + err.Error()
				} else if r.Status != http.StatusOK {
					key = strconv.Itoa(r.Status)
				}
				mu.Lock()
				answers[key]++
				mu.Unlock()
			}
		})
	}
	for _, d := range deliveries {
		next <- d
	}
	close(next)
	wg.Wait()
	return answers
}

// sum adds the series of a family whose labels contain part.
func sum(m map[string]float64, family, part string) (total float64) {
	for series, v := range m {
		name, labels, _ := strings.Cut(series, "{")
		if name == family && strings.Contains(labels, part) {
			total += v
		}
	}
	return total
}

// High load: nothing is counted twice or lost, and the counters agree with each
// other, with the journal and with what the sender saw (I13).
func TestCountersReconcileUnderLoad(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	const n = 3000
	var list []delivery
	sent := map[string]int{} // what each delivery is
	add := func(kind string, d delivery) {
		sent[kind]++
		list = append(list, d)
	}
	for i := range n {
		id := int64(i%500 + 1)
		body := productBody(id, i/500+1, 2)
		switch i % 20 {
		default:
			add("product", delivery{Body: body, WebhookID: fmt.Sprint("w-", i)})
		case 3:
			add("product", delivery{Topic: "products/create", Body: productBody(int64(10_000+i), 1, 1)})
		case 5:
			add("product", delivery{Topic: "products/delete", Body: fmt.Appendf(nil, `{"id":%d}`, 20_000+i)})
		case 7:
			add("unknown topic", delivery{Topic: "orders/paid", Body: body})
		case 9:
			add("mismatch", delivery{Topic: "products/delete", Body: body})
		case 11:
			add("dead", delivery{Body: fmt.Appendf(nil, `{"id":%d`, i)})
		case 13:
			add("refused", delivery{Shop: "stranger.myshopify.com", Body: body})
		case 15:
			add("refused", delivery{Body: body, Header: map[string][]string{"X-Shopify-Topic": nil}})
		}
	}
	began := time.Now()
	answers := load(t, s, 32, list)
	t.Logf("%d deliveries over 32 connections in %s: %v", n, time.Since(began).Round(time.Millisecond), answers)
	m := s.metrics()

	accepted := float64(n - sent["refused"])
	check := func(what string, got, want float64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("answered success", float64(answers["200 "+answerApplied]), float64(sent["product"]))
	check("answered kept", float64(answers["200 "+answerKept]), float64(sent["mismatch"]+sent["dead"]))
	check("answered ignored", float64(answers["200 "+answerIgnored]), float64(sent["unknown topic"]))
	check("received", m["stockroom_webhooks_received_total"], n)
	check("rejected", sum(m, "stockroom_webhooks_rejected_total", ""), float64(sent["refused"]))
	check("accepted by outcome", sum(m, "stockroom_deliveries_total", ""), accepted)
	check("shopify_webhooks_total", sum(m, "shopify_webhooks_total", ""), accepted)
	check("errors in it", sum(m, "shopify_webhooks_total", `status="error"`), float64(sent["mismatch"]+sent["dead"]))
	check("histogram counts", sum(m, "shopify_sync_duration_seconds_count", ""), accepted)
	check("errors by type", sum(m, "shopify_sync_errors_total", `operation_type="webhook_`), float64(sent["mismatch"]+sent["dead"]))

	db := openCatalogue(t, s.Dir)
	for _, outcome := range []string{"applied", "stale", "duplicate", "queued", "dead", "mismatch"} {
		check("journal rows "+outcome, float64(count(t, db, `SELECT coalesce(sum(count), 0) FROM deliveries WHERE outcome = ?`, outcome)),
			sum(m, "stockroom_deliveries_total", fmt.Sprintf("outcome=%q", outcome)))
	}
	// A topic that has no use here is counted and logged, not journalled.
	check("ignored", sum(m, "stockroom_deliveries_total", `outcome="ignored"`), float64(sent["unknown topic"]))
	// A delivery that does not fit its topic needs nobody.
	dead := slices.DeleteFunc(s.jobs("dead"), func(j queuedJob) bool { return j.Class == "validation" })
	check("dead letters", m["stockroom_queue_dead_letters"], float64(len(dead)))
	checkBuckets(t, m)
	s.stop()
}

// checkBuckets looks at every histogram of shopify_sync_duration_seconds.
func checkBuckets(t *testing.T, m map[string]float64) {
	t.Helper()
	les := []string{"0.1", "0.5", "1", "2", "5", "10", "30", "60", "120", "+Inf"}
	buckets := map[string]map[string]float64{}
	for series, v := range m {
		rest, ok := strings.CutPrefix(series, "shopify_sync_duration_seconds_bucket{")
		if !ok {
			continue
		}
		i := strings.Index(rest, `,le="`)
		le := strings.TrimSuffix(rest[i+len(`,le="`):], `"}`)
		if buckets[rest[:i]] == nil {
			buckets[rest[:i]] = map[string]float64{}
		}
		buckets[rest[:i]][le] = v
	}
	if len(buckets) == 0 {
		t.Error("there are no buckets")
	}
	for labels, byLE := range buckets {
		if got := slices.Sorted(maps.Keys(byLE)); !slices.Equal(got, slices.Sorted(slices.Values(les))) {
			t.Errorf("%s: le values %v", labels, got)
		}
		for i := 1; i < len(les); i++ {
			if byLE[les[i]] < byLE[les[i-1]] {
				t.Errorf("%s: bucket %s has %v, less than %s with %v", labels, les[i], byLE[les[i]], les[i-1], byLE[les[i-1]])
			}
		}
		if c := m["shopify_sync_duration_seconds_count{"+labels+"}"]; byLE["+Inf"] != c {
			t.Errorf("%s: +Inf has %v, the count is %v", labels, byLE["+Inf"], c)
		}
		if total, ok := m["shopify_sync_duration_seconds_sum{"+labels+"}"]; !ok || total < 0 {
			t.Errorf("%s: sum %v", labels, total)
		}
	}
}

func TestMetricsArePlainPrometheusText(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	check := func(when string) {
		shopify := s.admin(http.MethodGet, "/metrics/shopify", "").Body
		var families []string
		for line := range strings.Lines(shopify) {
			if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
				families = append(families, strings.TrimSpace(rest))
			}
		}
		want := []string{"shopify_webhooks_total counter", "shopify_sync_duration_seconds histogram", "shopify_sync_errors_total counter", "shopify_rate_limit_hits_total counter"}
		if !slices.Equal(families, want) {
			t.Errorf("%s, /metrics/shopify has %q", when, families)
		}
		for series := range parseMetrics(t, shopify) {
			if !strings.HasPrefix(series, "shopify_") {
				t.Errorf("%s, /metrics/shopify has %s", when, series)
			}
		}
		for _, family := range []string{"shopify_webhooks_total", "shopify_sync_duration_seconds_count", "shopify_sync_errors_total", "shopify_rate_limit_hits_total"} {
			if !strings.Contains(shopify, "\n"+family+`{shop="`+e2eShop+`"`) {
				t.Errorf("%s, %s has no sample for the shop:\n%s", when, family, shopify)
			}
		}
		promtool, err := exec.LookPath("promtool")
		if err != nil {
			t.Log("promtool is not here, so it did not check the metrics")
			return
		}
		for _, path := range []string{"/metrics", "/metrics/shopify"} {
			cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
			cmd.Stdin = strings.NewReader(s.admin(http.MethodGet, path, "").Body)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s, promtool check metrics of %s: %v\n%s", when, path, err, out)
			}
		}
	}
	check("before any delivery")
	wantAnswer(t, s.post(delivery{Body: productBody(1, 1, 1)}), answerApplied)
	wantAnswer(t, s.post(delivery{Topic: "orders/x\"{}=", Body: []byte(`{}`)}), answerIgnored)
	wantAnswer(t, s.post(delivery{Topic: "products/delete", Body: productBody(1, 1, 1)}), answerKept)
	s.post(delivery{Secret: "wrong", Body: productBody(1, 1, 1)})
	check("after some")
	s.stop()
}
