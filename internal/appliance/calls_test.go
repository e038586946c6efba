package appliance

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"stockroom/internal/config"
	"stockroom/internal/status"
)

// A person's decision about the calls holds over a restart and is taken back.
func TestCallsAreHeldBackByHand(t *testing.T) {
	const shop = "held-shop.myshopify.com"
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": filepath.Join(t.TempDir(), "data"), "api-base": "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Shop = config.EnvShop{Domain: shop, APIKey: "k", APISecret: config.NewSecret("s")}
	start := func() (a *Appliance, stop func()) {
		a, err := Open(context.Background(), Options{Settings: s})
		if err != nil {
			t.Fatal(err)
		}
		return a, func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	decide := func(a *Appliance, hold string) (int, status.Calls) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/api/v1/shops/"+shop+"/circuit", strings.NewReader(`{"hold":"`+hold+`"}`))
		r.Header.Set("Authorization", "Bearer "+a.Token())
		w := httptest.NewRecorder()
		a.Admin().ServeHTTP(w, r)
		var c status.Calls
		_ = json.Unmarshal(w.Body.Bytes(), &c)
		return w.Code, c
	}
	a, stop := start()
	if code, _ := decide(a, "maybe"); code != http.StatusBadRequest {
		t.Errorf("an unknown decision is answered %d", code)
	}
	if code, c := decide(a, "open"); code != 200 || c.Circuit != "open" || !c.Held {
		t.Errorf("held back: %d %+v", code, c)
	}
	stop()
	a, stop = start()
	defer stop()
	if code, c := decide(a, "try"); code != 200 || !c.Held {
		t.Errorf("held back over a restart, and a try does not undo it: %d %+v", code, c)
	}
	if code, c := decide(a, "auto"); code != 200 || c.Held || c.Circuit != "closed" {
		t.Errorf("let go: %d %+v", code, c)
	}
}
