package store

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"
)

// firstFile makes a products.db of the first schema with some rows.
func firstFile(t *testing.T) string { return earlierFile(t, 1) }

// earlierFile makes a products.db that began with the first schema and has come to the
// given one.
func earlierFile(t *testing.T, newest int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "products.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn(path, url.Values{"_pragma": {"foreign_keys(ON)"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema, err := migrationFiles.ReadFile("migrations/0001_catalogue.sql")
	if err != nil {
		t.Fatal(err)
	}
	p := product(7, "v1", 10_000, "1", "2")
	script := []string{
		string(schema), `PRAGMA user_version = 1`,
		`INSERT INTO shops (shop, merchant_id, added_at) VALUES ('` + testShop + `', 'm1', 1)`,
		`INSERT INTO changes (seq, shop, external_id, kind, at, cause) VALUES (41, '` + testShop + `', 7, 'created', 1, 'fetch')`,
		`INSERT INTO tombstones (shop, external_id, written_at, cause) VALUES ('` + testShop + `', 8, 1, 'fetch')`,
		// A product with a high id has come and gone.
		`INSERT INTO products (id, shop, external_id, status, selected, content_hash, synced_at, source) VALUES (900, 'x', 1, 'ACTIVE', 1, '', 1, 'fetch')`,
		`DELETE FROM products WHERE id = 900`,
	}
	for _, s := range script {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%v: %s", err, s)
		}
	}
	_, err = db.Exec(`
		INSERT INTO products (id, shop, merchant_id, external_id, status, shopify_status, selected, shopify_updated_at, content_hash,
		                      synced_at, source, published_at, shopify_created_at, title, vendor, product_type, handle, tags, options, images, body_html)
		VALUES (3, ?, 'm1', 7, 'ACTIVE', 'active', 1, 10000, ?, 5, 'webhook', 1000, 1000, 'Shirt v1', 'Acme', 'Shirts', 'shirt', ?, ?, ?, '<p>soft</p>')`,
		testShop, p.ContentHash().String(), arg(&p.Tags), arg(&p.Options), arg(&p.Images))
	if err != nil {
		t.Fatal(err)
	}
	first := slices.DeleteFunc(slices.Clone(catalog.VariantFields), func(k catalog.Kept[catalog.Variant]) bool { return k.Later })
	insert := `INSERT INTO variants (` + variantHead + `, ` + columnsOf(first) + `) VALUES ` + marks(3+len(first))
	for i := range p.Variants.Value() {
		v := &p.Variants.Value()[i]
		if _, err := db.Exec(insert, appendFields([]any{3, v.ID, rowHash(v)}, v, first)...); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i < newest; i++ {
		text, err := migrationFiles.ReadFile(migrations()[i])
		if err != nil {
			t.Fatal(err)
		}
		// In a transaction, as migrate runs it, and with its switch.
		script := "PRAGMA foreign_keys = OFF; BEGIN;" + string(text) + fmt.Sprintf("; PRAGMA user_version = %d; COMMIT", i+1)
		if _, err := db.Exec(script); err != nil {
			t.Fatalf("%s: %v", migrations()[i], err)
		}
	}
	return path
}

func TestAFileOfEachEarlierSchemaWorksOn(t *testing.T) {
	for schema := 1; schema < Format(); schema++ {
		t.Run(strconv.Itoa(schema), func(t *testing.T) { requireKeptAndWorking(t, earlierFile(t, schema)) })
	}
}

func requireKeptAndWorking(t *testing.T, path string) {
	t.Helper()
	b := &bench{t: t, path: path}
	b.reopen()
	t.Cleanup(func() { b.s.Close() })
	row := b.product(7)
	if row.ID != 3 || row.Title.Value() != "Shirt v1" || len(row.Variants) != 2 || row.Variants[1].Price.Value() != "2" {
		t.Errorf("product %+v", row)
	}
	if rows, err := b.query(`SELECT sum(price) FROM catalogue`); err != nil || rows[1][0] != 3.0 {
		t.Errorf("the view: %v, %v", rows, err)
	}
	b.want(upsertOf(product(8, "v1", 10_000, "1")), Stale)
	b.want(upsertOf(product(9, "v1", 10_000, "1")), Applied)
	if id := b.product(9).ID; id != 901 {
		t.Errorf("a new product has id %d; 900 was used before", id)
	}
	if got := b.kinds(41); len(got) != 1 {
		t.Errorf("feed %v after the old file's newest row", got)
	}
	b.want(upsertOf(product(7, "v1", 10_000, "1", "2")), Stale)
	b.want(deleteOf(7), Applied)
	if list := b.variants(3); len(list) != 0 {
		t.Errorf("%d variants outlive their product", len(list))
	}
	if err := b.s.integrity(t.Context()); err != nil {
		t.Error(err)
	}
	if list := b.products(testShop); len(list) != 1 {
		t.Errorf("products %v", list)
	}
}

func TestADamagedFileOfTheFirstSchemaIsTakenOver(t *testing.T) {
	b := open(t)
	old := filepath.Join(filepath.Dir(b.path), "old.db")
	if err := os.Rename(firstFile(t), old); err != nil {
		t.Fatal(err)
	}
	if taken, lost, err := b.s.salvageAll(old); taken != 1 || lost != 0 || err != nil {
		t.Fatalf("%d taken, %d lost, %v", taken, lost, err)
	}
	if row := b.product(7); row.Title.Value() != "Shirt v1" || len(row.Variants) != 2 || !row.TemplateSuffix.IsNull() {
		t.Errorf("%+v", row)
	}
}

// What a new version keeps besides is known of no stored product, so a catalogue that
// has some is read again in full, once.
func TestANewVersionReadsTheCatalogueAgainOnce(t *testing.T) {
	b := open(t)
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("a fresh catalogue wants %+v", w)
	}
	b = &bench{t: t, path: firstFile(t)}
	b.reopen()
	t.Cleanup(func() { b.s.Close() })
	w := b.wanted()
	const reason = "this version of Stockroom keeps more of each product"
	if len(w) != 1 || w[0].Kind != WantSync || w[0].Shop != testShop || w[0].Reason != reason || w[0].At == 0 {
		t.Fatalf("an older catalogue wants %+v", w)
	}
	if err := b.s.WantedDone(t.Context(), w[0], time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("it wants %+v again", w)
	}
}

// Reading what every change is judged by, and what is compared, must not walk through
// a description; what an index has is read there.
func TestSmallColumnsComeBeforeLongOnes(t *testing.T) {
	b := open(t)
	long := map[string]bool{"title": true, "tags": true, "options": true, "images": true, "body_html": true}
	rows, err := b.other().Query(`
		SELECT name, type FROM pragma_table_info('products') t WHERE NOT EXISTS (
			SELECT 1 FROM pragma_index_list('products') l, pragma_index_info(l.name) i WHERE i.name = t.name)
		ORDER BY cid`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var seenLong string
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		if long[name] {
			seenLong = name
		} else if kind == "INTEGER" && seenLong != "" {
			t.Errorf("column %s stands behind %s", name, seenLong)
		}
	}
	b.must(rows.Err())
	if seenLong == "" {
		t.Error("no columns were found")
	}
}

func TestAFailedMigrationLeavesTheOldFile(t *testing.T) {
	path := firstFile(t)
	db, err := sql.Open("sqlite", dsn(path, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE sync_runs (x INTEGER)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	dir, err := folder.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c, err := newDatabase(dir, filepath.Base(path)).connect(t.Context(), writerQuery(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := migrate(c, faultless); err == nil {
		t.Fatal("the migration went through")
	}
	for query, want := range map[string]int64{
		`PRAGMA user_version`:           1,
		`SELECT count(*) FROM products`: 1,
		`SELECT count(*) FROM variants`: 2,
		`SELECT count(*) FROM pragma_table_info('products') WHERE name = 'read_at'`: 0,
	} {
		if n, err := c.count(query); err != nil || n != want {
			t.Errorf("%s: %d (%v), want %d", query, n, err, want)
		}
	}
}
