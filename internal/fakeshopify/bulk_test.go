package fakeshopify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
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
	*at = at.Add(999 * time.Millisecond)
	if got := pollBulk(t, s, ids[0]); got.Status != "CANCELING" {
		t.Errorf("%+v", got)
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

func TestEditsDuringABulkRunShowInProductsNotYetRead(t *testing.T) {
	t.Run("watched", func(t *testing.T) { editsDuringBulk(t, true) })
	t.Run("not watched", func(t *testing.T) { editsDuringBulk(t, false) })
}

func editsDuringBulk(t *testing.T, watched bool) {
	t.Helper()
	s, at := bulkShop(Options{Products: 100, API: APIOptions{Bulk: BulkOptions{Base: 100 * time.Second, Rate: 1e9}}})
	op, _ := startBulk(t, s, bulkProducts, false)
	ids := s.IDs()
	*at = at.Add(50 * time.Second)
	if watched {
		if st := pollBulk(t, s, op.ID); st.Status != "RUNNING" || st.RootObjectCount < "49" || st.RootObjectCount > "51" {
			t.Errorf("half way: %+v", st)
		}
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
