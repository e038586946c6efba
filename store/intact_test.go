package store

import (
	"database/sql"
	"slices"
	"testing"
	"time"
)

// A hand or a flipped bit changes the file and no hash in it. A read of the
// whole product finds it.
func TestAReadOfEveryFieldMendsWhatTheHashHides(t *testing.T) {
	for _, tt := range []struct{ name, spoil, path string }{
		{"a title", `UPDATE products SET title = 'Shirt v2'`, "title"},
		{"a status", `UPDATE products SET status = 'INACTIVE'`, "status"},
		{"a variant's price", `UPDATE variants SET price = '0.01' WHERE external_id = (SELECT min(external_id) FROM variants)`, ""},
		{"a variant that is gone", `DELETE FROM variants WHERE external_id = (SELECT max(external_id) FROM variants)`, ""},
		{"text that is no JSON", `UPDATE products SET tags = '["summer"'`, "row"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t)
			sound := product(7, "v1", 1000, "10", "20", "30")
			read := Read{Shop: testShop, Source: "bulk", Started: time.Now()}
			if _, err := b.s.PutFetched(t.Context(), read, sound); err != nil {
				t.Fatal(err)
			}
			before := b.product(7)
			db, err := sql.Open("sqlite", b.path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(tt.spoil); err != nil {
				t.Fatal(err)
			}
			run, err := b.s.StartRun(t.Context(), SyncRun{Shop: testShop, Kind: RunFull})
			if err != nil {
				t.Fatal(err)
			}
			read = Read{Shop: testShop, Source: "bulk", Started: time.Now().Add(time.Second), Run: run.ID, Report: true}
			if _, err := b.s.PutBulk(t.Context(), read, run, sound); err != nil {
				t.Fatal(err)
			}
			after := b.product(7)
			if after.Title.Value() != before.Title.Value() || after.Status != before.Status || !slices.Equal(after.Tags.Value(), before.Tags.Value()) ||
				len(after.Variants) != len(before.Variants) {
				t.Fatalf("after the read %+v, before the damage %+v", after, before)
			}
			for i, v := range after.Variants {
				if v.Price.Value() != before.Variants[i].Price.Value() || v.ExternalID != before.Variants[i].ExternalID {
					t.Errorf("variant %d: price %s, before the damage %s", v.ExternalID, v.Price.Value(), before.Variants[i].Price.Value())
				}
			}
			drift, err := b.s.Drift(t.Context(), run.ID, 0, 10)
			if err != nil || len(drift) != 1 || tt.path != "" && drift[0].Fields[0].Path != tt.path {
				t.Errorf("report %+v, %v; want one row about %q", drift, err, tt.path)
			}
			// Once mended, the next read changes nothing.
			if _, err := b.s.PutBulk(t.Context(), read, run, sound); err != nil {
				t.Fatal(err)
			}
			if again := b.product(7); again.SyncedAt != after.SyncedAt && again.SourceRef != after.SourceRef {
				t.Errorf("mended twice")
			}
		})
	}
}
