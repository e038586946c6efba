package limiter

import (
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// noted is the record of shopA on disk.
func noted(t *testing.T, db *bolt.DB) (rec record) {
	t.Helper()
	err := db.View(func(tx *bolt.Tx) (err error) {
		rec, err = decodeRecord(shopA, tx.Bucket(rootBucket).Bucket(shopsBucket).Get([]byte(shopA)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// A load that asks for a write before its end has a record of half a log
// written, and a crash after that grants the other half again.
func TestAShopIsNotedOnlyWhenAllOfItIsLoaded(t *testing.T) {
	window := time.Minute
	for _, c := range []struct {
		name   string
		window time.Duration
		change func(db *bolt.DB, m *machine)
		spent  int64 // points that its window holds at the least
	}{
		{"a record of an earlier boot", window, func(_ *bolt.DB, m *machine) { m.reboot("two", time.Hour) }, 50},
		{"a record of an earlier boot and a shorter window", 2 * window, func(_ *bolt.DB, m *machine) { m.reboot("two", time.Hour) }, 80},
		{"no record", window, func(db *bolt.DB, _ *machine) {
			if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(rootBucket).Bucket(shopsBucket).Delete([]byte(shopA)) }); err != nil {
				t.Fatal(err)
			}
		}, 80},
		{"a damaged record", window, func(db *bolt.DB, _ *machine) {
			if err := db.Update(func(tx *bolt.Tx) error {
				return tx.Bucket(rootBucket).Bucket(shopsBucket).Put([]byte(shopA), []byte("no record"))
			}); err != nil {
				t.Fatal(err)
			}
		}, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, m := openDB(t), newMachine()
				spentThenCrash(t, db, m)
				until(time.Second)
				c.change(db, m)
				o := Options{Fixed: true, Window: c.window, Uptime: m.uptime}

				l := openLimiter(t, db, o)
				s := newShop(l, shopA, 0)
				if !s.load(0) {
					t.Error("the next start would find nothing newer")
				}
				if len(l.stale) > 0 || l.flushing || s.stale {
					t.Error("a write was asked for while the shop was being loaded")
				}
				l.crash()

				l = openLimiter(t, db, o)
				snap, _ := l.Snapshot(shopA)
				l.settled()
				rec := noted(t, db)
				var sum int64
				for _, e := range rec.log {
					sum += e.points
				}
				if sum != int64(snap.Used) || sum < c.spent {
					t.Errorf("the record holds %d points, the shop %d, want %d at least", sum, snap.Used, c.spent)
				}
			})
		})
	}
}
