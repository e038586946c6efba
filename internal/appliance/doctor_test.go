package appliance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/breaker"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/store"
	"stockroom/web"
)

func TestTheDoctorNamesEachCause(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shop  fakeshopify.Options
		flags map[string]string
		do    func(p *plant)
		check string
		level string
		text  string
		cause string
	}{
		{"all well", fakeshopify.Options{}, nil, nil, "token", "ok", "accepts", ""},
		{"the catalogue", fakeshopify.Options{}, nil, nil, "catalogue", "ok", "sound", ""},
		{"the queue", fakeshopify.Options{}, nil, nil, "queue", "ok", "sound", ""},
		{"the state", fakeshopify.Options{}, nil, nil, "state", "ok", "sound", ""},
		{"the version", fakeshopify.Options{}, nil, nil, "version", "ok", "more days", ""},
		{"the clock", fakeshopify.Options{}, nil, nil, "clock", "ok", "agrees", ""},
		{"the scopes", fakeshopify.Options{}, nil, nil, "scopes", "ok", "granted", ""},
		{"subscriptions", fakeshopify.Options{}, map[string]string{"public-url": "https://stock.example"}, nil, "subscriptions", "fail", "7 subscriptions are missing (products/create, products/update, products/delete, ", ""},
		{"a wrong secret", fakeshopify.Options{RotationWindow: time.Nanosecond}, nil, func(p *plant) { p.shop.RotateSecret("x") }, "token", "fail", "does not accept", ""},
		{"another organisation", fakeshopify.Options{API: fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent}}, nil, nil, "token", "fail", "cannot be performed", ""},
		{"an app that is gone", fakeshopify.Options{}, nil, func(p *plant) { p.shop.Uninstall() }, "token", "fail", "not installed", ""},
		{"missing scopes", fakeshopify.Options{API: fakeshopify.APIOptions{Scopes: []string{"read_products"}}}, nil, nil, "scopes", "fail", "read_inventory (stock and weights can't be read), read_locations (", ""},
		{"a version that ended", fakeshopify.Options{}, map[string]string{"api-version": "2024-01"}, nil, "version", "fail", "does not serve", ""},
		{"a frozen shop", fakeshopify.Options{}, nil, func(p *plant) { p.shop.Fail(fakeshopify.Fault{Status: 402, Times: -1}) }, "token", "fail", "frozen", ""},
		{"a shop that is ill", fakeshopify.Options{}, nil, func(p *plant) { p.shop.Fail(fakeshopify.Fault{Status: 500, Times: -1}) }, "reach", "fail", "fault", "unreachable"},
		{"a shop that was renamed", fakeshopify.Options{}, nil, func(p *plant) {
			p.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 301, Times: -1, Location: "https://new-name.myshopify.com/"})
		}, "reach", "fail", "new-name.myshopify.com", ""},
		{"a circuit that opened meanwhile", fakeshopify.Options{}, map[string]string{"breaker-failures": "1"}, func(p *plant) {
			permit, err := p.breaker.Allow(time.Now(), breaker.Key{Shop: testShop, Class: shopify.EndpointGraphQL})
			if err == nil {
				permit.Done(time.Now(), breaker.Failure, 0)
			}
		}, "token", "ok", "accepts", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, tt.shop, tt.flags)
			if tt.do != nil {
				tt.do(p)
			}
			list := p.doctor(t.Context(), false)
			for _, f := range list {
				if f.Check != tt.check {
					continue
				}
				if f.Level != tt.level || !strings.Contains(f.Text, tt.text) || f.Cause != tt.cause || (f.Fix == "") != (f.Level == "ok") {
					t.Errorf("%+v", f)
				}
				return
			}
			t.Errorf("nothing about %s: %+v", tt.check, list)
		})
	}
}

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
			if f := finding(); f.Level != levelWarn || !strings.Contains(f.Text, tt.says) || !strings.Contains(f.Fix, "stockroom sync --full") {
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
