package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"stockroom/internal/fakeshopify"
)

// simulated is a simulated shop that runs: what it printed, and where its API is.
type simulated struct{ said, base string }

// simulate starts a simulated shop and ends it with the test.
func simulate(t *testing.T, args ...string) simulated {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		code := Run(ctx, Process{
			Args:  append([]string{"simulate", "--address=127.0.0.1:0", "--products=3", "--rate=0"}, args...),
			Stdin: strings.NewReader(""), Stdout: in, Stderr: in, Version: "v1", Program: "stockroom",
		})
		in.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		cancel()
		go func() { _, _ = io.Copy(io.Discard, out) }()
		if code := <-ended; code != 0 {
			t.Errorf("exit %d", code)
		}
	})
	var said strings.Builder
	for lines := bufio.NewScanner(out); !strings.Contains(said.String(), "Ctrl-C") && lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
	}
	return simulated{said.String(), regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(said.String())}
}

// fact is what the shop printed after a word.
func (s simulated) fact(t *testing.T, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + name + ` +(\S+)`).FindStringSubmatch(s.said)
	if found == nil {
		t.Fatalf("no %s in\n%s", name, s.said)
	}
	return found[1]
}

// token asks the token endpoint as the printed app: a token, or how it refuses.
func (s simulated) token(t *testing.T, more url.Values) (token, scope string) {
	t.Helper()
	form := url.Values{"client_id": {s.fact(t, "Client id")}, "client_secret": {s.fact(t, "Client secret")}}
	for k, v := range more {
		form[k] = v
	}
	res, err := http.PostForm(s.base+"/admin/oauth/access_token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	var m struct {
		AccessToken string `json:"access_token"`
		Scope       string
	}
	if json.Unmarshal(text, &m) != nil {
		return string(text), ""
	}
	return m.AccessToken, m.Scope
}

// shopStatus is what the API answers to a token.
func (s simulated) shopStatus(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.base+"/admin/api/2026-10/graphql.json",
		strings.NewReader(`{"query":"{shop{name}}"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Shopify-Access-Token", token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

var byCredentials = url.Values{"grant_type": {"client_credentials"}}

func TestASimulatedShopLetsItsAppInWithClientIdAndSecret(t *testing.T) {
	s := simulate(t, "--scopes=read_products,read_files")
	token, scope := s.token(t, byCredentials)
	if scope != "read_products,read_files" || s.shopStatus(t, token) != 200 {
		t.Errorf("%s, %s", token, scope)
	}
	if answer, _ := s.token(t, url.Values{"client_id": {"x"}}); !strings.Contains(answer, "application_cannot_be_found") {
		t.Errorf("another client id gets %s", answer)
	}
}

func TestASimulatedShopLetsItsAppInByConsent(t *testing.T) {
	s := simulate(t, "--grant=consent")
	if !strings.Contains(s.said, "\n    stockroom shop connect my-shop.myshopify.com --api-key simulated\n") {
		t.Errorf("how it is connected is not said:\n%s", s.said)
	}
	if answer, _ := s.token(t, byCredentials); !strings.Contains(answer, "shop_not_permitted") {
		t.Errorf("without consent it gets %s", answer)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.Post(s.fact(t, "Consent")+"?"+url.Values{
		"client_id": {s.fact(t, "Client id")}, "redirect_uri": {fakeshopify.Redirect}, "state": {"x"},
	}.Encode(), "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil || res.StatusCode != 302 {
		t.Fatalf("%d, %v", res.StatusCode, err)
	}
	token, _ := s.token(t, url.Values{"code": {back.Query().Get("code")}, "expiring": {"0"}})
	if s.shopStatus(t, token) != 200 || token != simulatedToken {
		t.Errorf("after consent it gets %s", token)
	}
}

func TestASimulatedShopLetsItsAppInWithATokenOnly(t *testing.T) {
	s := simulate(t, "--grant=token")
	if got := s.shopStatus(t, s.fact(t, "Access token")); got != 200 || strings.Contains(s.said, "Client id") {
		t.Errorf("the token gets %d:\n%s", got, s.said)
	}
	want := "SHOPIFY_ACCESS_TOKEN=" + simulatedToken + "\n    export SHOPIFY_API_SECRET=" + simulatedSecret + "\n"
	if !strings.Contains(s.said, want) {
		t.Errorf("how it is connected is not said:\n%s", s.said)
	}
}
