package web

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"stockroom/webhook"
)

const (
	rulesFile     = "../deploy/prometheus/stockroom.rules.yml"
	dashboardFile = "../deploy/grafana/stockroom.json"
)

// alert is one rule of the rules file.
type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var list []alert
	for _, g := range doc.Groups {
		list = append(list, g.Rules...)
	}
	if len(list) < 10 {
		t.Fatalf("%d rules", len(list))
	}
	return list
}

// chart is one panel of the dashboard.
type chart struct {
	ID                       int
	Type, Title, Description string
	Targets                  []struct{ Expr, LegendFormat, RefID string }
	GridPos                  struct{ H, W, X, Y int }
	Datasource               struct{ UID string }
}

// dashboard is what the tests look at of the dashboard.
type dashboard struct {
	UID, Title string
	Panels     []chart
	Templating struct {
		List []struct {
			Name, Definition string
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) < 10 {
		t.Fatalf("%d panels", len(d.Panels))
	}
	return d
}

var (
	selector  = regexp.MustCompile(`\b((?:stockroom|shopify|process|go)_[a-z0-9_]+|up)\b(\{[^}]*\})?`)
	matcher   = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping  = regexp.MustCompile(`\bby \(([^)]*)\)`)
	labelUsed = regexp.MustCompile(`\$labels\.([a-z_]+)`)
	inLegend  = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
)

// judgeQuery says what of a query fits no family, and which labels its result
// can have.
func judgeQuery(expr string) (labels, problems []string) {
	known := map[string]bool{"instance": true, "job": true}
	found := selector.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		problems = append(problems, "it names no metric")
	}
	for _, m := range found {
		own := []string{"instance", "job"}
		if m[1] != "up" {
			i := slices.IndexFunc(families, func(f family) bool { return f.name == m[1] })
			if i < 0 {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					base, cut := strings.CutSuffix(m[1], suffix)
					if j := slices.IndexFunc(families, func(f family) bool { return f.name == base && f.kind == histogram }); cut && j >= 0 {
						i = j
					}
				}
			}
			if i < 0 {
				problems = append(problems, "there is no metric "+m[1])
				continue
			}
			own = append(own, strings.Fields(families[i].labels)...)
			if strings.HasSuffix(m[1], "_bucket") {
				own = append(own, "le")
			}
		}
		for _, l := range own {
			known[l] = true
		}
		for _, pair := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(own, pair[1]) {
				problems = append(problems, m[1]+" has no label "+pair[1])
			}
			if m[1] == "stockroom_webhooks_rejected_total" && pair[1] == "reason" {
				for value := range strings.SplitSeq(pair[3], "|") {
					if !slices.Contains(webhook.Reasons(), webhook.Reason(value)) {
						problems = append(problems, "nothing is refused for "+value)
					}
				}
			}
		}
	}
	groups := grouping.FindAllStringSubmatch(expr, -1)
	if len(groups) == 0 {
		for l := range known {
			labels = append(labels, l)
		}
	}
	for _, g := range groups {
		for l := range strings.SplitSeq(g[1], ",") {
			l = strings.TrimSpace(l)
			if !known[l] {
				problems = append(problems, "it groups by "+l+", which no metric in it has")
			}
			labels = append(labels, l)
		}
	}
	return labels, problems
}

func TestAQueryThatFitsNoMetricIsFound(t *testing.T) {
	for expr, want := range map[string]string{
		`stockroom_in_step == 0`:                                    "",
		`stockroom_in_steps == 0`:                                   "there is no metric stockroom_in_steps",
		`rate(stockroom_commit_sync_seconds_bucket{le="1"}[5m])`:    "",
		`rate(stockroom_commit_sync_seconds{le="1"}[5m])`:           "stockroom_commit_sync_seconds has no label le",
		`rate(stockroom_queue_jobs_count[5m])`:                      "there is no metric stockroom_queue_jobs_count",
		`sum by (topic) (shopify_webhooks_total)`:                   "it groups by topic, which no metric in it has",
		`shopify_webhooks_total{outcome="applied"}`:                 "shopify_webhooks_total has no label outcome",
		`stockroom_webhooks_rejected_total{reason="wrong_weather"}`: "nothing is refused for wrong_weather",
		`1 > 0`: "it names no metric",
	} {
		if _, problems := judgeQuery(expr); strings.Join(problems, "; ") != want {
			t.Errorf("%s: %q, want %q", expr, problems, want)
		}
	}
}

func TestEveryAlertNamesMetricsThatExistAndSaysWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range alerts(t) {
		labels, problems := judgeQuery(a.Expr)
		for _, p := range problems {
			t.Errorf("%s: %s", a.Alert, p)
		}
		for _, text := range a.Annotations {
			for _, m := range labelUsed.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: its words use the label %s, which its result has not", a.Alert, m[1])
				}
			}
		}
		if s := a.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: severity %q", a.Alert, s)
		}
		for _, name := range []string{"summary", "action"} {
			if words := a.Annotations[name]; len(words) < 20 || !strings.HasSuffix(words, ".") {
				t.Errorf("%s: its %s is no sentence: %q", a.Alert, name, words)
			}
		}
		if want := "docs/runbook.md#" + strings.ToLower(a.Alert); a.Annotations["runbook"] != want {
			t.Errorf("%s: runbook %q", a.Alert, a.Annotations["runbook"])
		}
		if seen[a.Alert] {
			t.Errorf("%s twice", a.Alert)
		}
		seen[a.Alert] = true
	}
}

func TestTheDashboardAsksForMetricsThatExist(t *testing.T) {
	d := readDashboard(t)
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q: its id is taken or it has no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, q := range d.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q and %q lie on each other", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" || p.Description == "" {
			t.Errorf("%q has no query, no description or a data source of its own", p.Title)
		}
		for _, target := range p.Targets {
			labels, problems := judgeQuery(target.Expr)
			for _, problem := range problems {
				t.Errorf("%q: %s", p.Title, problem)
			}
			for _, m := range inLegend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%q: its legend uses the label %s, which its result has not", p.Title, m[1])
				}
			}
		}
	}
	for _, v := range d.Templating.List {
		if v.Definition != "" {
			if _, problems := judgeQuery(v.Definition); len(problems) > 0 {
				t.Errorf("variable %s: %v", v.Name, problems)
			}
		}
	}
}

// promtool runs promtool; it has to succeed.
func promtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolTakesTheRulesAndTheirTests(t *testing.T) {
	promtool(t, "../deploy/prometheus", "check", "rules", "stockroom.rules.yml")
	promtool(t, "../deploy/prometheus", "test", "rules", "stockroom.rules.test.yml")
	promtool(t, "../deploy/prometheus", "check", "config", "--syntax-only", "prometheus.yml")
}

func TestEveryAlertIsShownToFire(t *testing.T) {
	tests, err := os.ReadFile("../deploy/prometheus/stockroom.rules.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		if !strings.Contains(string(tests), fmt.Sprintf(`{alertname=%q}', value: 1}`, a.Alert)) {
			t.Errorf("no test makes %s fire", a.Alert)
		}
	}
}

// The dashboard's queries are valid: promtool reads them as rules.
func TestPromtoolTakesTheDashboardsQueries(t *testing.T) {
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*", "$shop", ".*")
	for _, p := range readDashboard(t).Panels {
		for i, target := range p.Targets {
			rules = append(rules, rule{fmt.Sprintf("panel:%d:%d", p.ID, i), fill.Replace(target.Expr)})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, dir, "check", "rules", "rules.yml")
}
