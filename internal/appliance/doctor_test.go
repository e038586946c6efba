package appliance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/store"
	"stockroom/web"
)

func TestAClockThatIsOffIsNamed(t *testing.T) {
	for skew, level := range map[time.Duration]string{0: "ok", 4 * time.Second: "ok", -30 * time.Second: "warn", 2 * time.Minute: "fail"} {
		if f := examineClock(testShop, shopify.Seen{DatedAt: time.Now(), Skew: skew}); f.Level != level {
			t.Errorf("%v: %+v", skew, f)
		}
	}
}

// TestTheDoctorStopsAskingForASyncThatHasHealed holds its word on a loss before
// and after the full sync that brings back what was lost; the page's notices go
// with it.
func TestTheDoctorStopsAskingForASyncThatHasHealed(t *testing.T) {
	for _, tt := range []struct {
		name, check, says string
		lose              func(t *testing.T, p *plant, dir string)
	}{
		{"a damaged catalogue", "catalogue", "products.db was damaged", func(t *testing.T, p *plant, dir string) {
			p.stop()
			spoil(t, filepath.Join(dir, "products.db"))
		}},
		{"a catalogue behind its watermark", "catalogue", "products.db lacks changes", func(t *testing.T, p *plant, _ string) {
			if err := p.state.RaiseWatermark(p.store.LastSeq()+100, time.Now()); err != nil {
				t.Fatal(err)
			}
			p.stop()
		}},
		{"a damaged queue", "queue", "damaged", func(t *testing.T, p *plant, dir string) {
			p.stop()
			spoil(t, filepath.Join(dir, "queue.db"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			flags := map[string]string{"data": dir}
			p := newPlant(t, fakeshopify.Options{Products: 3}, flags)
			tt.lose(t, p, dir)
			p.stop = func() {}
			p = newPlant(t, fakeshopify.Options{Products: 3}, flags)
			finding := func() web.Finding {
				for _, f := range p.examineStores(t.Context()) {
					if f.Check == tt.check {
						return f
					}
				}
				t.Fatalf("nothing about %s", tt.check)
				return web.Finding{}
			}
			if f := finding(); f.Level != levelFail || !strings.Contains(f.Text, tt.says) || !strings.Contains(f.Fix, "stockroom sync --full") {
				t.Errorf("after the loss: %+v", f)
			}
			if len(p.notices()) == 0 {
				t.Error("the page says nothing of the loss")
			}
			if id, err := p.syncer.Start(t.Context(), testShop, store.RunFull, false); err != nil || id == 0 {
				t.Fatalf("began as %d, %v", id, err)
			}
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for began := time.Now(); !p.syncer.ProvenFieldsSince(p.started); <-tick.C {
				if time.Since(began) > 2*time.Minute {
					t.Fatalf("no proof: %+v", p.syncer.Status(testShop, time.Now()))
				}
			}
			if f := finding(); f.Level != levelOK || f.Fix != "" {
				t.Errorf("after the full sync: %+v", f)
			}
			if list := p.notices(); len(list) != 0 {
				t.Errorf("the page still says %+v", list)
			}
		})
	}
}

// spoil makes a file unreadable.
func spoil(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 4000), 0o600); err != nil {
		t.Fatal(err)
	}
}
