package appliance

import (
	"database/sql"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/breaker"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/internal/syncer"
	"stockroom/web"
)

// sick is one thing that is wrong, and what the doctor has to say of it.
type sick struct {
	name  string
	shop  fakeshopify.Options
	ahead time.Duration // of Shopify's clock
	flags map[string]string
	alone bool                                              // no shop is connected
	shut  func(t *testing.T, dir string)                    // before the start, of files that were closed well
	do    func(t *testing.T, p *plant)                      // while it runs
	look  func(t *testing.T, p *plant) (list []web.Finding) // in place of all
	// want is each line that is not ok, with its level.
	want  string
	says  string // in the first of them
	mend  string // in what that says to do
	cause string
}

// unasked is said beside the cause when a shop can't be asked.
const unasked = ", unchecked warn"

var public = map[string]string{"public-url": "https://stock.example"}

var sicknesses = []sick{
	{name: "nothing"},
	{name: "no shop", alone: true, want: "shops warn", says: "no shop is connected", mend: "stockroom shop add NAME.myshopify.com"},
	{name: "little room", flags: map[string]string{"space-warn": "1048576GiB"}, want: "space warn", says: "less than --space-warn asks for", mend: "make room"},
	{name: "a catalogue that was damaged", shut: spoiled("products.db"), want: "catalogue fail", says: "products.db was damaged", mend: "sync --full"},
	{name: "a queue that was damaged", shut: spoiled("queue.db"), want: "queue fail", says: "queue.db was damaged", mend: "sync --full"},
	{name: "a state that was damaged", shut: spoiled("state.db"), want: "state fail", says: "state.db was damaged", mend: "shop add"},
	{name: "a catalogue that is being damaged", do: torn("products.db"), want: "catalogue fail, rows warn", says: "products.db is damaged: ", mend: "restart Stockroom", cause: causeIntegrity},
	{name: "a queue that is being damaged", do: torn("queue.db"), want: "jobs fail", says: "queue.db is damaged: ", mend: "restart Stockroom", cause: causeIntegrity},
	{name: "a product that another program changed", do: func(t *testing.T, p *plant) {
		db, err := sql.Open("sqlite", "file:"+p.dir.File("products.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(`UPDATE products SET title = 'Mut'`); err != nil {
			t.Fatal(err)
		}
	}, shop: fakeshopify.Options{Products: 1}, want: "rows fail", says: "1 of 1 products are not as they were stored", mend: "sync --full", cause: causeIntegrity},
	{name: "a data dir that is open to others", do: chmod(".", 0o755), want: "files fail", says: "other users of this machine can look into ", mend: "chmod -R go= "},
	{name: "a file that is open to others", do: chmod("products.db", 0o644), want: "files warn", says: "only the rights of ", mend: "chmod -R go= "},
	{name: "a file of another user", do: func(t *testing.T, p *plant) {
		if os.Chown(p.dir.File("queue.db"), 12345, -1) != nil {
			t.Skip("only root can give a file away")
		}
	}, want: "files warn", says: "does not own queue.db in ", mend: "chown -R"},
	{name: "a data dir that takes no file", do: func(t *testing.T, p *plant) {
		if err := os.MkdirAll(p.dir.File(diskProbe+"/in"), 0o700); err != nil {
			t.Fatal(err)
		}
	}, want: "disk fail", says: "a test file can't be written to the data dir: ", mend: "--data"},
	{name: "a slow disk", look: func(*testing.T, *plant) []web.Finding {
		return []web.Finding{judgeDisk([]time.Duration{60 * time.Millisecond})}
	}, want: "disk warn", says: "within 60.0 ms", mend: "local SSD"},
	{name: "an old backup", flags: map[string]string{"backup-every": "1h"}, shut: func(t *testing.T, dir string) {
		name := filepath.Join(dir, "backups", "stockroom-20200102T030405Z.tar.gz")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}, want: "backup warn", says: "days ago, and --backup-every asks for one every hour", mend: "stockroom serve"},
	{name: "a port 80 that another program has", do: func(_ *testing.T, p *plant) {
		why := "nothing is served on port 80 (in use)"
		p.unplain.Store(&why)
	}, want: "port-80 warn", says: "nothing is served on port 80", mend: "stop it"},
	{name: "no client secret", alone: true, flags: public, shop: fakeshopify.Options{API: fakeshopify.APIOptions{Tokens: []string{"shpat_x"}}}, do: func(t *testing.T, p *plant) {
		err := p.state.AddShop(testShop, "", time.Now())
		if err == nil {
			err = p.state.SetCredentials(testShop, state.Credentials{AccessToken: config.NewSecret("shpat_x")})
		}
		if err == nil {
			_, err = p.syncer.CheckSubscriptions(t.Context(), testShop, true)
		}
		if err != nil {
			t.Fatal(err)
		}
	}, want: "secret fail", says: "client secret is missing", mend: "stockroom shop add " + testShop},
	{name: "a wrong secret", shop: fakeshopify.Options{RotationWindow: time.Nanosecond}, do: func(_ *testing.T, p *plant) { p.shop.RotateSecret("x") },
		want: "token fail" + unasked, says: "does not accept the app's client secret", mend: "SHOPIFY_API_SECRET"},
	{name: "another organisation", shop: fakeshopify.Options{API: fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent}},
		want: "token fail" + unasked, says: "cannot be performed", mend: "restart Stockroom"},
	{name: "an app that is gone", do: func(_ *testing.T, p *plant) { p.shop.Uninstall() }, want: "token fail" + unasked, says: "not installed", mend: "stockroom shop remove"},
	{name: "a frozen shop", do: failing(fakeshopify.Fault{Status: 402}), want: "token fail" + unasked, says: "frozen", mend: "settle it with Shopify"},
	{name: "missing scopes", shop: fakeshopify.Options{API: fakeshopify.APIOptions{Scopes: []string{"read_products"}}},
		want: "scopes fail", says: "read_inventory (stock and weights can't be read), read_locations (", mend: "stockroom doctor"},
	{name: "a version that ended", flags: map[string]string{"api-version": "2024-01"}, want: "version fail", says: "does not serve version 2024-01", mend: "--api-version 20"},
	{name: "a clock that is a little behind", ahead: 30 * time.Second, want: "clock warn", says: "behind Shopify's", mend: "NTP"},
	{name: "a clock that is ahead", ahead: -10 * time.Minute, want: "clock fail", says: "ahead of Shopify's", mend: "NTP"},
	{name: "a shop that is ill", do: failing(fakeshopify.Fault{Status: 500}), want: "reach fail" + unasked, says: "fault", mend: "shopifystatus.com", cause: causeUnreachable},
	{name: "a shop that was renamed", do: failing(fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 301, Location: "https://new-name.myshopify.com/"}),
		want: "reach fail" + unasked, says: "new-name.myshopify.com", mend: "stockroom shop add new-name.myshopify.com"},
	{name: "an address that is no shop's", do: failing(fakeshopify.Fault{Status: 404}), want: "reach fail" + unasked, says: "404", mend: "--api-base"},
	{name: "calls that are held back", do: func(t *testing.T, p *plant) {
		if err := (outbound{p.Appliance}).Hold(testShop, web.HoldOpen); err != nil {
			t.Fatal(err)
		}
	}, want: "reach warn" + unasked, says: "held", mend: "stockroom shop calls --auto"},
	{name: "a circuit that opened meanwhile", flags: map[string]string{"breaker-failures": "1"}, do: func(_ *testing.T, p *plant) {
		if permit, err := p.breaker.Allow(time.Now(), breaker.Key{Shop: testShop, Class: shopify.EndpointGraphQL}); err == nil {
			permit.Done(time.Now(), breaker.Failure, 0)
		}
	}},
	{name: "subscriptions that are missing", flags: public, do: func(_ *testing.T, p *plant) {
		for _, sub := range p.shop.Subscriptions() {
			p.shop.Unsubscribe(sub.ID)
		}
	},
		want: "subscriptions fail", says: "7 subscriptions are missing (products/create, products/update, products/delete, ", mend: "stockroom webhooks register"},
	{name: "looks that fail", look: func(*testing.T, *plant) []web.Finding {
		return []web.Finding{examineLooks(testShop, status.Looking{Looking: syncer.Looking{Failed: time.Now(), Words: "no"}})}
	}, want: "looks warn", says: "changes can't be looked for: no", mend: "tried again"},
	{name: "a public address that leads elsewhere", flags: public, do: func(t *testing.T, p *plant) {
		listener := "127.0.0.1:8080"
		p.public.Store(&listener)
		p.opt.Settings.PublicURL = answering(t, http.StatusNotFound)
	}, want: "public-url fail", says: "Another server answers at ", mend: "127.0.0.1:8080"},
}

func spoiled(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { spoil(t, filepath.Join(dir, name)) }
}

// torn overwrites all of a file but its head while it is open.
func torn(name string) func(*testing.T, *plant) {
	return func(t *testing.T, p *plant) {
		f, err := os.OpenFile(p.dir.File(name), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(strings.Repeat("no page ", int(info.Size()-8192)/8)), 8192); err != nil {
			t.Fatal(err)
		}
	}
}

func chmod(name string, mode os.FileMode) func(*testing.T, *plant) {
	return func(t *testing.T, p *plant) {
		if err := os.Chmod(filepath.Join(p.dir.Path(), name), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func failing(f fakeshopify.Fault) func(*testing.T, *plant) {
	f.Times = -1
	return func(_ *testing.T, p *plant) { p.shop.Fail(f) }
}

// newPatient opens what s is about, with all that the doctor looks at in order. No server
// runs, so the account of health has no part in it.
func newPatient(t *testing.T, s sick) *plant {
	t.Helper()
	s.shop.Shop = testShop
	shop := fakeshopify.New(s.shop)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(s.ahead).UTC().Format(http.TimeFormat))
		shop.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	flags := map[string]string{"data": dir, "api-base": api.URL}
	maps.Copy(flags, s.flags)
	settings, err := config.Load(config.Sources{Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	if !s.alone {
		settings.Shop = config.EnvShop{Domain: testShop, APIKey: "app", APISecret: config.NewSecret(shop.Secret())}
	}
	open := func() *Appliance {
		a, err := Open(t.Context(), Options{Settings: settings, Version: "test", Manual: true})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open()
	for _, id := range shop.IDs() {
		header, body := shop.Signed(fakeshopify.TopicUpdate, id)
		r := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/products", strings.NewReader(string(body)))
		r.Header = header
		w := httptest.NewRecorder()
		if a.intake.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if !settings.Pull() && !s.alone {
		if _, err := a.syncer.CheckSubscriptions(t.Context(), testShop, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil { // so that nothing is in a log beside the files
		t.Fatal(err)
	}
	if s.shut != nil {
		s.shut(t, dir)
	}
	p := &plant{Appliance: open(), shop: shop}
	t.Cleanup(func() { _ = p.Close() }) // what is damaged may not close well
	if s.do != nil {
		s.do(t, p)
	}
	return p
}

func TestTheDoctorNamesEachCause(t *testing.T) {
	for _, s := range sicknesses {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t, s)
			look := s.look
			if look == nil {
				look = func(t *testing.T, p *plant) []web.Finding { return p.doctor(t.Context(), true) }
			}
			var got []string
			var first *web.Finding
			for _, f := range look(t, p) {
				switch {
				case f.Level == levelOK && (f.Fix != "" || f.Cause != ""), f.Level != levelOK && f.Fix == "":
					t.Errorf("%+v", f)
				case strings.Contains(f.Text+f.Fix, "\n"):
					t.Errorf("not on one line: %+v", f)
				case f.Level == levelOK, f.Check == "unchecked" && f.Shop == "":
					continue
				case s.look == nil && strings.HasPrefix(f.Text, "the disk keeps a small write within"):
					continue // that of this machine is slow just now
				}
				if got = append(got, f.Check+" "+f.Level); first == nil {
					first = &f
				}
			}
			if strings.Join(got, ", ") != s.want {
				t.Errorf("%q, want %q; the first is %+v", got, s.want, first)
			}
			if first != nil && (!strings.Contains(first.Text, s.says) || !strings.Contains(first.Fix, s.mend) || first.Cause != s.cause) {
				t.Errorf("%+v", *first)
			}
		})
	}
}

// TestEachCheckOfTheDoctorIsMadeToFail reads in the source what is looked at.
func TestEachCheckOfTheDoctorIsMadeToFail(t *testing.T) {
	var shown []string
	for _, s := range sicknesses {
		for _, line := range strings.Split(s.want, ", ") {
			check, _, _ := strings.Cut(line, " ")
			shown = append(shown, check)
		}
	}
	named := regexp.MustCompile(`(?:Check:\s+|\badd\(|examineLosses\(|unread\()"([a-z0-9-]+)"`)
	seen := 0
	for _, file := range []string{"doctor.go", "deep.go", "trip.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			seen++
			// A certificate that is not well is a line of the account of health.
			if m[1] != "certificate" && !slices.Contains(shown, m[1]) {
				t.Errorf("%s: no row of sicknesses has %s go wrong", file, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d checks were found in the source", seen)
	}
}
