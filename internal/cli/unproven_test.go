package cli

import (
	"bytes"
	"strings"
	"testing"

	"stockroom/store"
	"stockroom/web"
)

// TestARunThatProvesNothingSaysWhy holds what a person and a script are told of
// a run that came to its end without a proof.
func TestARunThatProvesNothingSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		run    store.SyncRun
		failed bool
		says   string
		not    string
	}{
		{"in step", store.SyncRun{Kind: store.RunReconcile, Proven: true, ProvenAt: 5}, false, "nothing differs", "in step"},
		{"a product left", store.SyncRun{Kind: store.RunReconcile, Proven: true, Changed: 2, Error: "1 product could not be read and waits to be fetched"}, false,
			"not proven to be in step: 1 product could not be read and waits to be fetched.", "Something changed"},
		{"an incomplete listing", store.SyncRun{Kind: store.RunReconcile, Error: "the listing: the shop counts 5 products and lists 4"}, true,
			"not proven to be in step: the listing: the shop counts 5 products and lists 4.", "nothing differs"},
		{"a full sync in its place", store.SyncRun{Kind: store.RunReconcile, Error: "6000 products may differ; a full sync follows"}, true, "6000 products may differ", "nothing differs"},
		{"a dry run of an incomplete listing", store.SyncRun{Kind: store.RunReconcile, DryRun: true, Error: "the listing: the shop counts 5 products and lists 4"}, true,
			"the shop counts 5", "nothing differs"},
		{"a dry run that found something", store.SyncRun{Kind: store.RunReconcile, DryRun: true, Proven: true, Changed: 1}, false, "dry run", "not proven"},
		{"products newer here", store.SyncRun{Kind: store.RunReconcile, Proven: true, Error: "37 products are newer here than in the shop"}, false,
			"my-shop.myshopify.com: 5 products compared; the copy is not proven to be in step: 37 products are newer here than in the shop. It is compared again automatically.\n", "nothing differs"},
		{"a full sync that met products newer here", store.SyncRun{Kind: store.RunFull, Proven: true, Error: "1 product is newer here than in the shop"}, false,
			"my-shop.myshopify.com: 5 products read; the copy is not proven to be in step: 1 product is newer here than in the shop.", "nothing differs"},
		{"a dry run that could not look at all", store.SyncRun{Kind: store.RunReconcile, DryRun: true, Proven: true, Error: "6 products wait to be fetched"}, false,
			"the copy is not proven to be in step: 6 products wait to be fetched.", "nothing differs"},
		{"an incremental that left a product", store.SyncRun{Kind: store.RunIncremental, Error: "1 product is newer here than in the shop"}, false,
			"the copy still differs: 1 product is newer here than in the shop.", "nothing differs"},
		{"an incremental", store.SyncRun{Kind: store.RunIncremental}, false, "nothing differs", "not proven"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			e := &env{Process: Process{Stdout: &out}}
			tt.run.Shop, tt.run.State, tt.run.Read = "my-shop.myshopify.com", store.RunDone, 5
			run := web.Run{SyncRun: tt.run}
			e.tellRun(followed{Run: run}, wish{})
			if !strings.Contains(out.String(), tt.says) || strings.Contains(out.String(), tt.not) {
				t.Errorf("it says %q", out.String())
			}
			if err := verdict(run); (err != nil) != tt.failed {
				t.Errorf("verdict %v", err)
			}
		})
	}
}
