package syncer

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/queue"
	"stockroom/store"
)

// letter keeps a delivery as a dead letter, as the intake does; product 0: it
// names none.
func (r *runRig) letter(shop, topic string, product int64) {
	r.t.Helper()
	labels := map[string]string{"shop": shop, "topic": topic}
	if product != 0 {
		labels[store.LabelProduct] = fmt.Sprint(product)
	}
	job := queue.NewJob{Kind: store.DeliveryJob, Labels: labels, Payload: []byte("x")}
	_, err := r.queue.Bury(r.t.Context(), job, queue.ClassPoison, errors.New("it makes no sense"))
	r.check(err)
	time.Sleep(time.Second)
}

func (r *runRig) letters() int { return r.queue.Stats().Kinds[store.DeliveryJob].Dead }

// TestAReadAnswersADeadLetter holds which dead letters are resolved by what.
func TestAReadAnswersADeadLetter(t *testing.T) {
	fetch := func(r *runRig, id int64) {
		r.want(id)
		r.fetches(time.Minute)
	}
	compare := func(r *runRig, _ int64) {
		if run, err := r.reconcile(false); err != nil || run.ProvenAt == 0 {
			r.t.Fatalf("%+v, %v", run, err)
		}
	}
	const update = fakeshopify.TopicUpdate
	for _, tt := range []struct {
		name, shop, topic string
		named             bool
		do                func(r *runRig, id int64)
		left              int
	}{
		{"a fetch of its product", testShop, update, true, fetch, 0},
		{"a fetch of a product that is gone", testShop, update, true, func(r *runRig, id int64) {
			r.shop.DeleteProduct(id)
			fetch(r, id)
		}, 0},
		{"a delete, and the job of its read", testShop, update, true, func(r *runRig, id int64) {
			r.want(id)
			d := store.Delivery{Shop: testShop, Topic: "products/delete", ReceivedAt: time.Now(), Dedupe: 1}
			_, err := r.store.Apply(r.t.Context(), d, catalog.Change{Kind: catalog.Delete, ID: id})
			r.check(err)
			r.fetches(time.Minute)
		}, 0},
		{"a job of a read that a run made before it", testShop, update, true, func(r *runRig, id int64) {
			r.want(id)
			r.letter(testShop, update, id)
			r.sql(`DELETE FROM wanted`)
			r.fetches(time.Minute)
		}, 1},
		{"a comparison that reads its product", testShop, update, true, func(r *runRig, id int64) {
			r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "new" })
			time.Sleep(3 * time.Second)
			r.o.API = bentShop{API: r.api, count: func(n int) int { return n + 1 }} // so that it proves nothing
			if run, err := r.reconcile(false); err != nil || run.ProvenAt != 0 || run.Changed != 1 {
				r.t.Fatalf("%+v, %v", run, err)
			}
		}, 0},
		{"a fetch of another product", testShop, update, true, func(r *runRig, _ int64) { fetch(r, r.shop.IDs()[3]) }, 1},
		{"a refused fetch", testShop, update, true, func(r *runRig, id int64) {
			r.poison(id, time.Hour)
			fetch(r, id)
		}, 1},
		{"a fetch, and it names none", testShop, update, false, fetch, 1},
		{"a proven comparison", testShop, update, true, compare, 0},
		{"a proven comparison, and it names none", testShop, update, false, compare, 0},
		{"a proven full sync, and it names none", testShop, "app/uninstalled", false, func(r *runRig, _ int64) {
			r.synced()
		}, 0},
		{"a dry run", testShop, update, true, func(r *runRig, _ int64) {
			_, err := r.reconcile(true)
			r.check(err)
		}, 1},
		{"a comparison that began before it", testShop, update, false, func(r *runRig, id int64) {
			r.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = "new" })
			time.Sleep(3 * time.Second)
			r.o.API = watchedFetches{singly{r.api}, func() { r.letter(testShop, update, 0) }}
			compare(r, id)
		}, 1},
		{"a comparison, and the law asks for it", testShop, "shop/redact", false, compare, 1},
		{"a comparison of another shop", "other.myshopify.com", update, false, compare, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Seed: 3, Products: 10})
				r.synced()
				id, named := r.shop.IDs()[2], int64(0)
				if tt.named {
					named = id
				}
				r.letter(tt.shop, tt.topic, named)
				if r.letters() != 1 {
					t.Fatal("there is no letter")
				}
				tt.do(r, id)
				synctest.Wait()
				if n := r.letters(); n != tt.left {
					t.Errorf("%d letters are left, want %d", n, tt.left)
				}
			})
		})
	}
}
