package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

func (b *bench) dryRun() SyncRun {
	b.t.Helper()
	run, err := b.s.StartRun(b.t.Context(), SyncRun{Shop: testShop, Kind: RunReconcile, Trigger: "by hand", DryRun: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return run
}

// dump returns everything that is in the file except what a run says of itself.
func (b *bench) dump() string {
	b.t.Helper()
	db := b.reader()
	tables, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('drift', 'sync_runs', 'sync_seen', 'sqlite_stat1') ORDER BY name`)
	names, err := scanned[string](tables, err)
	if err != nil {
		b.t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		where := ""
		if name == "sqlite_sequence" {
			where = ` WHERE name NOT IN ('drift', 'sync_runs')`
		}
		list, err := rowsByName(db, `SELECT * FROM `+name+where)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, row := range list {
			fmt.Fprintln(&all, name, row)
		}
	}
	return all.String()
}

func (b *bench) reader() *sql.DB {
	b.t.Helper()
	if db := b.s.readers.Load(); db != nil {
		return db
	}
	b.t.Fatal("the file is not open")
	return nil
}

func scanned[T any](rows *sql.Rows, err error) (list []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// rowsByName returns the rows of a query, each with the names of its columns.
func rowsByName(db *sql.DB, query string, args ...any) (list []map[string]any, _ error) {
	rows, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := map[string]any{}
		for i, name := range columns {
			row[name] = values[i]
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

// fits reports whether the content of a product is the one its hash says.
func (b *bench) fits(id int64) bool {
	b.t.Helper()
	row := b.product(id)
	fits := false
	err := b.s.write(context.Background(), b.s.urgent, 1, func(t *tx) error {
		p, err := t.load(row.ID)
		fits = err == nil && p.ContentHash().String() == row.ContentHash
		return err
	})
	return err == nil && fits
}

// What no hash and no time shows is mended by a repair, so a dry run reports it.
func TestADryRunReportsWhatIsDamaged(t *testing.T) {
	for _, tt := range []struct{ name, spoil, want string }{
		{"a status", `UPDATE products SET status = 'INACTIVE'`, "status:INACTIVE>ACTIVE"},
		{"text that is no JSON", `UPDATE products SET tags = '["summer"'`, "row:can't be read>present"},
		{"images that are no JSON", `UPDATE products SET images = '{}'`, "row:can't be read>present"},
		{"a title", `UPDATE products SET title = 'Shirt v2'`, "title:Shirt v2>Shirt v"},
		{"a hash", `UPDATE products SET content_hash = 'x'`, "row:has another content than its hash says>present"},
		{"a picture", `UPDATE variants SET image_id = 71 WHERE external_id = 100`, "variants[100].image_id:71>72"},
	} {
		for name, version := range map[string]int64{"the stored version": 10_000, "a newer one": 20_000} {
			t.Run(tt.name+" under "+name, func(t *testing.T) {
				b := open(t)
				b.fetched(Read{Started: earlier()}, picturedRead(10_000))
				sound := b.dump()
				if _, err := b.other().Exec(tt.spoil); err != nil {
					t.Fatal(err)
				}
				if b.dump() == sound {
					t.Fatal("nothing was damaged")
				}
				words := func(dry bool) string {
					run := b.dryRun()
					r := Read{Shop: testShop, Source: "reconcile", Started: later(), Run: run.ID, Report: true, DryRun: dry}
					b.fetched(r, picturedRead(version))
					if got := b.run(run.ID); got.Changed != 1 || got.Unchanged != 0 {
						t.Errorf("dry %v: run %+v", dry, got)
					}
					return strings.Join(inWords(b.drift(run.ID)), "\n")
				}
				want := "different 1 Shirt v " + tt.want
				if tt.name == "a hash" && version > 10_000 {
					want = "different 1 Shirt v updated_at:1970-01-01T00:00:10Z>1970-01-01T00:00:20Z"
				}
				damaged := b.dump()
				if got := words(true); got != want {
					t.Errorf("the dry run reports %q, want %q", got, want)
				}
				if after := b.dump(); after != damaged {
					t.Errorf("the dry run changed something: %s", cmp.Diff(damaged, after))
				}
				if got := words(false); got != want {
					t.Errorf("the repair reports %q, want %q", got, want)
				}
				row := b.product(1)
				if row.Status != "ACTIVE" || row.Title.Value() != "Shirt v" || row.Variants[0].ImageID.Value() != 72 || !b.fits(1) {
					t.Errorf("it was not mended: %+v", row)
				}
			})
		}
	}
}

// A row that can't be read is no place to merge a payload into.
func TestADeliveryForARowThatCantBeReadWantsAFetch(t *testing.T) {
	b := open(t)
	b.want(upsertOf(pictured(10_000)), Applied)
	if _, err := b.other().Exec(`UPDATE products SET options = '['`); err != nil {
		t.Fatal(err)
	}
	part := pictured(20_000)
	part.Vendor, part.Coverage = catalog.Field[string]{}, catalog.Partial
	b.want(upsertOf(part), Stale)
	if w := b.wanted(); len(w) != 1 || w[0].ID != 1 || w[0].Reason != "its row can't be read" {
		t.Errorf("wanted %+v", w)
	}
	b.fetched(Read{Started: later()}, picturedRead(20_000))
	if !b.fits(1) || len(b.wanted()) != 0 {
		t.Errorf("after the fetch: wanted %+v", b.wanted())
	}
}

// TestADryRunKeepsWhatOthersOfItsTransactionDid holds that only the dry run is
// taken back, also in memory: the settings, the feed and what is told of the shops.
func TestADryRunKeepsWhatOthersOfItsTransactionDid(t *testing.T) {
	b := open(t)
	ahead := time.Now().AddDate(1, 0, 0).UnixMilli()
	for id := int64(1); id <= 2; id++ {
		b.want(upsertOf(product(id, "ahead", ahead, "1")), Applied)
	}
	seq := b.s.LastSeq()
	put := func(dry bool, list ...*catalog.Product) func(t *tx) error {
		return func(t *tx) error {
			r := Read{Shop: testShop, Source: "fetch", Started: time.Now().Add(time.Second), DryRun: dry}
			for _, p := range list {
				do := func() error { _, err := t.putShown(r, p.ID, p); return err }
				err, broken := t.try(!dry, do)
				if err != nil || broken != nil {
					return errors.Join(err, broken)
				}
			}
			return nil
		}
	}
	group := []func(t *tx) error{
		put(false, product(1, "v1", 10_000, "1")),                               // refused: an open difference
		put(true, product(2, "v1", 10_000, "1"), product(3, "v1", 10_000, "1")), // the same and a new one, tried only
		put(false, product(4, "v1", 10_000, "1")),
	}
	hold, held := make(chan struct{}), make(chan struct{})
	errs := make(chan error, len(group)+1)
	send := func(do func(t *tx) error) { errs <- b.s.write(context.Background(), b.s.urgent, 1, do) }
	go send(func(*tx) error { close(held); <-hold; return nil })
	<-held
	for i, do := range group {
		go send(do)
		for len(b.s.urgent) != i+1 {
			time.Sleep(time.Microsecond)
		}
	}
	close(hold)
	for range len(group) + 1 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if n, _ := b.s.OpenDifferences(testShop); n != 1 {
		t.Errorf("%d open differences, want that of product 1", n)
	}
	if w := b.wanted(); len(w) != 1 || w[0].ID != 1 {
		t.Errorf("wanted %+v", w)
	}
	b.absent(3)
	if got := b.s.LastSeq(); got != seq+1 {
		t.Errorf("the feed went from %d to %d", seq, got)
	}
	b.title(4, "Shirt v1")
}

func TestADryRunTellsNobodyThatTheShopChanged(t *testing.T) {
	b := open(t)
	b.fetched(Read{Started: later(), DryRun: true}, product(1, "v1", 10_000, "1"))
	if at := b.s.activity.lastSync(testShop); at != 0 {
		t.Errorf("the shop's products are said to have been written at %d", at)
	}
	run := b.fullRun()
	b.putBulk(bulkRead(run), run, product(1, "v1", 10_000, "1"))
	if b.s.activity.lastSync(testShop) == 0 {
		t.Error("nobody was told that a full sync wrote products")
	}
}

// chance makes products and damage of every kind.
type chance struct{ *rand.Rand }

func (c chance) of(list ...string) string { return list[c.IntN(len(list))] }

func (c chance) product(version int64) *catalog.Product {
	p := product(1, c.of("a", "b"), version*1000)
	p.Vendor, p.Handle = catalog.Of(c.of("Acme", "Bolt")), catalog.Of(c.of("shirt", "hat"))
	p.BodyHTML = catalog.Of(c.of("", "<p>soft</p>"))
	p.TemplateSuffix, p.Category = catalog.Of(c.of("wide", "gift")), catalog.Of(c.of("A", "A > B"))
	if c.IntN(2) == 0 {
		p.SEOTitle, p.SEODescription = catalog.Of(c.of("A", "B")), catalog.Null[string]()
	}
	p.Status = catalog.Of(c.of("active", "active", "draft"))
	p.Tags = catalog.Of([]string{c.of("summer", "winter")})
	for id := int64(1); id <= 3; id++ {
		if c.IntN(3) == 0 && len(p.Variants.Value()) > 0 {
			continue
		}
		v := variant(100+id, c.of("1", "2"))
		v.SKU, v.Taxable = catalog.Of(c.of("A", "B")), catalog.Of(c.IntN(2) == 0)
		v.InventoryQuantity, v.Position = catalog.Of(c.Int64N(2)), catalog.Of(id)
		if c.IntN(2) == 0 {
			v.WeightGrams, v.Tracked = catalog.Of(c.Int64N(2)), catalog.Of(c.IntN(2) == 0)
			v.RequiresShipping = catalog.Of(c.IntN(2) == 0)
		}
		p.Variants = catalog.Of(append(p.Variants.Value(), v))
	}
	images := []catalog.Image{}
	for n := range c.Int64N(3) {
		m := catalog.Image{Position: n + 1, Src: cdn + c.of("a.jpg", "b.jpg") + "?v=" + c.of("1", "2")}
		if c.IntN(2) == 0 {
			m.ID = 70 + n
			v := &p.Variants.Value()[0]
			m.VariantIDs, v.ImageID = []int64{v.ID}, catalog.Of(m.ID)
		}
		images = append(images, m)
	}
	p.Images = catalog.Of(images)
	return p
}

// empty takes every product and what is known of it out of the file.
func (b *bench) empty() {
	b.t.Helper()
	err := b.s.write(context.Background(), b.s.urgent, 1, func(t *tx) error {
		t.s.settings.touched = true
		clear(t.s.settings.open)
		for _, table := range []string{"variants", "products", "tombstones", "wanted", "open_differences", "deliveries", "changes"} {
			if _, err := t.exec(`DELETE FROM ` + table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// damage changes a column of the file as a hand or a flipped bit does.
func (c chance) damage(db *sql.DB) error {
	list := []string{
		`UPDATE products SET title = 'Shirt x'`, `UPDATE products SET vendor = NULL`, `UPDATE products SET body_html = 'x'`,
		`UPDATE products SET template_suffix = 'x'`, `UPDATE products SET category = NULL`,
		`UPDATE products SET seo_title = 'x'`, `UPDATE products SET seo_description = 'x'`,
		`UPDATE products SET status = CASE status WHEN 'ACTIVE' THEN 'INACTIVE' ELSE 'ACTIVE' END`,
		`UPDATE products SET shopify_status = 'archived'`, `UPDATE products SET tags = '["summer"'`, `UPDATE products SET options = '{}'`,
		`UPDATE products SET images = 'x'`, `UPDATE products SET images = '[{"position":1,"src":"x","alt":null}]'`,
		`UPDATE products SET content_hash = 'x'`, `UPDATE products SET selected = 1 - selected`,
		`UPDATE products SET shopify_updated_at = shopify_updated_at + 1000`, `UPDATE products SET shopify_updated_at = NULL`,
		`UPDATE variants SET price = '9' WHERE external_id = 101`, `UPDATE variants SET sku = 'X'`, `UPDATE variants SET weight_grams = 9`,
		`UPDATE variants SET tracked = 1 - tracked`,
		`UPDATE variants SET requires_shipping = 1 - requires_shipping`,
		`UPDATE variants SET image_id = 9 WHERE external_id = 101`, `UPDATE variants SET row_hash = 1`,
		`DELETE FROM variants WHERE external_id = 102`, `UPDATE variants SET external_id = 900 WHERE external_id = 101`,
		`DELETE FROM products`,
	}
	_, err := db.Exec(list[c.IntN(len(list))])
	return err
}

// told maps the columns to the path in a report.
var told = map[string]string{
	"title": "title", "body_html": "body_html", "vendor": "vendor", "product_type": "product_type", "handle": "handle", "tags": "tags",
	"template_suffix": "template_suffix", "category": "category",
	"shopify_status": "status", "published_at": "published_at", "shopify_created_at": "created_at",
	"sku": "sku", "barcode": "barcode", "price": "price", "compare_at_price": "compare_at_price", "position": "position",
	"option1": "option1", "option2": "option2", "option3": "option3", "inventory_item_id": "inventory_item_id",
	"inventory_quantity": "inventory_quantity", "inventory_policy": "inventory_policy", "taxable": "taxable",
}

// content is the stored product by the paths of a report, a value for each.
func (b *bench) contentByPath() (map[string]any, error) {
	all := map[string]any{}
	products, err := rowsByName(b.reader(), `SELECT * FROM products`)
	if err != nil || len(products) == 0 {
		return all, err
	}
	for column, path := range told {
		if v, ok := products[0][column]; ok {
			all[path] = v
		}
	}
	all["derived"] = products[0]["status"]
	keepLearned(all, "", products[0])
	variants, err := rowsByName(b.reader(), `SELECT * FROM variants WHERE product_id = ?`, products[0]["id"])
	for _, v := range variants {
		in := fmt.Sprintf("variants[%v]", v["external_id"])
		all[in] = present
		for column, path := range told {
			if value, ok := v[column]; ok {
				all[in+"."+path] = value
			}
		}
		keepLearned(all, in+".", v)
	}
	return all, err
}

// learned are the columns in which a value for the first time is no difference.
var learned = []string{"seo_title", "seo_description", "weight_grams", "image_id", "tracked", "requires_shipping"}

func keepLearned(all map[string]any, in string, row map[string]any) {
	for _, column := range learned {
		if row[column] != nil {
			all[in+column] = row[column]
		}
	}
}

// differing are the paths in which two states of a product differ.
func differing(was, is map[string]any) (paths []string) {
	both := maps.Clone(was)
	maps.Copy(both, is)
	for path := range both {
		variant, field, inside := strings.Cut(path, ".")
		if !inside {
			field = path
		}
		switch {
		case inside && (was[variant] == nil || is[variant] == nil): // the variant as a whole came or went
		case slices.Contains(learned, field) && was[path] == nil:
		case was[path] != is[path]:
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// TestADryRunReportsExactlyWhatTheRepairChanges holds it for thousands of stored
// rows, sound and damaged, and reads: both say the same, the dry run changes
// nothing, the repair changes what they say and leaves what the shop shows.
func TestADryRunReportsExactlyWhatTheRepairChanges(t *testing.T) {
	trials := 500
	if underRace {
		trials = 50
	} else if os.Getenv("STOCKROOM_TORTURE") != "" {
		trials = 10_000
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("STOCKROOM_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("replay with STOCKROOM_SEED=%d", seed)
	c := chance{rand.New(rand.NewPCG(seed, 13))}
	b := open(t)
	db := b.other()
	outcomes := map[string]int{}
	for n := range trials {
		b.empty()
		stored := c.product(10 + c.Int64N(3))
		if c.IntN(2) == 0 {
			b.fetched(Read{Started: earlier()}, stored)
		} else {
			b.want(upsertOf(stored), Applied)
		}
		read := c.product(10 + c.Int64N(3))
		if c.IntN(2) == 0 {
			read = stored
		}
		if n%25 == 0 {
			_, err := db.Exec(`DELETE FROM products`) // which chance alone may never do
			b.must(err)
		}
		for range c.IntN(3) {
			if err := c.damage(db); err != nil {
				t.Fatal(err)
			}
		}
		was, err := b.contentByPath()
		if err != nil {
			t.Fatal(err)
		}
		before, seq := b.dump(), b.s.LastSeq()
		r := Read{Started: later(), Report: true, DryRun: true}
		dry := b.fetched(r, read)
		if after := b.dump(); after != before || b.s.LastSeq() != seq {
			t.Fatalf("trial %d: the dry run changed %s", n, cmp.Diff(before, after))
		}
		r.DryRun = false
		done := b.fetched(r, read)
		dry.Refused = done.Refused // by the clock
		if d := cmp.Diff(dry, done, cmp.AllowUnexported(Result{})); d != "" {
			t.Fatalf("trial %d: dry run and repair differ: %s", n, d)
		}
		is, err := b.contentByPath()
		if err != nil {
			t.Fatal(err)
		}
		outcomes[string(done.Outcome)+" "+string(done.Drift)]++
		b.saysWhatChanged(n, done, was, is)
		if !done.Refused.IsZero() {
			continue
		}
		r.Started = r.Started.Add(time.Second)
		if again := b.fetched(r, read); again.Outcome == Applied || !b.fits(1) || b.product(1).Status != statusOf(true, read) {
			t.Fatalf("trial %d: after the repair (%+v) a second one finds %+v", n, done, again)
		}
	}
	t.Logf("%v", outcomes)
	if outcomes["applied different"] < trials/5 || outcomes["stale "] < trials/10 || outcomes["applied missing"] == 0 {
		t.Errorf("too little of one kind: %v", outcomes)
	}
}

// saysWhatChanged compares a report with what became of the columns.
func (b *bench) saysWhatChanged(n int, res Result, was, is map[string]any) {
	b.t.Helper()
	changed := differing(was, is)
	derived := slices.Contains(changed, "derived")
	changed = slices.DeleteFunc(changed, func(path string) bool { return path == "derived" })
	var said []string
	whole := false
	for _, d := range res.Diff {
		switch {
		case d.Path == "row" && d.Old == "can't be read":
			whole = true
		case d.Path == "status" && (d.New == active || d.New == inactive):
			if !derived {
				b.t.Errorf("trial %d: said of a status that stayed", n)
			}
			derived = false
		case d.Path == "row", d.Path == "updated_at", d.Path == "selected", strings.HasPrefix(d.Path, "images["), strings.HasPrefix(d.Path, "options["):
		default:
			said = append(said, d.Path)
		}
	}
	slices.Sort(said)
	if slices.Contains(said, "status") {
		derived = false
	}
	switch {
	case whole, res.Drift == DriftMissing:
	case derived:
		b.t.Errorf("trial %d: the status changed and nothing says so: %+v", n, res)
	case !slices.Equal(changed, said):
		b.t.Errorf("trial %d: changed %v, said %v (%+v)", n, changed, said, res)
	}
}
