package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stockroom/internal/fakeshopify"
)

// TestShopAddAnswersWrongInputWithASentenceAndACode gives shop add what people
// give it. Nothing of it is stored, and no secret comes back.
func TestShopAddAnswersWrongInputWithASentenceAndACode(t *testing.T) {
	t.Parallel()
	const secret, token = "shpss_0123456789abcdef0123456789abcdef", "shpat_0123456789abcdef0123456789abcdef"
	serve := func(h http.Handler) string {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	api := func(o fakeshopify.APIOptions) string {
		return serve(fakeshopify.New(fakeshopify.Options{Shop: e2eShop, Secret: secret, ClientID: "the-client-id", Products: 3, API: o}).Handler())
	}
	page := func(status int, title string) string {
		return serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<html><head><title>%s</title></head></html>", title)
		}))
	}
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, good, open, empty := "--api-key=the-client-id", file("good", secret+"\n", 0o600), file("open", secret, 0o644), file("empty", "\n", 0o600)
	sound := api(fakeshopify.APIOptions{})
	for _, tt := range []struct {
		name  string
		api   string
		stdin string
		args  []string
		code  int
		says  string
	}{
		{"no shop", sound, "", nil, 2, `needs <shop>`},
		{"an own domain", sound, "", []string{"www.linen.example", key}, 2, `"www.linen.example" is not the name that Shopify gave the shop, which ends with .myshopify.com. Shopify's admin shows it under Settings, Domains`},
		{"the admin without a shop", sound, "", []string{"https://admin.shopify.com", key}, 2, "the NAME behind /store/ is missing"},
		{"a secret for the shop", sound, "", []string{secret}, 2, "a secret or token of Shopify was given in place of the shop's name"},
		{"a secret as argument", sound, "", []string{e2eShop, key, "--secret=" + secret}, 2, "unknown flag --secret"},
		{"no client id", sound, secret, []string{e2eShop, "--secret-file=-"}, 3, "The app's client id is missing; it is in the app's settings in Shopify's Dev Dashboard. Here they are given with --api-key CLIENT_ID"},
		{"no client secret", sound, "", []string{e2eShop, key}, 3, "The app's client secret is missing"},
		{"nothing on standard input", sound, "", []string{e2eShop, key, "--secret-file=-"}, 3, "nothing came"},
		{"a file that is not there", sound, "", []string{e2eShop, key, "--secret-file=" + filepath.Join(dir, "none")}, 3, "no such file"},
		{"an empty file", sound, "", []string{e2eShop, key, "--secret-file=" + empty}, 3, "is empty"},
		{"a file that everybody reads", sound, "", []string{e2eShop, key, "--secret-file=" + open}, 3, "run: chmod o-rwx"},
		{"a folder", sound, "", []string{e2eShop, key, "--secret-file=" + dir}, 3, "is a folder"},
		{"a token for the secret", sound, token, []string{e2eShop, key, "--secret-file=-"}, 3, "What was given as the client secret is an access token, as its beginning says. Give it as the access token."},
		{"a secret for the client id", sound, "", []string{e2eShop, "--api-key=" + secret, "--secret-file=" + good}, 3, "What was given as the client id is a client secret"},
		{"a token for the client id", sound, "", []string{e2eShop, "--api-key=" + token, "--secret-file=" + good}, 3, "What was given as the client id is an access token"},
		{"the client id for the secret", sound, "the-client-id", []string{e2eShop, key, "--secret-file=-"}, 3, "What was given as the client secret is the client id."},
		{"a secret for the token", sound, secret, []string{e2eShop, "--access-token-file=-"}, 3, "What was given as the access token is a client secret"},
		{"the shop for the client id", sound, "", []string{e2eShop, "--api-key=" + e2eShop, "--secret-file=" + good}, 3, "What was given as the client id is the shop's name."},
		{"two words", sound, "client secret", []string{e2eShop, key, "--secret-file=-"}, 3, "What was given as the client secret has a space in it"},
		{"a wrong secret", sound, "shpss_ffff", []string{e2eShop, key, "--secret-file=-"}, 1, "Nothing was stored: Shopify does not accept the app's client secret"},
		{"a wrong token", sound, token, []string{e2eShop, "--access-token-file=-"}, 1, "Nothing was stored: Shopify does not accept the access token"},
		{"another shop", sound, "", []string{"wool", key, "--secret-file=" + good}, 1, "Shopify calls this shop " + e2eShop + ": connect it under that name."},
		{"another organization", api(fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent}), "", []string{e2eShop, key, "--secret-file=" + good}, 1, "make the app in the organization that the shop belongs to"},
		{"no right to products", api(fakeshopify.APIOptions{Scopes: []string{"read_locations"}}), "", []string{e2eShop, key, "--secret-file=" + good}, 1, "read_products"},
		{"no such shop", page(404, "404 Not Found"), "", []string{e2eShop, key, "--secret-file=" + good}, 1, "there is no such shop at Shopify (404)"},
		{"an unknown client id", page(400, "400 - Oauth error application_cannot_be_found"), "", []string{e2eShop, key, "--secret-file=" + good}, 1, "Shopify knows no app with this client id; copy the client id again"},
		{"an app that is not installed", page(400, "400 - Oauth error app_not_installed"), "", []string{e2eShop, key, "--secret-file=" + good}, 1, "install it on the shop"},
		{"a fault of Shopify", page(503, "down"), "", []string{e2eShop, key, "--secret-file=" + good}, 6, "Shopify has a fault (503)"},
		{"nobody there", "http://127.0.0.1:1", "", []string{e2eShop, key, "--secret-file=" + good}, 6, "127.0.0.1:1 refused the connection. Check the network and status.shopify.com, or connect it without asking (--no-check)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			r := runCLI(t, nil, tt.stdin, append([]string{"shop", "add", "--data=" + data, "--api-base=" + tt.api}, tt.args...)...)
			if r.Code != tt.code || !strings.Contains(r.Stderr, tt.says) || r.Stdout != "" {
				t.Errorf("exit %d, want %d and %q\n%s%s", r.Code, tt.code, tt.says, r.Stdout, r.Stderr)
			}
			if said := strings.ReplaceAll(r.Stderr, "unknown flag --secret="+secret, ""); strings.Contains(said, secret) || strings.Contains(said, token) {
				t.Errorf("a secret comes back: %s", said)
			}
			if _, err := os.Stat(data); err != nil {
				return
			}
			if r := runCLI(t, nil, "", "shop", "list", "--json", "--data="+data); r.Code != 0 || !strings.Contains(r.Stdout, `"shops": []`) {
				t.Errorf("something was stored: exit %d, %s%s", r.Code, r.Stdout, r.Stderr)
			}
		})
	}
}
