package fakeshopify

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBulkOperationsGoWrongOnDemand(t *testing.T) {
	plain := func() (int, int) {
		s, at := bulkShop(Options{Products: 60})
		_, lines := runBulk(t, s, at, true)
		roots := 0
		for _, r := range rows(t, lines) {
			if r.ParentID == "" {
				roots++
			}
		}
		return len(lines), roots
	}
	lines, roots := plain()
	for _, c := range []struct {
		name  string
		fault BulkFault
		check func(op bulkState, got []string) bool
	}{
		{"failed half way", BulkFault{Status: "FAILED", At: 0.5}, func(op bulkState, got []string) bool {
			return op.Status == "FAILED" && *op.ErrorCode == "INTERNAL_SERVER_ERROR" && op.URL == nil && op.RootObjectCount == "30" && len(got) < lines
		}},
		{"timeout", BulkFault{Status: "FAILED", ErrorCode: "TIMEOUT", At: 0.9}, func(op bulkState, got []string) bool {
			return *op.ErrorCode == "TIMEOUT" && op.PartialDataURL != nil
		}},
		{"cancelled by Shopify", BulkFault{Status: "CANCELED", At: 0.5}, func(op bulkState, got []string) bool {
			return op.Status == "CANCELED" && op.URL == nil && op.PartialDataURL == nil
		}},
		{"stalled", BulkFault{Stall: true}, func(op bulkState, got []string) bool { return op.Status == "RUNNING" && op.RootObjectCount == "30" }},
		{"nested lists cut silently", BulkFault{Nested: 1}, func(op bulkState, got []string) bool {
			return op.Status == "COMPLETED" && op.RootObjectCount == itoa(roots) && len(got) < lines && op.ObjectCount == itoa(len(got))
		}},
		{"children missing but counted", BulkFault{DropChildren: 0.3, CountDropped: true}, func(op bulkState, got []string) bool {
			return len(got) < lines && op.ObjectCount == itoa(lines)
		}},
		{"lines twice", BulkFault{Duplicate: 0.3}, func(op bulkState, got []string) bool {
			return len(got) > lines && op.ObjectCount == itoa(lines)
		}},
		{"false counts", BulkFault{CountOff: 2, RootCountOff: -1}, func(op bulkState, got []string) bool {
			return op.ObjectCount == itoa(lines+2) && op.RootObjectCount == itoa(roots-1) && len(got) == lines
		}},
		{"file cut", BulkFault{CutAt: 1000}, func(op bulkState, got []string) bool {
			return len(strings.Join(got, "")) >= 999 && len(strings.Join(got, "")) <= 1000 && *op.FileSize > "1000"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := bulkShop(Options{Products: 60})
			s.FailBulk(c.fault)
			if op, got := runBulk(t, s, at, true); !c.check(op, got) {
				t.Errorf("%+v, %d lines of %d", op, len(got), lines)
			}
			if op, got := runBulk(t, s, at, true); op.Status != "COMPLETED" || len(got) != lines {
				t.Errorf("the next one: %+v", op)
			}
		})
	}
	t.Run("scope missing", func(t *testing.T) {
		s, at := bulkShop(Options{Products: 2, API: APIOptions{Scopes: []string{"read_locations"}}})
		if op, _ := runBulk(t, s, at, true); op.Status != "FAILED" || *op.ErrorCode != "ACCESS_DENIED" {
			t.Errorf("%+v", op)
		}
	})
	t.Run("nothing found", func(t *testing.T) {
		s, at := bulkShop(Options{})
		if op, _ := runBulk(t, s, at, true); op.Status != "COMPLETED" || op.URL != nil || op.ObjectCount != "0" || op.FileSize != nil {
			t.Errorf("%+v", op)
		}
	})
}

func TestBulkQueriesAreChecked(t *testing.T) {
	s, _ := bulkShop(Options{Products: 1})
	for _, c := range []struct{ name, query, want string }{
		{"no connection", `{shop{name}}`, "at least one connection"},
		{"six connections", `{products{edges{node{id a:variants{edges{node{id}}} b:variants{edges{node{id}}} c:variants{edges{node{id}}} d:variants{edges{node{id}}} e:variants{edges{node{id}}}}}}}`, "more than 5 connections"},
		{"too deep", `{products{edges{node{id variants{edges{node{id media{edges{node{id}}}}}}}}}}`, "nesting depth greater than 2"},
		{"node", `{node(id:"gid://shopify/Product/1"){id}}`, "top level `node`"},
		{"nodes of a connection", `{products{nodes{id}}}`, "`nodes` field of a connection"},
		{"no id above a nested one", `{products{edges{node{title variants{edges{node{id}}}}}}}`, "must select the 'id' field without an alias"},
		{"an aliased id", `{products{edges{node{x:id variants{edges{node{id}}}}}}}`, "must select the 'id' field without an alias"},
		{"a mutation", `mutation{bulkOperationCancel(id:"x"){userErrors{message}}}`, "Only query operations"},
		{"nonsense", `{products{edges{node{nonsense}}}}`, "Invalid bulk query"},
		{"too long", `{products{edges{node{id}}}}` + strings.Repeat(" ", 65536), "too long"},
		{"good", bulkProducts, ""},
		{"good, first and pageInfo ignored", `{products(first:2){edges{cursor node{id}} pageInfo{hasNextPage}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problem := startBulk(t, s, c.query, false)
			if (problem == "") != (c.want == "") || !strings.Contains(problem, c.want) || c.want != "" && !strings.HasPrefix(problem, "INVALID: ") {
				t.Errorf("%q, want %q", problem, c.want)
			}
		})
	}
}

func TestTheEndOfABulkOperationIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &receiver{}
		s := apiShop(Options{Products: 10, Target: "https://r.example", Client: &http.Client{Transport: rec}, Topics: []string{TopicBulkFinish}})
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { defer close(done); s.Run(ctx, 0) }()
		op, _ := startBulk(t, s, bulkProducts, false)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(rec.got) != 1 {
			t.Fatalf("%d deliveries", len(rec.got))
		}
		g := rec.got[0]
		want := `"admin_graphql_api_id":"` + strings.ReplaceAll(op.ID, "/", `\/`) + `"`
		if !strings.Contains(g.body, want) || !strings.Contains(g.body, `"status":"completed"`) || !strings.HasSuffix(g.url, "/webhooks/shopify/bulk_operations_finish") {
			t.Errorf("%s to %s", g.body, g.url)
		}
		cancel()
		<-done
	})
}
