package web

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

func TestTheMetricsPageIsUpToDate(t *testing.T) {
	const path = "../docs/metrics.md"
	if *update {
		if err := os.WriteFile(path, []byte(MetricsPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != MetricsPage() {
		t.Error("docs/metrics.md is out of date, run: go test ./web -run TestTheMetricsPageIsUpToDate -update")
	}
}
