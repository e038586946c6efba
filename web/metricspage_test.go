package web

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

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
	b.WriteString(`# Metrics

` + "`/metrics`" + ` on the admin listener serves everything, ` + "`/metrics/shopify`" + ` the four that
dashboards rely on. Values of labels come from closed sets or from the connected
shops; 30 shops get series of their own and the rest share ` + "`shop=\"other\"`" + `.

` + "`received = accepted + rejected`" + `: ` + "`stockroom_webhooks_received_total`" + ` equals the sum of
` + "`stockroom_deliveries_total`" + ` and ` + "`stockroom_webhooks_rejected_total`" + `; each request is
counted once, before its answer leaves.

| name | type | meaning |
|---|---|---|
`)
	for _, f := range families {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, f.kind, f.help)
	}
	return b.String()
}
