package appliance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
)

// TestWhatThePageSaysOverADayIsTrueAndCalm lives a day with each source of deliveries:
// the headline changes once where something was heard for the first time, and never
// where nothing comes at all. One comparison leaves no difference. STOCKROOM_TORTURE
// lives the day, else it is four hours.
func TestWhatThePageSaysOverADayIsTrueAndCalm(t *testing.T) {
	if raceEnabled {
		t.Skip("days of one process at rest; the race detector makes minutes of them")
	}
	blank, length := blankDir(t), 4*time.Hour
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		length = 24 * time.Hour
	}
	const missing, step = "unsubscribed", "in-step"
	for _, tt := range []struct {
		name, source string
		pull         bool
		codes        []string
		says         []string // of the first headline
	}{
		{"ours", byUs, false, []string{step}, nil},
		{"file", byFile, false, []string{missing, step}, nil},
		{"notifications", byNotifications, false, []string{missing, step}, nil},
		{"events", byEvents, false, []string{missing, step}, nil},
		{"nobody", byNobody, false, []string{missing}, []string{
			"Shopify does not send all product updates: 7 subscriptions are missing.", "This app subscribes elsewhere.", "every 30 seconds", "--webhooks off", worldURL + "/webhooks/shopify/products",
		}},
		{"pull", byNobody, true, []string{step}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{base: filepath.Join(blank, tt.name), served: true, pull: tt.pull, source: tt.source}
				if err := w.enter(blank, fakeshopify.Options{Seed: 17, Products: 4, MaxVariants: 2, Large: -1, Huge: -1, QuietStock: 0.2}); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := w.close(); err != nil {
						t.Error(err)
					}
				}()
				var heads []head
				time.Sleep(20 * time.Minute)
				for began := time.Now(); time.Since(began) < length; time.Sleep(time.Minute) {
					switch n := int(time.Since(began) / time.Minute); n % 40 {
					case 20:
						w.shop.RandomEdit()
					case 35:
						p, _ := w.shop.Product(w.shop.IDs()[0])
						w.shop.SetInventory(p.Variants[0].ID, 0, n)
					}
					synctest.Wait()
					a := w.status.Read(context.Background(), time.Now())
					if len(heads) == 0 || heads[len(heads)-1].code != a.Head.Code {
						heads = append(heads, head{a.Now, a.Head.Code, a.Head.Sentence(a.Now) + " | " + a.Head.Next.Text(a.Now)})
					}
				}
				var codes []string
				for _, h := range heads {
					codes = append(codes, h.code)
					t.Logf("%v %s: %s", h.from.Format(time.TimeOnly), h.code, h.sentence)
				}
				if !slices.Equal(codes, tt.codes) {
					t.Errorf("the page says %v, want %v", codes, tt.codes)
				}
				for _, want := range tt.says {
					if !strings.Contains(heads[0].sentence, want) {
						t.Errorf("%q is not in %s", want, heads[0].sentence)
					}
				}
				if _, err := w.reconcile(); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(w.calm(), w.equal("after a comparison")); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
