package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/store"
	"stockroom/web"
)

func TestProgressIsOneLineThatAPersonReads(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for want, run := range map[string]web.Run{
		"reading 12,400 of 100,000 products, 1,900/s, about 46 s left": {SyncRun: store.SyncRun{Phase: "reading", Read: 12_400, Expected: 100_000}, Rate: 1900, EndsAt: now.Add(46 * time.Second)},
		"comparing 3 of 1 product":                                     {SyncRun: store.SyncRun{Phase: "listing", Read: 3, Expected: 1}},
		"comparing":                                                    {SyncRun: store.SyncRun{Phase: "listing"}},
		"reading 7 products, about 3 min left":                         {SyncRun: store.SyncRun{Phase: "reading", Read: 7}, Rate: 0.4, EndsAt: now.Add(170 * time.Second)},
		"Shopify is exporting, 1,234,567 objects so far":               {SyncRun: store.SyncRun{Phase: "exporting", ObjectsTotal: 1_234_567}},
		"reading what differs: +1 ~2,000 -3 so far":                    {SyncRun: store.SyncRun{Phase: "repairing", Added: 1, Changed: 2000, Removed: 3}},
		"looking for products that are gone":                           {SyncRun: store.SyncRun{Phase: "removing"}},
		"waiting for Shopify":                                          {SyncRun: store.SyncRun{Phase: "waiting"}},
		"waiting: other work goes first; next try in 24 s":             {SyncRun: store.SyncRun{Phase: "reading"}, Waits: "other work goes first", WaitsUntil: now.Add(24 * time.Second)},
	} {
		if got := progressWords(run, now)[0]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestProgressLinesComeAtMostEveryFiveSeconds(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out, shop: "my-shop"}
	at := time.UnixMilli(1_800_000_000_000)
	for i := range 40 { // 20 s
		p.show(web.Run{SyncRun: store.SyncRun{Phase: "reading", Read: int64(i)}}, at.Add(time.Duration(i)*followEvery))
	}
	p.show(web.Run{SyncRun: store.SyncRun{Phase: "reading", Read: 30}}, at.Add(time.Hour)) // no news
	p.end()
	if got := out.String(); got != "my-shop: reading\nmy-shop: reading 10 products\nmy-shop: reading 20 products\nmy-shop: reading 30 products\n" {
		t.Errorf("%s", got)
	}
}

func TestTheCauseOfARunTellsWhetherShopifyAnswers(t *testing.T) {
	for _, kind := range []shopify.Kind{shopify.KindNetwork, shopify.KindTimeout, shopify.KindServer, shopify.KindOpen, shopify.KindUnreadable} {
		if !unreachable(kind.String()) {
			t.Errorf("%v", kind)
		}
	}
	for _, cause := range []string{"", "catalogue", "export", shopify.KindToken.String(), shopify.KindThrottled.String(), shopify.KindBudget.String()} {
		if unreachable(cause) {
			t.Errorf("%q", cause)
		}
	}
	for want, run := range map[int]store.SyncRun{
		config.ExitOK:          {State: store.RunDone},
		config.ExitFailed:      {State: store.RunFailed, Error: "Shopify can't be reached, says a product's title"},
		config.ExitUnreachable: {State: store.RunFailed, Error: "no connection to my-shop.myshopify.com", Cause: "network"},
	} {
		code := config.ExitOK
		if err := verdict(web.Run{SyncRun: run}); err != nil {
			code = exitCode(err)
		}
		if code != want {
			t.Errorf("%+v: exit %d, want %d", run, code, want)
		}
	}
	far, bad := withCode(config.ExitUnreachable, errors.New("a")), errors.New("b")
	for want, list := range map[int][]error{config.ExitUnreachable: {far, far}, config.ExitFailed: {far, bad, far}} {
		if got := exitCode(gravest(list)); got != want {
			t.Errorf("%v: exit %d, want %d", list, got, want)
		}
	}
	if gravest(nil) != nil {
		t.Error("nothing failed")
	}
}

func TestDriftIsSafeAndShort(t *testing.T) {
	var out bytes.Buffer
	e := &env{Process: Process{Stdout: &out}}
	long := strings.Repeat("ä", 100)
	run := followed{Run: web.Run{SyncRun: store.SyncRun{Shop: "my-shop", Kind: store.RunReconcile, Added: 1, Changed: 1, Removed: 3, Unchanged: 5, StartedAt: 1000, FinishedAt: 3000, Proven: true, ProvenAt: 1000}}}
	run.Drift = []store.Drift{
		{ExternalID: 1, Title: "Hat\x1b[31m", Kind: store.DriftDifferent, Fields: []catalog.FieldDiff{{Path: "title", Old: "a", New: "b\n"}, {Path: "body_html", Old: long, New: ""}}},
		{ExternalID: 2, Title: "Sock", Kind: store.DriftMissing}, {ExternalID: 3, Kind: store.DriftExtra},
	}
	e.tellRun(run, wish{drift: true})
	want := fmt.Sprintf("my-shop: 7 products compared in 2 s: +1 ~1 -3.\n~ 1 Hat\uFFFD[31m\n    title: \"a\" -> \"b\\n\"\n    body_html: %q... (100 characters) -> \"\"\n+ 2 Sock\n- 3 \nand 2 more, which are not listed.\n", strings.Repeat("ä", 60))
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
}
