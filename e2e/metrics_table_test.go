package e2e_test

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// documented reads the table of docs/metrics.md: each family's type and labels.
func documented(t *testing.T) (kinds map[string]string, labels map[string][]string, absent map[string]bool) {
	t.Helper()
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds, labels, absent = map[string]string{}, map[string][]string{}, map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\|([^|]*)\\|(.*)\\|$").FindAllStringSubmatch(string(page), -1) {
		kinds[m[1]] = m[2]
		labels[m[1]] = strings.Fields(strings.ReplaceAll(m[3], "`", ""))
		absent[m[1]] = strings.Contains(m[4], "Absent without --") // a setting that the demo has not
	}
	if len(kinds) < 20 {
		t.Fatalf("%d metrics in the table", len(kinds))
	}
	return kinds, labels, absent
}

// The whole program, its simulated shop in step: every family has a sample with
// the labels that docs/metrics.md tells, and says what is true.
func TestEveryMetricOfAServerInStepIsAsDocumented(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	s := launch(t, serveOptions{Dir: dir, Demo: []string{"--products", "20", "--rate", "0.5", "--chaos", "off", "--seed", "3", "--data", dir,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}})
	await(t, "admin.json of the demo", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "admin.json"))
		var admin struct{ URL, Token string }
		if err != nil || json.Unmarshal(text, &admin) != nil {
			return false
		}
		s.Admin, s.Token = admin.URL, admin.Token
		return true
	})
	if strings.HasSuffix(s.Admin, ":8081") {
		t.Errorf("the page is at %s, not where --admin-listen says", s.Admin)
	}
	const of = `{shop="demo-shop.myshopify.com"`
	var m map[string]float64
	await(t, "a copy in step", func() bool { m = s.metrics(); return m[`stockroom_in_step`+of+`}`] == 1 })
	if r := s.admin(http.MethodPost, "/api/v1/shops/demo-shop.myshopify.com/sync", `{"kind":"reconcile"}`); r.Status >= 300 {
		t.Fatalf("start a comparison: %s", r)
	}
	await(t, "the copy in step, after a comparison", func() bool {
		m = s.metrics()
		_, compared := m[`stockroom_drift_products`+of+`,kind="missing"}`]
		return m[`stockroom_in_step`+of+`}`] == 1 && compared
	})

	if stale, ok := m[`stockroom_staleness_seconds`+of+`}`]; !ok || stale < 0 || stale > 120 || math.IsInf(stale, 0) {
		t.Errorf("staleness %v", stale)
	}
	for series, want := range map[string]float64{
		`stockroom_subscriptions_present` + of + `}`:                  1,
		`stockroom_schedule_late` + of + `,schedule="reconcile"}`:     0,
		`stockroom_schedule_late` + of + `,schedule="full_sync"}`:     0,
		`stockroom_schedule_late` + of + `,schedule="incremental"}`:   0,
		`stockroom_schedule_late` + of + `,schedule="subscriptions"}`: 0,
		`stockroom_look_pull` + of + `}`:                              0,
		`stockroom_look_interval_seconds` + of + `}`:                  600,
		`stockroom_breaker_state` + of + `}`:                          0,
		`stockroom_throttled_self_total`:                              0,
		`stockroom_queue_dead_letters`:                                0,
		`stockroom_shops{state="active"}`:                             1,
		`stockroom_store_healthy{store="catalogue"}`:                  1,
	} {
		if got := m[series]; got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if at := m[`stockroom_schedule_last_success_timestamp_seconds`+of+`,schedule="full_sync"}`]; time.Since(time.Unix(int64(at), 0)) > 5*time.Minute {
		t.Errorf("the last full sync was at %v", at)
	}
	if local, remote := m[`stockroom_products`+of+`,where="local"}`], m[`stockroom_products`+of+`,where="shop"}`]; local < 20 || math.Abs(local-remote) > 5 {
		t.Errorf("%v products here, %v in the shop", local, remote)
	}
	if m["stockroom_disk_free_bytes"] <= 0 || m["stockroom_api_version_support_seconds"] <= 0 {
		t.Errorf("free disk %v, support left %v", m["stockroom_disk_free_bytes"], m["stockroom_api_version_support_seconds"])
	}

	kinds, labels, absent := documented(t)
	seen := map[string]bool{}
	for series := range m {
		name, rest, _ := strings.Cut(series, "{")
		family := name
		if kinds[family] == "" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && kinds[base] == "histogram" {
					family = base
				}
			}
		}
		if kinds[family] == "" {
			t.Errorf("%s is not in docs/metrics.md", name)
			continue
		}
		seen[family] = true
		var have []string
		for _, pair := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(rest, -1) {
			if pair[1] != "le" {
				have = append(have, pair[1])
			}
		}
		if !slices.Equal(have, labels[family]) {
			t.Errorf("%s: docs/metrics.md tells the labels %v", series, labels[family])
		}
	}
	for _, family := range slices.Sorted(maps.Keys(kinds)) {
		if seen[family] == absent[family] {
			t.Errorf("%s: has a sample %t, absent without a setting %t", family, seen[family], absent[family])
		}
	}
	if len(m) > 300 {
		t.Errorf("one shop makes %d series", len(m))
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(s.admin(http.MethodGet, "/metrics", "").Body)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
}
