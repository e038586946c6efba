package syncer

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
)

// pictures lists what is stored of which image a variant shows, beside what the
// shop has. The number of an image that no variant shows counts with numbered.
func (r *runRig) pictures(numbered bool) (stored, shop []string) {
	r.t.Helper()
	for _, p := range r.shop.Snapshot() {
		row, err := r.store.Product(r.t.Context(), testShop, p.ID)
		r.check(err)
		images := row.Images.Value()
		for i, m := range p.Images {
			var variants []int64
			for _, v := range p.Variants {
				if v.ImageID != nil && *v.ImageID == m.ID {
					variants = append(variants, v.ID)
				}
			}
			if len(variants) > 0 || numbered {
				shop = append(shop, fmt.Sprint(m.ID, variants))
				stored = append(stored, fmt.Sprint(images[i].ID, images[i].VariantIDs))
			}
		}
		for i, v := range row.Variants {
			shop = append(shop, number(p.Variants[i].ImageID))
			var image *int64
			if id, ok := v.ImageID.Get(); ok {
				image = &id
			}
			stored = append(stored, number(image))
		}
	}
	return stored, shop
}

func number(id *int64) string {
	if id == nil {
		return "none"
	}
	return fmt.Sprint(*id)
}

// A full read shows which picture a variant has; a delivery numbers the other
// pictures; a stock change, for which the product is read again, loses neither.
func TestPicturesAreKnownFromTheFirstReadAndSurviveAStockChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 12, MinVariants: 2, MaxVariants: 4})
		same := func(when string, numbered bool) {
			t.Helper()
			if stored, shop := r.pictures(numbered); !slices.Equal(stored, shop) {
				t.Errorf("%s: stored %v, in the shop %v", when, stored, shop)
			}
		}
		r.synced()
		same("after the full read", false)
		for _, id := range r.shop.IDs() {
			r.shop.UpdateProduct(id, func(p *fakeshopify.Product) {
				p.Title += "!"
				if len(p.Images) > 0 {
					p.Variants[1].ImageID = &p.Images[len(p.Images)-1].ID
				}
			})
			r.apply("products/update", id)
		}
		same("after the deliveries", true)
		time.Sleep(time.Minute)
		for _, p := range r.shop.Snapshot() {
			r.shop.SetInventory(p.Variants[0].ID, 0, 77)
		}
		time.Sleep(time.Minute)
		_, err := r.incremental()
		r.check(err)
		for _, p := range r.shop.Snapshot() {
			row, err := r.store.Product(t.Context(), testShop, p.ID)
			if r.check(err); row.Source == "webhook" || row.Variants[0].InventoryQuantity.Value() != int64(p.Variants[0].Quantity()) {
				t.Fatalf("product %d was not read again: from %s, stock %d", p.ID, row.Source, row.Variants[0].InventoryQuantity.Value())
			}
		}
		same("after the stock change", true)
	})
}
