package web

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"stockroom/internal/telemetry"
)

var update = flag.Bool("update", false, "write docs/metrics.md again")

func TestTheMetricsPageIsUpToDate(t *testing.T) {
	const path = "../docs/metrics.md"
	if *update {
		if err := os.WriteFile(path, []byte(metricsPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != metricsPage() {
		t.Error("docs/metrics.md is out of date, run: go test ./web -run TestTheMetricsPageIsUpToDate -update")
	}
}

// metricsPage is docs/metrics.md, written from the table of families.
func metricsPage() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Metrics

*What does each metric count?*

`+"`/metrics`"+` on the admin listener serves everything, `+"`/metrics/shopify`"+` the four that
dashboards rely on. How to scrape them, the alerts and the dashboard are in
[monitoring.md](monitoring.md).

Values of labels come from closed sets or from the connected shops. %d shops get
series of their own and the rest share `+"`shop=\"other\"`"+`: the shops with the most
product updates of late when the process starts, then in the order in which they are
added. Together they make fewer than 2,000 series, with 1,000 shops too. `+"`metrics_label`"+`
in `+"`/api/v1/status`"+` says which label a shop has. Where a busy shop's series would be too
many, what it does for the first time is counted under `+"`other`"+` too, so a sum over all
shops is always right.

`+"`received = accepted + rejected`"+`: `+"`stockroom_webhooks_received_total`"+` equals the sum of
`+"`stockroom_deliveries_total`"+` and `+"`stockroom_webhooks_rejected_total`"+`; each request is
counted once, before its answer leaves.

Never is not fresh: `+"`stockroom_staleness_seconds`"+` is +Inf until the copy was first shown
to equal the shop, so an alert on a large value fires then too. Shops that have
uninstalled the app have none of the series that tell how a copy stands.

| name | type | labels | meaning |
|---|---|---|---|
`, telemetry.Shops)
	for _, f := range families {
		labels := ""
		for name := range strings.FieldsSeq(f.labels) {
			labels += " `" + name + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s |%s | %s |\n", f.name, f.kind, labels, f.help)
	}
	return b.String()
}
