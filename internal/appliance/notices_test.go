package appliance

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/store"
	"stockroom/web"
)

// lossRig is a data dir whose files go while nothing has it open.
type lossRig struct {
	*Appliance
	t        *testing.T
	settings config.Settings
}

func newLossRig(t *testing.T) *lossRig {
	t.Helper()
	settings, err := config.Load(config.Sources{Flags: map[string]string{"data": filepath.Join(t.TempDir(), "data"), "public-url": "https://stock.example"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &lossRig{t: t, settings: settings}
	r.start()
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (r *lossRig) start() {
	r.t.Helper()
	a, err := Open(r.t.Context(), Options{Settings: r.settings, Manual: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Appliance = a
}

// restart starts it again without the files of these names.
func (r *lossRig) restart(without ...string) {
	r.t.Helper()
	err := r.Close()
	for _, name := range without {
		err = errors.Join(err, os.Remove(filepath.Join(r.settings.DataDir, name)))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

// said are the notices that begin with a text.
func (r *lossRig) said(text string) (ids []string) {
	for _, n := range r.notices() {
		if strings.HasPrefix(n.Text, text) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

func (r *lossRig) connect(shop, secret string) {
	r.t.Helper()
	if _, err := (shops{r.Appliance}).Add(r.t.Context(), web.AddShop{Shop: shop, MerchantID: "m-1", Secret: config.NewSecret(secret)}); err != nil {
		r.t.Fatal(err)
	}
}

// deliver sends a signed product and returns the answer's status.
func (r *lossRig) deliver(shop, secret string) int {
	body := `{"id":7,"title":"Cap","updated_at":"2026-11-01T10:00:00Z","status":"active","variants":[]}`
	q := httptest.NewRequest(http.MethodPost, "/webhooks/shopify/products", strings.NewReader(body))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for k, v := range map[string]string{"Hmac-Sha256": signature, "Topic": "products/update", "Shop-Domain": shop} {
		q.Header.Set("X-Shopify-"+k, v)
	}
	w := httptest.NewRecorder()
	r.intake.ServeHTTP(w, q)
	return w.Code
}

func TestAShopThatStateDBLostComesBackAndNeedsItsSecretAgain(t *testing.T) {
	const all, some, left = "linen.myshopify.com", "wool.myshopify.com", "left.myshopify.com"
	r := newLossRig(t)
	for _, shop := range []string{all, some, left} {
		r.connect(shop, "secret")
	}
	sel := catalog.Selection{Mode: catalog.SelectInclude, Include: []int64{1}}
	_, err := (shops{r.Appliance}).Select(t.Context(), some, sel)
	_, err2 := (shops{r.Appliance}).Remove(t.Context(), left, false, false)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if code := r.deliver(all, "secret"); code != 200 {
		t.Fatalf("delivery: %d", code)
	}
	for start := range 2 { // the loss itself, and a restart after it
		if start == 0 {
			r.restart("state.db")
		} else {
			r.restart()
		}
		if code := r.deliver(all, "secret"); code != http.StatusServiceUnavailable {
			t.Errorf("a delivery that can't be checked is answered %d", code)
		}
		list, err := shops{r.Appliance}.List(t.Context())
		if err != nil || len(list) != 2 || list[0].HasSecret || list[0].MerchantID != "m-1" || list[0].Selection.Mode != catalog.SelectAll ||
			!slices.Equal(list[1].Selection.Include, sel.Include) {
			t.Errorf("connected: %+v, %v", list, err)
		}
		if n, err := r.store.CountShop(t.Context(), all); err != nil || n.Active != 1 {
			t.Errorf("products: %+v, %v", n, err)
		}
		codes := []string{}
		for _, l := range r.status.Read(t.Context(), time.Now()).Lines {
			if l.Shop == all || l.Shop == "" {
				codes = append(codes, l.Code)
			}
		}
		if !slices.Contains(codes, "secret-missing") || !slices.Contains(codes, "lost") || !slices.Contains(codes, "loss") {
			t.Errorf("the account of health has %v", codes)
		}
		r.forgetHealed()
		if len(r.said("state.db was lost")) != 1 {
			t.Errorf("notices: %+v", r.notices())
		}
	}
	r.connect(all, "secret")
	if r.forgetHealed(); len(r.said("state.db was lost")) != 1 {
		t.Error("the loss is forgotten although a shop still lacks its secret")
	}
	r.connect(some, "secret")
	if r.forgetHealed(); len(r.notices()) != 0 {
		t.Errorf("all is there again, and the page says %+v", r.notices())
	}
	if code := r.deliver(all, "secret"); code != 200 {
		t.Errorf("delivery: %d", code)
	}
	if r.restart(); len(r.said("state.db")) != 0 {
		t.Error("the loss is told again after a restart")
	}
}

// A selection is not guessed: where the catalogue is as new as the loss, nobody knows.
func TestASelectionThatBothFilesLostIsAskedFor(t *testing.T) {
	r := newLossRig(t)
	lost := time.Now()
	row := store.Shop{Shop: "wool.myshopify.com", AddedAt: lost.Add(time.Minute).UnixMilli()}
	if err := r.takeBack(t.Context(), row, lost); err != nil {
		t.Fatal(err)
	}
	if _, known := r.state.Selection(row.Shop); known || len(r.said("The selection of wool")) != 1 {
		t.Errorf("it is known: %v; notices: %+v", known, r.notices())
	}
	row.AddedAt = lost.UnixMilli()
	if err := r.takeBack(t.Context(), row, lost); err != nil {
		t.Fatal(err)
	}
	if sel, known := r.state.Selection(row.Shop); !known || sel.Mode != catalog.SelectAll {
		t.Errorf("selection %v, known %v", sel, known)
	}
}

func TestALossThatAFullSyncHasHealedIsNotReadAgainAtEachStart(t *testing.T) {
	const shop = "linen.myshopify.com"
	r := newLossRig(t)
	r.connect(shop, "secret")
	r.restart("queue.db")
	owed := func() bool {
		list, err := r.store.WantedList(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list, func(w store.Wanted) bool { return w.Kind == store.WantSync })
	}
	if !owed() {
		t.Fatal("no full sync is owed after the loss")
	}
	run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: shop, Kind: store.RunFull, Trigger: "test"})
	run.State, run.ProvenAt = store.RunDone, store.MillisOf(time.Now().Add(time.Second))
	err = errors.Join(err, r.store.SaveRun(t.Context(), run),
		r.store.WantedDone(t.Context(), store.Wanted{Shop: shop, Kind: store.WantSync}, time.Now().Add(time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	if r.restart(); owed() {
		t.Error("a full sync is owed again although one has proven every field since")
	}
	r.restart("products.db")
	if !owed() {
		t.Error("the next loss owes none")
	}
}

func TestANoticeOfALossIsTakenOffForGoodAndALaterOneIsShown(t *testing.T) {
	for file, says := range map[string]string{"state.db": "state.db was lost", "products.db": "products.db was missing", "queue.db": "queue.db lost jobs"} {
		t.Run(file, func(t *testing.T) {
			r := newLossRig(t)
			r.connect("linen.myshopify.com", "secret")
			r.restart(file)
			ids := r.said(says)
			if len(ids) != 1 || ids[0] == "" {
				t.Fatalf("notices: %+v", r.notices())
			}
			take := func(id string, want int) {
				t.Helper()
				if n, err := r.acknowledge(t.Context(), id); n != want || err != nil {
					t.Errorf("%s: %d went, %v", id, n, err)
				}
			}
			take("another-1", 0)
			take(ids[0], 1)
			take(ids[0], 0)
			if len(r.said(says)) != 0 {
				t.Error("it is still told")
			}
			if r.restart(); len(r.said(file)) != 0 || r.status.Read(t.Context(), time.Now()).Ready().Status != "ready" {
				t.Errorf("after a restart: %+v", r.notices())
			}
			if file == "state.db" {
				if list := r.state.Shops(); len(list) != 1 || len(r.state.Secrets(list[0].Domain)) > 0 {
					t.Errorf("shops: %+v", list)
				}
			}
			r.restart(file)
			if again := r.said(says); len(again) != 1 || again[0] == ids[0] {
				t.Errorf("the next loss: %v", again)
			}
		})
	}
}
