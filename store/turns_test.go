package store

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
)

// Who has a turn: deliveries first, and bulk rows once deliveries had the writer for
// as long as the bulk transaction before.
func TestBulkRowsAndDeliveriesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{urgent: make(chan *request, 3), bulk: make(chan *request, 2), life: t.Context()}
		for range 3 {
			s.urgent <- &request{}
		}
		s.bulk <- &request{alone: true}
		s.bulk <- &request{alone: true}
		turn := time.Now().Add(time.Second)
		for i, want := range []bool{false, true, false, false, true} { // bulk
			if i == 1 { // the turn has come, and is over after the transaction
				time.Sleep(time.Second + 1)
			}
			r, bulk := s.next(turn)
			if bulk != want || r.alone != want {
				t.Errorf("turn %d: bulk rows %v, want %v", i, bulk, want)
			}
			if i == 1 {
				turn = time.Now().Add(time.Hour)
			}
		}
	})
}

// A bulk transaction ends after 40 ms, and after 10 ms when a delivery waits.
func TestABulkTransactionGivesWayToADelivery(t *testing.T) {
	for _, c := range []struct {
		name     string
		takes    time.Duration // each product
		delivery bool          // comes with the third product
		want     int           // products of the first transaction
	}{
		{"nobody waits", bulkTime / 10, false, 11},
		{"a delivery waits", bulkTime / 10, true, 3},
		{"a delivery waits for the end of a short one", bulkGiveWay / 10, true, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t)
				b.s.bulkTime = bulkTime
				run := b.fullRun()
				var list []*catalog.Product
				for id := int64(1); id <= 12; id++ {
					list = append(list, product(id, "v1", 10_000, "1"))
				}
				update := upsertOf(product(100, "v1", 10_000, "1"))
				d := b.delivery(update)
				stored, ended := 0, false
				b.fail(func(at string) error {
					switch {
					case at == "before commit":
						ended = true
					case at == "after change feed" && !ended:
						if stored++; stored == 3 && c.delivery {
							go func() {
								if _, err := b.s.Apply(t.Context(), d, update); err != nil {
									t.Error(err)
								}
							}()
							synctest.Wait() // it waits
						}
						time.Sleep(c.takes)
					}
					if ended && stored != c.want {
						return &UnavailableError{Cause: CauseLocked}
					}
					return nil
				})
				if _, err := b.s.PutBulk(t.Context(), bulkRead(run), run, list...); err != nil {
					t.Errorf("%d products in the first transaction, want %d", stored, c.want)
				}
				b.fail(nil)
				if err := b.s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
