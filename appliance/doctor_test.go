package appliance

import (
	"strings"
	"testing"
	"time"

	"stockroom/fakeshopify"
	"stockroom/shopify"
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
		{"a wrong secret", fakeshopify.Options{RotationWindow: time.Nanosecond}, nil, func(p *plant) { p.shop.RotateSecret("x") }, "token", "fail", "does not accept", ""},
		{"another organisation", fakeshopify.Options{API: fakeshopify.APIOptions{NotPermitted: true}}, nil, nil, "token", "fail", "cannot be performed", ""},
		{"an app that is gone", fakeshopify.Options{}, nil, func(p *plant) { p.shop.Uninstall() }, "token", "fail", "not installed", ""},
		{"missing scopes", fakeshopify.Options{API: fakeshopify.APIOptions{Scopes: []string{"read_products"}}}, nil, nil, "scopes", "fail", "read_inventory, read_locations", ""},
		{"a version that ended", fakeshopify.Options{}, map[string]string{"api-version": "2024-01"}, nil, "version", "fail", "does not serve", ""},
		{"a frozen shop", fakeshopify.Options{}, nil, func(p *plant) { p.shop.Fail(fakeshopify.Fault{Status: 402, Times: -1}) }, "token", "fail", "frozen", ""},
		{"a shop that is ill", fakeshopify.Options{}, nil, func(p *plant) { p.shop.Fail(fakeshopify.Fault{Status: 500, Times: -1}) }, "reach", "fail", "fault", "unreachable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, tt.shop, tt.flags)
			if tt.do != nil {
				tt.do(p)
			}
			list := p.doctor(t.Context())
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
		if f := examineClock(testShop, shopify.Seen{Dated: true, Skew: skew}); f.Level != level {
			t.Errorf("%v: %+v", skew, f)
		}
	}
}
