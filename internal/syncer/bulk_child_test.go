package syncer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stockroom/internal/bulk/bulktest"
	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/limiter"
	"stockroom/store"
)

// lineServer serves results of any size on a socket, from any byte on. Its path
// says which: /bulk/ORDER-LINES.
type lineServer struct {
	*httptest.Server
	index map[string]*lineIndex
	begun atomic.Int64 // downloads from the first byte
}

// lineIndex is where every thousandth line begins.
type lineIndex struct {
	order bulktest.Order
	lines int
	at    []int64
	size  int64
}

const indexEvery = 1000

func newLineServer(t testing.TB, order bulktest.Order, lines int) (*lineServer, *lineIndex) {
	t.Helper()
	x := &lineIndex{order: order, lines: bulktest.New(lines, order).Lines()}
	s := bulktest.New(lines, order)
	var b []byte
	for n := range x.lines {
		if n%indexEvery == 0 {
			x.at = append(x.at, x.size)
		}
		b = s.AppendLine(b[:0], n)
		x.size += int64(len(b))
	}
	srv := &lineServer{index: map[string]*lineIndex{}}
	srv.index[x.name()] = x
	srv.Server = httptest.NewServer(srv)
	t.Cleanup(srv.Close)
	return srv, x
}

func (x *lineIndex) name() string { return fmt.Sprintf("/bulk/%s-%d", x.order, x.lines) }

// from is a stream that begins at a byte.
func (x *lineIndex) from(offset int64) io.Reader {
	i := sort.Search(len(x.at), func(i int) bool { return x.at[i] > offset }) - 1
	return bulktest.New(x.lines, x.order).From(i*indexEvery, int(offset-x.at[i]))
}

func (s *lineServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.index[r.URL.Path]
	if x == nil {
		http.NotFound(w, r)
		return
	}
	offset, status := int64(0), http.StatusOK
	if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		offset, _ = strconv.ParseInt(strings.TrimSuffix(text, "-"), 10, 64)
		status = http.StatusPartialContent
		if offset >= x.size {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", x.size))
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, x.size-1, x.size))
	}
	if offset == 0 {
		s.begun.Add(1)
	}
	w.Header().Set("Content-Length", strconv.FormatInt(x.size-offset, 10))
	w.WriteHeader(status)
	_, _ = io.CopyBuffer(struct{ io.Writer }{w}, x.from(offset), make([]byte, 256<<10))
}

// lineAPI is a shop that exports the lines of a lineServer.
type lineAPI struct {
	API
	files *shopify.Client
	op    shopify.BulkOperation
}

func (a *lineAPI) Count(context.Context, string, limiter.Class) (int, bool, error) {
	return int(a.op.Roots), true, nil
}

func (a *lineAPI) RunBulk(context.Context, string, limiter.Class, string, bool) (string, error) {
	return a.op.ID, nil
}

func (a *lineAPI) Bulks(context.Context, string, limiter.Class, string) ([]shopify.BulkOperation, error) {
	return nil, nil
}

func (a *lineAPI) Bulk(context.Context, string, limiter.Class, string) (shopify.BulkOperation, bool, error) {
	return a.op, true, nil
}

func (a *lineAPI) Download(ctx context.Context, shop, address string, offset, most int64) (*shopify.Download, error) {
	return a.files.Download(ctx, shop, address, offset, most)
}

func (a *lineAPI) Look(context.Context, string, limiter.Class, time.Time, int) (shopify.Look, error) {
	return shopify.Look{Whole: true}, nil
}

// A result that is read in the right way leaves nothing to ask one by one.
func (a *lineAPI) Product(_ context.Context, _ string, _ limiter.Class, id int64) (*catalog.Product, error) {
	return nil, fmt.Errorf("product %d was asked for by itself", id)
}

func (a *lineAPI) Existing(_ context.Context, _ string, _ limiter.Class, ids []int64) ([]int64, error) {
	return nil, fmt.Errorf("%d products were looked for by id", len(ids))
}

// childJob is what the other process has to do.
type childJob struct {
	Dir, URL, Name string
	Size           int64
	Lines          int
	Memory         int64
}

// childResult is what it tells when it has come to the end.
type childResult struct {
	Run     store.SyncRun
	Seconds float64
	PeakKiB int
}

const childEnv = "STOCKROOM_SYNC_CHILD"

// TestFullSyncProcess is the other process of the tests below: one full sync, or
// the rest of one that an earlier process left.
func TestFullSyncProcess(t *testing.T) {
	text := os.Getenv(childEnv)
	if text == "" {
		t.Skip("only in a process of another test")
	}
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	r := &runRig{t: t, shop: fakeshopify.New(fakeshopify.Options{Shop: testShop}), dir: job.Dir}
	r.open()
	defer r.close()
	files, err := shopify.New(shopify.Options{
		BaseURL: func(string) string { return job.URL }, Version: "2026-10", Credentials: credentials{r.state}, Limiter: r.lim,
	})
	r.check(err)
	defer files.Close()
	r.o.API = &lineAPI{API: r.api, files: files, op: shopify.BulkOperation{
		ID: "gid://shopify/BulkOperation/1", Status: "COMPLETED", Objects: int64(job.Lines), Roots: int64(job.Lines / bulktest.Each),
		FileSize: job.Size, URL: job.URL + job.Name, Query: shopify.BulkProductsQuery(),
	}}
	begun := time.Now()
	r.check(r.Load(t.Context())) // as every start
	ended, err := r.store.Runs(t.Context(), store.RunFilter{Shop: testShop, Limit: 1})
	r.check(err)
	var run store.SyncRun
	if left := r.left(); left == nil && len(ended) > 0 {
		run = ended[0] // the process before died at its very end
	} else if run, err = r.makeFull(t.Context(), left); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(childResult{run, time.Since(begun).Seconds(), peakKiB()})
	r.check(err)
	fmt.Printf("\nresult %s\n", out)
}

// child starts the other process.
func (x *lineIndex) child(srv *lineServer, dir string) (*exec.Cmd, *bytes.Buffer, error) {
	job, err := json.Marshal(childJob{Dir: dir, URL: srv.URL, Name: x.name(), Size: x.size, Lines: x.lines})
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullSyncProcess$", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"="+string(job))
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out, cmd.Start()
}

// finish runs the other process to its end, in a directory that it makes.
func (x *lineIndex) finish(t testing.TB, srv *lineServer, dir string) childResult {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, out, err := x.child(srv, dir)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return resultIn(t, out)
}

func resultIn(t testing.TB, out *bytes.Buffer) childResult {
	t.Helper()
	_, text, ok := strings.Cut(out.String(), "\nresult ")
	text, _, _ = strings.Cut(text, "\n")
	var res childResult
	if err := json.Unmarshal([]byte(text), &res); !ok || err != nil {
		t.Fatalf("no result: %s", out)
	}
	return res
}

// content is a fingerprint of the stored products and variants, all but what
// another run of the same sync makes different.
func content(t testing.TB, dir string) (products, variants int, sum string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h := sha256.New()
	for i, query := range []string{
		`SELECT external_id, status, shopify_status, shopify_updated_at, content_hash, source, published_at, shopify_created_at, title, vendor,
		   product_type, handle, tags, options, images, body_html FROM products ORDER BY external_id`,
		`SELECT p.external_id, v.external_id, v.row_hash, v.position, v.inventory_item_id, v.inventory_quantity, v.title, v.sku, v.barcode, v.price,
		   v.compare_at_price, v.option1, v.option2, v.option3, v.inventory_policy, v.taxable, v.weight_grams, v.image_id, v.shopify_created_at,
		   v.shopify_updated_at FROM variants v JOIN products p ON p.id = v.product_id ORDER BY p.external_id, v.external_id`,
	} {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		row := make([]any, len(columns))
		to := make([]any, len(columns))
		for k := range row {
			to[k] = &row[k]
		}
		n := 0
		for rows.Next() {
			if err := rows.Scan(to...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(h, row...)
			n++
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			products = n
		} else {
			variants = n
		}
	}
	return products, variants, hex.EncodeToString(h.Sum(nil))
}

// saved reports whether a run need not read its result from the first byte.
func saved(t testing.TB, dir string) bool {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	if err := db.QueryRow(`SELECT count(*) FROM sync_runs WHERE byte_offset > 0`).Scan(&n); err != nil {
		return false // it died before it had made its tables
	}
	return n > 0
}

// peakKiB is the most memory that this process had resident, 0 where that is not
// told.
func peakKiB() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	n := 0
	if i := bytes.Index(status, []byte("VmHWM:")); i >= 0 {
		_, _ = fmt.Sscanf(string(status[i:]), "VmHWM: %d kB", &n)
	}
	return n
}
