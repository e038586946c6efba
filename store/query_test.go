package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stockroom/internal/catalog"
)

// query runs a statement on the bench's file, and returns the rows behind the columns.
func (b *bench) query(statement string) (all [][]any, err error) {
	b.t.Helper()
	err = Query(b.t.Context(), b.path, statement, func(columns []string, rows Rows) error {
		var head []any
		for _, c := range columns {
			head = append(head, c)
		}
		all = append(all, head)
		for row, err := range rows {
			if err != nil {
				return err
			}
			all = append(all, append([]any(nil), row...))
		}
		return nil
	})
	return all, err
}

// sold stores products as the shop sells them: two ways to have no stock, two prices
// that sort otherwise as text.
func sold(t *testing.T) *bench {
	b := open(t)
	for i, of := range []struct {
		price, status string
		stock         int64
		published     catalog.Field[int64]
	}{
		{"9.90", "active", 3, catalog.Of(int64(1_000))},
		{"10.00", "active", -2, catalog.Of(int64(1_000))},
		{"25", "draft", 0, catalog.Null[int64]()},
		{"100.00", "active", 0, catalog.Null[int64]()},
	} {
		p := product(int64(i+1), "v1", 10_000, of.price)
		p.Status, p.PublishedAt = catalog.Of(of.status), of.published
		p.Variants.Value()[0].InventoryQuantity = catalog.Of(of.stock)
		b.want(upsertOf(p), Applied)
	}
	return b
}

func TestTheCatalogueIsOneRowPerVariantWithNumbers(t *testing.T) {
	b := sold(t)
	p := product(788032119674292922, "big", 1_795_435_200_000, "1", "2")
	p.Variants.Value()[0].ID, p.Variants.Value()[1].ID = 788032119674292923, 788032119674292924
	p.Category = catalog.Of("Apparel > Shirts")
	b.want(upsertOf(p), Applied)
	got, err := b.query(`SELECT * FROM catalogue WHERE product_id = 788032119674292922 AND price < 2`)
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	row := map[string]any{}
	for i, name := range got[0] {
		row[name.(string)] = got[1][i]
	}
	v := p.Variants.Value()[0]
	want := map[string]any{
		"shop": testShop, "product_id": p.ID, "variant_id": v.ID, "title": p.Title.Value(), "variant_title": v.Title.Value(),
		"sku": v.SKU.Value(), "barcode": nil, "price": 1.0, "compare_at_price": nil, "stock": v.InventoryQuantity.Value(), "tracked": nil, "requires_shipping": nil,
		"status": "ACTIVE", "shopify_status": "active", "published": int64(1), "handle": "shirt", "vendor": "Acme",
		"product_type": "Shirts", "category": "Apparel > Shirts", "product_gid": "gid://shopify/Product/788032119674292922",
		"updated_at": "2026-11-23T12:00:00Z", "variant_gid": "gid://shopify/ProductVariant/788032119674292923",
	}
	if d := cmp.Diff(want, row); d != "" {
		t.Error(d)
	}
}

// Sold out and not counted are told apart; what is not known yet is shown as it is.
func TestTheCatalogueHasNoStockOfWhatIsNotTracked(t *testing.T) {
	b := open(t)
	p := product(1, "v1", 10_000, "1", "2", "3")
	p.Variants.Value()[0].Tracked, p.Variants.Value()[1].Tracked = catalog.Of(true), catalog.Of(false)
	for i := range p.Variants.Value() {
		p.Variants.Value()[i].InventoryQuantity = catalog.Of[int64](0)
	}
	p.Variants.Value()[1].RequiresShipping = catalog.Of(true)
	b.fetched(Read{Shop: testShop, Source: "fetch", Started: later()}, p)
	got, err := b.query(`SELECT stock, tracked, requires_shipping FROM catalogue ORDER BY variant_id`)
	want := [][]any{{"stock", "tracked", "requires_shipping"}, {int64(0), int64(1), nil}, {nil, int64(0), int64(1)}, {int64(0), nil, nil}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestTheExamplesOfTheSchemaPageAreTrue(t *testing.T) {
	b := sold(t)
	page, err := os.ReadFile("../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	var got [][]any
	for _, example := range regexp.MustCompile("(?s)```sql show\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		rows, err := b.query(example[1])
		if err != nil {
			t.Fatalf("%s: %v", example[1], err)
		}
		got = append(got, rows[1:]...)
	}
	want := [][]any{
		{"Shirt v1", "S", 100.0}, {"Shirt v1", "S", 10.0}, {"Shirt v1", "S", 9.9},
		{"SKU-200", "Shirt v1", "S", int64(-2)},
		{testShop, int64(4), int64(3), 9.9, 100.0},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestAQueryOnlyReads(t *testing.T) {
	b := sold(t)
	elsewhere := filepath.Join(t.TempDir(), "made.db")
	for _, statement := range []string{
		`DELETE FROM products`, `INSERT INTO products (id) VALUES (99) RETURNING id`, `UPDATE variants SET price = '1'`,
		`WITH gone AS (SELECT 1) DELETE FROM products`, `DROP VIEW catalogue`, `CREATE TEMP TABLE x (y)`,
		`CREATE TABLE x (y)`, `ATTACH '` + elsewhere + `' AS made`, `VACUUM INTO '` + elsewhere + `'`,
		`VACUUM`, `BEGIN IMMEDIATE`, `SAVEPOINT x`,
		`PRAGMA query_only = OFF`, `PRAGMA user_version = 99`, `PRAGMA writable_schema = ON`,
		`PRAGMA wal_checkpoint(TRUNCATE)`, `SELECT * FROM pragma_wal_checkpoint`,
		`SELECT load_extension('x')`, `SELECT 1; DELETE FROM products`,
		`SELECT 1; SELECT 2`, `SELECT 1) UNION SELECT * FROM (SELECT 2`, ``, `-- nothing`, `;`,
	} {
		if rows, err := b.query(statement); err == nil || rows != nil {
			t.Errorf("%s: %v, %v", statement, rows, err)
		}
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	rows, err := b.query(`SELECT count(*), (SELECT count(*) FROM sqlite_temp_schema) FROM products;`)
	if err != nil || rows[1][0] != int64(4) || rows[1][1] != int64(0) {
		t.Errorf("%v, %v", rows, err)
	}
}

// Each bar holds when the others are away: the authorizer alone, and the connection alone.
func TestEachBarAgainstWritingHoldsAlone(t *testing.T) {
	b := sold(t)
	dc, err := connector{b.s.files, readerQuery()}.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer dc.Close()
	for _, statement := range []string{`DELETE FROM products`, `CREATE TEMP TABLE x (y)`, `PRAGMA user_version = 99`} {
		stmt, err := dc.Prepare(statement)
		if err == nil {
			_, err = stmt.(driver.StmtExecContext).ExecContext(t.Context(), nil)
		}
		if err == nil {
			t.Errorf("a connection for reading did %s", statement)
		}
	}
	db := b.other()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := readsOnly(conn, `SELECT 1`); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`DELETE FROM products`, `CREATE TEMP TABLE x (y)`, `PRAGMA user_version = 99`, `ATTACH ':memory:' AS x`, `VACUUM`,
	} {
		if _, err := conn.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("the authorizer let through %s", statement)
		}
	}
}

func TestWhatIsWrongWithAQueryIsSaidPlainly(t *testing.T) {
	b := sold(t)
	const notOne = `run the query: this is not one SELECT statement; only that is run here, as it changes nothing`
	const shows = `; SELECT * FROM catalogue LIMIT 1 shows the columns there are`
	for statement, want := range map[string]string{
		`SELECT pice FROM catalogue`:  `run the query: no such column: pice` + shows,
		`SELEC 1`:                     `run the query: near "SELEC": syntax error`,
		`SELECT json('{')`:            `run the query: malformed JSON`,
		`SELECT 1; SELECT 2`:          notOne,
		`SELECT zeroblob(1000000000)`: `run the query: string or blob too big (18)`,
		`SELECT load_extension('x')`:  `run the query: not authorized to use function: load_extension`,
		`EXPLAIN SELECT 1`:            notOne,
		`ATTACH 'x' AS y`:             notOne,
	} {
		if _, err := b.query(statement); err == nil || err.Error() != want {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestRowsOfAQueryComeWhileItRunsAndItEnds(t *testing.T) {
	b := sold(t)
	const endless = `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n`
	ctx, cancel := context.WithCancel(t.Context())
	err := Query(ctx, b.path, endless, func(_ []string, rows Rows) error {
		for row, err := range rows {
			if err != nil {
				return err
			}
			if row[0] == int64(1000) {
				cancel()
			}
		}
		return nil
	})
	if err == nil {
		t.Error("an endless query ended without an error")
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := Query(ctx, b.path, strings.Replace(endless, "SELECT x FROM", "SELECT sum(x) FROM", 1), nil); err == nil {
		t.Error("a query without time ended well")
	}
}
