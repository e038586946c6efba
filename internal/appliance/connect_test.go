package appliance

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
	"stockroom/web"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// connecting is an appliance without a shop, whose calls go by way.
type connecting struct {
	*Appliance
	t *testing.T
}

func newConnecting(t *testing.T, way http.RoundTripper) connecting {
	t.Helper()
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), Options{Settings: s, Transport: way, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return connecting{a, t}
}

// put connects a shop over the API.
func (c connecting) put(ctx context.Context, shop, body string) (status int, out web.Connected, code string) {
	c.t.Helper()
	r := httptest.NewRequest(http.MethodPut, "http://localhost/api/v1/shops/"+shop, strings.NewReader(body)).WithContext(ctx)
	r.Header.Set("Authorization", "Bearer "+c.Token())
	w := httptest.NewRecorder()
	c.Admin().ServeHTTP(w, r)
	var problem struct{ Code string }
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil && w.Code == 200 {
			c.t.Fatalf("%v in %s", err, w.Body)
		}
		_ = json.Unmarshal(w.Body.Bytes(), &problem)
	}
	return w.Code, out, problem.Code
}

func (c connecting) nothingKept(shop string) {
	c.t.Helper()
	if _, known := c.state.Shop(shop); known {
		c.t.Errorf("%s is connected", shop)
	}
	if cred, known := c.state.Credentials(shop); known {
		c.t.Errorf("credentials are kept: %+v", cred)
	}
}

func TestAShopThatDoesNotAnswerIsGivenUpAndNothingIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConnecting(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		began := time.Now()
		status, _, code := c.put(t.Context(), testShop, `{"api_key":"k","secret":"s"}`)
		if took := time.Since(began); status != 502 || code != answer.CodeUnreachable || took != 15*time.Second {
			t.Errorf("%d %s after %v", status, code, took)
		}
		c.nothingKept(testShop)

		// A person who goes away is not waited for.
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if status, _, _ := c.put(ctx, testShop, `{"api_key":"k","secret":"s"}`); time.Since(began) != time.Second {
			t.Errorf("%d after %v", status, time.Since(began))
		}
		c.nothingKept(testShop)
	})
}

func TestAShopIsAskedBeforeItIsStoredAndNotOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := fakeshopify.New(fakeshopify.Options{Shop: testShop, Secret: "right", Products: 7, API: fakeshopify.APIOptions{Scopes: []string{"read_products", "read_locations"}}})
		c := newConnecting(t, fakeshopify.Transport(shop.Handler()))
		if status, _, code := c.put(t.Context(), testShop, `{"api_key":"k","secret":"wrong"}`); status != 409 || code != answer.CodeRefused {
			t.Errorf("a wrong secret: %d %s", status, code)
		}
		c.nothingKept(testShop)
		if status, out, _ := c.put(t.Context(), testShop, `{"api_key":"k","secret":"wrong","check":false}`); status != 200 || out.Found != nil {
			t.Errorf("without asking: %d %+v", status, out)
		}
		asked := shop.APIStats()
		if asked.Calls != 0 {
			t.Errorf("%d calls", asked.Calls)
		}
		status, out, _ := c.put(t.Context(), testShop, `{"secret":"right"}`) // the client id is kept
		if status != 200 || out.Found == nil || out.Found.Products != 7 || len(out.Found.Missing) != 1 || out.Found.Missing[0].Scope != "read_inventory" {
			t.Fatalf("%d %+v", status, out.Found)
		}
		want := "Nothing is read yet: the app lacks the access scopes read_inventory (stock and weights can't be read); " +
			"add it to the app where that was made, in Shopify's Dev Dashboard (and release that version) or in the shop's admin, then approve it in the shop."
		if words := out.Words(); len(words) != 2 || words[1] != want || !strings.HasPrefix(words[0], "Connected ") ||
			!strings.HasSuffix(words[0], " ("+testShop+"): 7 products; rights: read_locations, read_products.") {
			t.Errorf("it says %q", words)
		}
		if snap, ok := c.limiter.Snapshot(testShop); !ok || snap.Guessed || snap.Used == 0 {
			t.Errorf("the calls cost no points: %+v", snap)
		}
		// A refusal changes nothing of a connection, and its points stay counted.
		if status, _, _ := c.put(t.Context(), testShop, `{"secret":"wrong"}`); status != 409 {
			t.Errorf("%d", status)
		}
		if cred, _ := c.state.Credentials(testShop); cred.APISecret.Reveal() != "right" {
			t.Error("the secret was replaced")
		}
		if contact := c.client.Contact(testShop); contact.Failing {
			t.Errorf("the shop is said to fail: %+v", contact)
		}
		if snap, ok := c.limiter.Snapshot(testShop); !ok || snap.Guessed {
			t.Error("points are forgotten")
		}
	})
}
