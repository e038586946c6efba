package store

import (
	"errors"
	"testing"
)

const anotherShop = "another-" + testShop

// A batch of ids that nobody has is stored without looking at each of them.
func TestABulkBatchOfNewIDsTakesNoneOfAnotherShop(t *testing.T) {
	b := open(t)
	run := b.fullRun()
	other := bulkRead(run)
	other.Shop = anotherShop
	b.putBulk(other, run, product(7, "theirs", 10_000, "1"))
	for _, batch := range [][]int64{{7}, {5, 7, 9}} {
		for _, id := range batch {
			res := b.putBulk(bulkRead(run), run, product(id, "ours", 20_000, "1"))[0]
			if theirs := id == 7; errors.Is(res.Err, ErrOtherShop) != theirs || (res.Drift == DriftMissing) == theirs {
				t.Errorf("product %d: %+v", id, res)
			}
		}
	}
	if list := b.products(anotherShop); len(list) != 1 || list[0].Title.Value() != "Shirt theirs" {
		t.Errorf("the other shop has %+v", list)
	}
}

func TestABulkBatchNumbersItsProductsAsNoneWasBefore(t *testing.T) {
	b := open(t)
	run := b.fullRun()
	b.putBulk(bulkRead(run), run, product(1, "v1", 10_000, "1"), product(2, "v1", 10_000, "1"))
	last := b.product(2).ID
	b.want(deleteOf(2), Applied)
	b.putBulk(bulkRead(run), run, product(3, "v1", 10_000, "1", "2"), product(4, "v1", 10_000, "1"))
	if p, q := b.product(3), b.product(4); p.ID != last+1 || q.ID != last+2 || len(p.Variants) != 2 || len(q.Variants) != 1 {
		t.Errorf("numbers %d and %d after %d", p.ID, q.ID, last)
	}
	b.want(upsertOf(product(5, "v1", 10_000, "1")), Applied)
	if id := b.product(5).ID; id != last+3 {
		t.Errorf("number %d after %d", id, last+2)
	}
}

func TestAVariantIsGoneWithItsProductAndHasOneAtEachCommit(t *testing.T) {
	b := open(t)
	rows, err := b.other().Query(`SELECT sql LIKE '%DEFERRABLE INITIALLY DEFERRED%' FROM sqlite_schema WHERE name = 'variants'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	deferred := false
	for rows.Next() {
		if err := rows.Scan(&deferred); err != nil {
			t.Fatal(err)
		}
	}
	b.must(rows.Err())
	if !deferred {
		t.Error("each row of a bulk statement is looked up before the next")
	}
	if err := b.s.write(t.Context(), b.s.urgent, 1, func(tx *tx) error {
		return tx.insertVariant(99, &product(1, "v1", 10_000, "1").Variants.Value()[0])
	}); err == nil {
		t.Error("a variant of no product was committed")
	}
	b.want(upsertOf(product(1, "v1", 10_000, "1", "2")), Applied)
	id := b.product(1).ID
	b.want(deleteOf(1), Applied)
	if list := b.variants(id); len(list) != 0 {
		t.Errorf("%d variants outlive their product", len(list))
	}
}
