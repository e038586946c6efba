package store

import (
	"errors"
	"testing"
	"time"

	"stockroom/internal/catalog"
)

// shows is what a read that begins so long from now shows of product 1: a version
// of ten seconds after the beginning of time.
func (b *bench) shows(in time.Duration, version string) Result {
	b.t.Helper()
	return b.fetched(Read{Started: time.Now().Add(in)}, product(1, version, 10_000, "1"))
}

// stands checks that a read was refused and that the copy says so, also after a
// restart.
func (b *bench) stands(res Result, title string) {
	b.t.Helper()
	if res.Outcome != Stale || res.Refused.IsZero() || res.Wanted == nil {
		b.t.Fatalf("%+v, want refused and read again", res)
	}
	for range 2 {
		n, oldest := b.s.OpenDifferences(testShop)
		if n != 1 || time.Since(oldest).Abs() > time.Minute {
			b.t.Fatalf("%d open differences since %v, want 1", n, oldest)
		}
		if w := b.wanted(); len(w) != 1 || w[0].ID != 1 {
			b.t.Fatalf("wanted %+v", w)
		}
		if title == "" {
			b.absent(1)
		} else {
			b.title(1, title)
		}
		b.reopen()
	}
}

// equal checks that the read decided and that nothing is open any more.
func (b *bench) equal(res Result, title string) {
	b.t.Helper()
	if res.Outcome != Applied || !res.Refused.IsZero() {
		b.t.Fatalf("%+v, want applied", res)
	}
	b.title(1, title)
	b.closed()
}

func (b *bench) closed() {
	b.t.Helper()
	for range 2 {
		if n, oldest := b.s.OpenDifferences(testShop); n != 0 || !oldest.IsZero() {
			b.t.Fatalf("%d open differences since %v", n, oldest)
		}
		b.reopen()
	}
}

// ahead is a product that stands at a time that the shop never had.
func ahead(t *testing.T) *bench {
	t.Helper()
	b := open(t)
	b.want(upsertOf(product(1, "from nowhere", time.Now().AddDate(70, 0, 0).UnixMilli(), "1")), Applied)
	return b
}

func TestTwoReadsThatAgreeWinOverWhatIsDatedAhead(t *testing.T) {
	b := ahead(t)
	b.stands(b.shows(time.Second, "v1"), "Shirt from nowhere")
	// The shop may be late for a while.
	b.stands(b.shows(9*time.Minute, "v1"), "Shirt from nowhere")
	b.equal(b.shows(11*time.Minute, "v1"), "Shirt v1")
	if w := b.wanted(); len(w) != 0 {
		t.Errorf("still wanted: %+v", w)
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
}

func TestTwoReadsThatDisagreeDecideNothing(t *testing.T) {
	b := ahead(t)
	b.stands(b.shows(time.Second, "v1"), "Shirt from nowhere")
	b.stands(b.shows(11*time.Minute, "v2"), "Shirt from nowhere")
	b.stands(b.shows(12*time.Minute, "v1"), "Shirt from nowhere")
	b.equal(b.shows(13*time.Minute, "v1"), "Shirt v1")
}

func TestOneReadStoredTwiceIsNotTwoReads(t *testing.T) {
	b := ahead(t)
	began := time.Now().Add(11 * time.Minute)
	for range 3 {
		b.stands(b.fetched(Read{Started: began}, product(1, "v1", 10_000, "1")), "Shirt from nowhere")
	}
	b.equal(b.shows(12*time.Minute, "v1"), "Shirt v1")
}

func TestAReadFromBeforeTheStoredVersionIsNoDifference(t *testing.T) {
	b := ahead(t)
	for range 2 {
		if res := b.fetched(Read{Started: earlier()}, product(1, "v1", 10_000, "1")); res.Outcome != Stale || !res.Refused.IsZero() || res.Wanted != nil {
			t.Errorf("%+v", res)
		}
	}
	b.closed()
}

// A row, or a tombstone, that was written under a clock that was put back since
// gives way ten minutes after the first read of it.
func TestWhatWasWrittenInTheFutureGivesWayToTwoReads(t *testing.T) {
	for _, tt := range []struct{ name, sql, title string }{
		{"row", `UPDATE products SET synced_at = ?`, "Shirt from nowhere"},
		{"tombstone", `UPDATE tombstones SET written_at = ?`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := ahead(t)
			if tt.title == "" {
				b.want(deleteOf(1), Applied)
			}
			if _, err := b.other().Exec(tt.sql, time.Now().AddDate(1, 0, 0).UnixMilli()); err != nil {
				t.Fatal(err)
			}
			b.stands(b.shows(-time.Second, "v1"), tt.title)
			b.want(upsertOf(product(1, "v2", 20_000, "1")), Stale) // a delivery decides nothing
			b.stands(b.shows(9*time.Minute, "v1"), tt.title)
			b.equal(b.shows(11*time.Minute, "v1"), "Shirt v1")
		})
	}
}

// TestAnOpenDifferenceEndsWithWhatItIsAbout holds what else settles one.
func TestAnOpenDifferenceEndsWithWhatItIsAbout(t *testing.T) {
	soon := func() time.Time { return time.Now().Add(time.Second) }
	for name, end := range map[string]func(b *bench){
		"a newer version arrives": func(b *bench) {
			b.want(upsertOf(product(1, "v9", time.Now().AddDate(71, 0, 0).UnixMilli(), "1")), Applied)
		},
		"the shop catches up": func(b *bench) {
			at := Millis(b.product(1).UpdatedAt.Value())
			b.fetched(Read{Started: soon()}, product(1, "from nowhere", int64(at), "1"))
		},
		"it is deleted": func(b *bench) { b.want(deleteOf(1), Applied) },
		"the shop shows no product": func(b *bench) {
			if _, err := b.s.PutGone(b.t.Context(), Read{Shop: testShop, Source: "fetch", Started: soon()}, 1); err != nil {
				b.t.Fatal(err)
			}
		},
		"it is not selected any more": func(b *bench) {
			b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{1}})
		},
		"the shop is removed": func(b *bench) {
			if _, err := b.s.RemoveShop(b.t.Context(), testShop, false, "test"); err != nil {
				b.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := ahead(t)
			b.stands(b.shows(time.Second, "v1"), "Shirt from nowhere")
			end(b)
			b.closed()
		})
	}
}

// TestADifferenceThatIsNotCommittedIsNotThere holds that memory follows the file
// over commits that fail.
func TestADifferenceThatIsNotCommittedIsNotThere(t *testing.T) {
	b := ahead(t)
	b.fail(func(point string) error {
		if point == "before commit" {
			return &UnavailableError{Cause: CauseLocked, Err: errors.New("a fault")}
		}
		return nil
	})
	r := Read{Shop: testShop, Source: "fetch", Started: time.Now().Add(time.Second)}
	if _, err := b.s.PutFetched(t.Context(), r, product(1, "v1", 10_000, "1")); err == nil {
		t.Fatal("the fault did nothing")
	}
	if n, _ := b.s.OpenDifferences(testShop); n != 0 {
		t.Errorf("%d open differences that nobody committed", n)
	}
	b.fail(nil)
	// Else this would be the second read of two.
	b.stands(b.shows(11*time.Minute, "v1"), "Shirt from nowhere")
}

// TestARefusedReadIsNotCountedAsUnchanged is for the counters of a run.
func TestARefusedReadIsNotCountedAsUnchanged(t *testing.T) {
	b := ahead(t)
	run := b.fullRun()
	r := bulkRead(run)
	r.Started = time.Now().Add(time.Second)
	b.putBulk(r, run, product(1, "v1", 10_000, "1"))
	if got := b.run(run.ID); got.Unchanged+got.Changed != 0 || got.Doubtful != 1 {
		t.Errorf("%+v", got)
	}
	r.Started = time.Now().Add(11 * time.Minute)
	b.putBulk(r, run, product(1, "v1", 10_000, "1"))
	if got := b.run(run.ID); got.Unchanged != 0 || got.Changed != 1 {
		t.Errorf("%+v", got)
	}
}
