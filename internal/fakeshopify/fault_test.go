package fakeshopify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sameShape compares JSON by members and types of values.
func sameShape(t *testing.T, got, want string) {
	t.Helper()
	var shape func(v any) any
	shape = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			m := make(map[string]any)
			for k, x := range v {
				m[k] = shape(x)
			}
			return m
		case []any:
			if len(v) == 0 {
				return []any{}
			}
			return []any{shape(v[0])}
		}
		return fmt.Sprintf("%T", v)
	}
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatal(err)
	}
	gs, _ := json.Marshal(shape(g))
	ws, _ := json.Marshal(shape(w))
	if string(gs) != string(ws) {
		t.Errorf("shape %s\nwant  %s", gs, ws)
	}
}

func TestErrorsHaveTheRecordedShapes(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "fixtures", "errors")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped: the fixtures folder is not beside this project")
	}
	fixture := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	send := func(s *Shop, query string) string {
		b, _ := json.Marshal(map[string]string{"query": query})
		_, _, text := post(t, s, "/admin/api/2026-10/graphql.json", testToken, string(b))
		return text
	}
	t.Run("throttled", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		s.Spend(2000)
		text := send(s, `{shop{name}}`)
		sameShape(t, text, fixture("measured_2026-08_throttled_http200.json"))
		if !strings.Contains(text, `"maximumAvailable":2000.0`) || !strings.Contains(text, `"restoreRate":100.0`) {
			t.Error("the bucket's figures are not floats")
		}
	})
	t.Run("too dear", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		sameShape(t, send(s, `{a:products(first:250){nodes{variants(first:250){nodes{media(first:250){nodes{id}}}}}}}`),
			fixture("measured_2026-08_max_cost_exceeded_http200.json"))
	})
	t.Run("internal", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		s.Fail(Fault{Kind: FaultInternal})
		sameShape(t, send(s, `{shop{name}}`), fixture("recorded_internal_server_error.json"))
	})
	t.Run("denied", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch), API: APIOptions{Scopes: []string{"read_products"}}})
		var got, want struct{ Errors []map[string]any }
		text := send(s, `{shop{name} locations(first:1){nodes{id}} }`)
		if err := errors.Join(json.Unmarshal([]byte(text), &got), json.Unmarshal([]byte(fixture("recorded_access_denied_http200.json")), &want)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(got.Errors[0])), slices.Sorted(maps.Keys(want.Errors[0]))) ||
			!strings.Contains(text, `"data":null`) {
			t.Errorf("%s", text)
		}
	})
	t.Run("too many requests", func(t *testing.T) {
		s := apiShop(Options{Now: fixed(epoch)})
		s.Fail(Fault{Status: 429, RetryAfter: "4.0"})
		status, h, text := post(t, s, "/admin/api/2026-10/graphql.json", testToken, `{"query":"{shop{name}}"}`)
		var want struct{ Body json.RawMessage }
		if err := json.Unmarshal([]byte(fixture("measured_2026-08_rest_429.json")), &want); err != nil {
			t.Fatal(err)
		}
		if sameShape(t, text, string(want.Body)); status != 429 || h.Get("Retry-After") != "4.0" {
			t.Errorf("%d %v", status, h)
		}
	})
}

func TestADeniedFieldThatMayBeNullLeavesTheRest(t *testing.T) {
	s := apiShop(Options{Products: 1, Now: fixed(epoch), API: APIOptions{Scopes: []string{"read_inventory"}}})
	r := ask(t, s, `{shop{name} product(id:"gid://shopify/Product/1"){id}}`, nil)
	if string(r.Data) != `{"shop":{"name":"my-shop"},"product":null}` || r.Errors[0].Extensions["code"] != "ACCESS_DENIED" || r.Errors[0].Path[0] != "product" {
		t.Errorf("%s %+v", r.Data, r.Errors)
	}
}

func TestDocumentsAreChecked(t *testing.T) {
	s := apiShop(Options{Products: 1, Now: fixed(epoch)})
	for _, c := range []struct{ name, query, code string }{
		{"no such field", `{shop{nonsense}}`, "undefinedField"},
		{"no such argument", `{products(first:1,nonsense:2){nodes{id}}}`, "argumentNotAccepted"},
		{"argument missing", `{product{id}}`, "missingRequiredArguments"},
		{"argument of a wrong type", `{products(first:"x"){nodes{id}}}`, "argumentLiteralsIncompatible"},
		{"object without selection", `{shop}`, "selectionMismatch"},
		{"syntax", `{shop{name}`, "PARSE_ERROR"},
		{"variable missing", `query($id:ID!){product(id:$id){id}}`, "INVALID_VARIABLE"},
		{"variable not defined", `{product(id:$id){id}}`, "variableNotDefined"},
		{"malformed id", `{product(id:"7"){id}}`, "RESOURCE_NOT_FOUND"},
		{"id of another type", `{product(id:"gid://shopify/Shop/7"){id}}`, "RESOURCE_NOT_FOUND"},
		{"neither first nor last", `{products{nodes{id}}}`, "BAD_REQUEST"},
		{"first over 250", `{products(first:251){nodes{id}}}`, "BAD_REQUEST"},
		{"nested first over 250", `{products(first:1){nodes{variants(first:251){nodes{id}}}}}`, "BAD_REQUEST"},
		{"invalid cursor", `{products(first:1,after:"x"){nodes{id}}}`, "BAD_REQUEST"},
		{"2001 variants", `{product(id:"gid://shopify/Product/1"){id}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, s, c.query, nil)
			got := ""
			if len(r.Errors) > 0 {
				got, _ = r.Errors[0].Extensions["code"].(string)
			}
			if got != c.code {
				t.Errorf("code %q, want %q: %+v", got, c.code, r.Errors)
			}
		})
	}
	ids := make([]string, 251)
	for i := range ids {
		ids[i] = "gid://shopify/Product/1"
	}
	if r := ask(t, s, `query($ids:[ID!]!){nodes(ids:$ids){id}}`, map[string]any{"ids": ids}); r.Errors[0].Extensions["code"] != "MAX_INPUT_SIZE_EXCEEDED" {
		t.Errorf("%+v", r.Errors)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	s := apiShop(Options{Products: 3, Now: fixed(epoch)})
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	get := func(rt http.RoundTripper, base string, wait time.Duration) (int, string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", base+"/admin/api/2026-10/graphql.json", strings.NewReader(`{"query":"{shop{name}}"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Shopify-Access-Token", testToken)
		res, err := rt.RoundTrip(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res.StatusCode, string(b), err
	}
	for _, c := range []struct {
		name   string
		fault  Fault
		status int
		text   string
		fails  bool
	}{
		{"402", Fault{Status: 402}, 402, `{"errors":"Unavailable Shop"}`, false},
		{"423", Fault{Status: 423}, 423, `{"errors":"Shop is locked"}`, false},
		{"430", Fault{Status: 430}, 430, `Security`, false},
		{"503", Fault{Status: 503}, 503, `errors`, false},
		{"html", Fault{Kind: FaultHTML, Status: 502}, 502, `<html>`, false},
		{"throttled", Fault{Kind: FaultThrottled}, 200, `THROTTLED`, false},
		{"inactive", Fault{Kind: FaultInactive}, 200, `SHOP_INACTIVE`, false},
		{"wrong types", Fault{Kind: FaultWrongTypes}, 200, `[1,2,3]`, false},
		{"oversize", Fault{Kind: FaultOversize, Bytes: 100_000}, 200, `xxxx`, false},
		{"redirect", Fault{Kind: FaultRedirect}, 302, ``, false},
		{"reset", Fault{Kind: FaultReset}, 0, ``, true},
		{"truncated", Fault{Kind: FaultTruncate, Bytes: 10}, 200, `{"data":{"`, true},
		{"slow", Fault{Kind: FaultSlow, Delay: time.Microsecond}, 200, `my-shop`, false},
		{"silent", Fault{Kind: FaultSilence}, 0, ``, true},
		{"none", Fault{Kind: FaultDenied}, 200, `my-shop`, false},
	} {
		wait := 10 * time.Second
		if c.fault.Kind == FaultSilence {
			wait = 20 * time.Millisecond
		}
		for name, f := range map[string]func() (int, string, error){
			"in process":  func() (int, string, error) { return get(Transport(s.Handler()), "https://s.example", wait) },
			"on a socket": func() (int, string, error) { return get(http.DefaultTransport, srv.URL, wait) },
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				s.Fail(c.fault)
				status, text, err := f()
				if status != c.status || !strings.Contains(text, c.text) || (err != nil) != c.fails {
					t.Errorf("%d %.200q %v", status, text, err)
				}
				if status, text, err := f(); status != 200 || !strings.Contains(text, "my-shop") || err != nil {
					t.Errorf("the call after it: %d %s %v", status, text, err)
				}
			})
		}
	}
	s.Fail(Fault{Status: 503, Times: -1})
	for range 5 {
		if status, _, _ := get(Transport(s.Handler()), "https://s.example", time.Second); status != 503 {
			t.Error("a lasting fault went away")
		}
	}
	s.Heal()
	if status, _, _ := get(Transport(s.Handler()), "https://s.example", time.Second); status != 200 {
		t.Error("healing does not help")
	}
}
