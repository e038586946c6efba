package fakeshopify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const bulkProducts = `{products{edges{node{id title updatedAt variants{edges{node{id price}}} media{edges{node{id}}}}}}}`

type bulkState struct {
	ID, Status, Type, ObjectCount, RootObjectCount        string
	ErrorCode, FileSize, URL, PartialDataURL, CompletedAt *string
}

func startBulk(t *testing.T, s *Shop, query string, grouped bool) (bulkState, string) {
	t.Helper()
	v := into[struct {
		R struct {
			BulkOperation *bulkState
			UserErrors    []struct{ Code, Message string }
		}
	}](t, ask(t, s, `mutation($q:String!,$g:Boolean!){r:bulkOperationRunQuery(query:$q,groupObjects:$g){bulkOperation{id status type objectCount} userErrors{code message}}}`,
		map[string]any{"q": query, "g": grouped}))
	if len(v.R.UserErrors) > 0 {
		return bulkState{}, v.R.UserErrors[0].Code + ": " + v.R.UserErrors[0].Message
	}
	return *v.R.BulkOperation, ""
}

func pollBulk(t *testing.T, s *Shop, id string) bulkState {
	t.Helper()
	return into[struct{ BulkOperation bulkState }](t, ask(t, s,
		`query($id:ID!){bulkOperation(id:$id){id status type errorCode objectCount rootObjectCount fileSize url partialDataUrl completedAt}}`,
		map[string]any{"id": id})).BulkOperation
}

// fetchBulk downloads from a URL, from an offset on.
func fetchBulk(t *testing.T, s *Shop, url string, from int, token string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	if token != "" {
		req.Header.Set("X-Shopify-Access-Token", token)
	}
	res, err := Transport(s.Handler()).RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res, b, err
}

// bulkShop is a shop on a clock that the test moves.
func bulkShop(o Options) (*Shop, *time.Time) {
	at := epoch
	o.Now = func() time.Time { return at }
	o.API.Plan = Plan{"big", 1e9, 1e9}
	if o.MaxVariants == 0 {
		o.MaxVariants = 6
	}
	return apiShop(o), &at
}

func runBulk(t *testing.T, s *Shop, at *time.Time, grouped bool) (bulkState, []string) {
	t.Helper()
	op, problem := startBulk(t, s, bulkProducts, grouped)
	if problem != "" {
		t.Fatal(problem)
	}
	*at = at.Add(time.Hour)
	op = pollBulk(t, s, op.ID)
	url := op.URL
	if url == nil {
		url = op.PartialDataURL
	}
	if url == nil {
		return op, nil
	}
	res, b, err := fetchBulk(t, s, *url, 0, "")
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/jsonl" {
		t.Fatalf("%v %v", res, err)
	}
	return op, strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
}

type bulkRow struct {
	ID, Title string
	ParentID  string `json:"__parentId"`
}

func rows(t *testing.T, lines []string) []bulkRow {
	t.Helper()
	var out []bulkRow
	for _, l := range lines {
		var r bulkRow
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatalf("%v in %s", err, l)
		}
		out = append(out, r)
	}
	return out
}

func TestABulkResultHasEveryObjectInTheAskedOrder(t *testing.T) {
	for _, c := range []struct {
		name             string
		grouped, shuffle bool
	}{{"grouped", true, false}, {"not grouped", false, false}, {"shuffled", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			s, at := bulkShop(Options{Seed: 3, Products: 80, API: APIOptions{Bulk: BulkOptions{Shuffle: c.shuffle}}})
			op, lines := runBulk(t, s, at, c.grouped)
			if op.Status != "COMPLETED" || op.Type != "QUERY" || op.CompletedAt == nil || op.PartialDataURL != nil {
				t.Fatalf("%+v", op)
			}
			want := make(map[string]string) // id to parent
			for _, p := range s.Snapshot() {
				id := gid("Product", p.ID)
				want[id] = ""
				for _, v := range p.Variants {
					want[gid("ProductVariant", v.ID)] = id
				}
				for _, im := range p.Images {
					want[gid("MediaImage", im.MediaID)] = id
				}
			}
			size := 0
			for _, l := range lines {
				size += len(l)
				if !strings.Contains(l, `gid:\/\/shopify\/`) {
					t.Fatalf("slashes are not escaped: %s", l)
				}
			}
			if size++; op.ObjectCount != itoa(len(want)) || op.RootObjectCount != "80" || *op.FileSize != itoa(size) {
				t.Errorf("%s objects, %s roots, %s bytes; want %d, 80, %d", op.ObjectCount, op.RootObjectCount, *op.FileSize, len(want), size)
			}
			seen := make(map[string]bool)
			apart, orphans, last := 0, 0, ""
			for _, r := range rows(t, lines) {
				if parent, ok := want[r.ID]; !ok || parent != r.ParentID || seen[r.ID] {
					t.Fatalf("line of %s, parent %q, want %q; seen %v", r.ID, r.ParentID, parent, seen[r.ID])
				}
				seen[r.ID] = true
				if r.ParentID == "" {
					last = r.ID
					continue
				}
				if r.ParentID != last {
					apart++
				}
				if !seen[r.ParentID] {
					orphans++
				}
			}
			if len(seen) != len(want) || (apart == 0) != c.grouped || (orphans > 0) != c.shuffle {
				t.Errorf("%d of %d lines, %d children apart from their parent, %d before it", len(seen), len(want), apart, orphans)
			}
		})
	}
}

func TestADownloadResumesFromAnyByte(t *testing.T) {
	s, at := bulkShop(Options{Products: 40})
	op, lines := runBulk(t, s, at, false)
	whole := strings.Join(lines, "") + "\n"
	r := rand.New(rand.NewPCG(1, 2))
	for _, from := range append([]int{1, len(whole) - 1}, r.Perm(len(whole))[:30]...) {
		res, b, err := fetchBulk(t, s, *op.URL, from, "")
		if err != nil || res.StatusCode != 206 && from > 0 || string(b) != whole[from:] {
			t.Errorf("from %d: %d bytes, want %d, %v", from, len(b), len(whole)-from, err)
		}
	}
	if res, _, _ := fetchBulk(t, s, *op.URL, len(whole), ""); res.StatusCode != 416 {
		t.Errorf("beyond the end: %d", res.StatusCode)
	}
	for _, n := range []int{1, 5000, 20_000} {
		s.Fail(Fault{Kind: FaultTruncate, Bytes: n, Endpoint: "bulk"})
		_, b, err := fetchBulk(t, s, *op.URL, 0, "")
		if err == nil || string(b) != whole[:n] {
			t.Errorf("broken after %d bytes: got %d, %v", n, len(b), err)
		}
	}
	s.Fail(Fault{Status: 503, Endpoint: "bulk"})
	if res, _, _ := fetchBulk(t, s, *op.URL, 0, ""); res.StatusCode != 503 {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestResultURLsAreSignedAndExpire(t *testing.T) {
	s, at := bulkShop(Options{Products: 3, API: APIOptions{Bulk: BulkOptions{URLLife: time.Hour}}})
	op, _ := runBulk(t, s, at, false)
	status := func(url, token string) int {
		res, _, err := fetchBulk(t, s, url, 0, token)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	old := *op.URL
	if status(old+"0", "") != 403 || status(strings.Replace(old, "Expires=1", "Expires=2", 1), "") != 403 {
		t.Error("a changed URL is served")
	}
	*at = at.Add(59 * time.Minute)
	if status(old, "") != 200 {
		t.Error("expired early")
	}
	*at = at.Add(time.Minute)
	if status(old, "") != 400 {
		t.Error("did not expire")
	}
	if fresh := *pollBulk(t, s, op.ID).URL; status(fresh, testToken) != 200 {
		t.Error("a fresh URL does not work")
	}
	*at = at.Add(7 * 24 * time.Hour)
	if status(*pollBulk(t, s, op.ID).URL, "") != 400 {
		t.Error("served after 7 days")
	}
	if n := s.APIStats().TokenLeaks; n != 1 {
		t.Errorf("%d leaks of the token counted", n)
	}
}

func TestFiveOperationsRunAtATimeAndCanBeCancelled(t *testing.T) {
	s, at := bulkShop(Options{Products: 10})
	var ids []string
	for range 5 {
		op, problem := startBulk(t, s, bulkProducts, false)
		if problem != "" {
			t.Fatal(problem)
		}
		ids = append(ids, op.ID)
	}
	_, problem := startBulk(t, s, bulkProducts, false)
	if !strings.HasPrefix(problem, "OPERATION_IN_PROGRESS: ") || !strings.Contains(problem, ids[4]) {
		t.Errorf("%s", problem)
	}
	cancel := func(id string) string {
		v := into[struct {
			R struct {
				BulkOperation *bulkState
				UserErrors    []struct{ Message string }
			}
		}](t, ask(t, s, `mutation($id:ID!){r:bulkOperationCancel(id:$id){bulkOperation{status} userErrors{field message}}}`, map[string]any{"id": id}))
		if len(v.R.UserErrors) > 0 {
			return v.R.UserErrors[0].Message
		}
		return v.R.BulkOperation.Status
	}
	if got := cancel(ids[0]); got != "CANCELING" {
		t.Errorf("%s", got)
	}
	*at = at.Add(time.Minute)
	if got := pollBulk(t, s, ids[0]); got.Status != "CANCELED" || got.URL != nil {
		t.Errorf("%+v", got)
	}
	if got := cancel(ids[1]); got != "A bulk operation cannot be canceled when it is completed" {
		t.Errorf("%s", got)
	}
	if got := cancel(gid("BulkOperation", 1)); got != "Bulk operation does not exist" {
		t.Errorf("%s", got)
	}
	v := into[struct{ BulkOperations struct{ Nodes []bulkState } }](t, ask(t, s, `{bulkOperations(first:10,query:"status:completed"){nodes{id status}}}`, nil))
	var got []string
	for _, n := range v.BulkOperations.Nodes {
		got = append(got, n.ID)
	}
	if want := []string{ids[4], ids[3], ids[2], ids[1]}; !slices.Equal(got, want) {
		t.Errorf("%q, want newest first %q", got, want)
	}
}

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

func TestEditsDuringABulkRunShowInProductsNotYetRead(t *testing.T) {
	s, at := bulkShop(Options{Products: 100, API: APIOptions{Bulk: BulkOptions{Base: 100 * time.Second, Rate: 1e9}}})
	op, _ := startBulk(t, s, bulkProducts, false)
	ids := s.IDs()
	*at = at.Add(50 * time.Second)
	if st := pollBulk(t, s, op.ID); st.Status != "RUNNING" || st.RootObjectCount < "49" || st.RootObjectCount > "51" {
		t.Errorf("half way: %+v", st)
	}
	s.UpdateProduct(ids[10], func(p *Product) { p.Title = "edited behind" })
	s.UpdateProduct(ids[90], func(p *Product) { p.Title = "edited ahead" })
	s.DeleteProduct(ids[11])
	s.DeleteProduct(ids[91])
	fresh := s.CreateProduct(nil)
	*at = at.Add(51 * time.Second)
	_, b, err := fetchBulk(t, s, *pollBulk(t, s, op.ID).URL, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, r := range rows(t, strings.Split(strings.TrimSpace(string(b)), "\n")) {
		got[r.ID] = r.Title
	}
	has := func(id int64) bool { _, ok := got[gid("Product", id)]; return ok }
	if got[gid("Product", ids[10])] == "edited behind" || got[gid("Product", ids[90])] != "edited ahead" ||
		!has(ids[11]) || has(ids[91]) || !has(fresh.ID) {
		t.Error("the rows are not those of the time they were read")
	}
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

func TestManyLinesAreReadInLittleMemory(t *testing.T) {
	s, at := bulkShop(Options{Products: 2000, Large: -1, Huge: -1, Lean: true})
	op, _ := startBulk(t, s, bulkProducts, false)
	*at = at.Add(time.Hour)
	st := pollBulk(t, s, op.ID)
	res, b, err := fetchBulk(t, s, *st.URL, 0, "")
	if err != nil || itoa(len(b)) != *st.FileSize || bytes.Count(b, []byte("\n")) < 4000 || res.ContentLength != int64(len(b)) {
		t.Fatalf("%d bytes of %s, %v", len(b), *st.FileSize, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.api.bulk[0].cache); n > 256 {
		t.Errorf("%d roots kept", n)
	}
}
