package web

import (
	"fmt"
	"strings"
)

// MetricsPage is docs/metrics.md, written from the table of families.
func MetricsPage() string {
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
