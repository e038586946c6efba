package cli

import (
	"bytes"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"stockroom/internal/config"
	"stockroom/internal/fakeshopify"
)

const initShop = "linen-and-sons.myshopify.com"

// persons answers the questions of init, each answer typed ahead, and does what the
// shop's owner does when an address is said.
type persons struct {
	talk   bytes.Buffer
	typed  *os.File // the terminal
	shop   *fakeshopify.Shop
	agreed bool
}

func (p *persons) Write(text []byte) (int, error) {
	n, err := p.talk.Write(text)
	address := regexp.MustCompile(`http\S+/admin/oauth/authorize\S+`).FindString(p.talk.String())
	if address != "" && !p.agreed && strings.Contains(p.talk.String(), "paste its address here") {
		p.agreed = true
		callback, wrong := p.shop.Consent(address)
		if wrong != nil {
			return n, wrong
		}
		_, err = p.typed.WriteString(callback + "\n\n") // and pull mode
	}
	return n, err
}

// initWith runs init on a terminal on which the answers are typed.
func initWith(t *testing.T, dir, answers string, o fakeshopify.Options, args ...string) (code int, out, talk string) {
	t.Helper()
	o.Shop, o.Secret, o.Products, o.AllowHTTP = initShop, "shpss_simulated", 12, true
	shop := fakeshopify.New(o)
	api := httptest.NewServer(shop.Handler())
	defer api.Close()
	seen, tty := terminal(t, 80)
	if _, err := seen.WriteString(answers); err != nil {
		t.Fatal(err)
	}
	p := &persons{typed: seen, shop: shop}
	var stdout bytes.Buffer
	args = append([]string{"init", "--data", dir, "--api-base", api.URL, "--print"}, args...)
	code = Run(t.Context(), Process{Args: args, Stdin: tty, Stdout: &stdout, Stderr: p, Program: "stockroom"})
	if strings.Contains(p.talk.String()+stdout.String(), "shpss_") {
		t.Errorf("a secret is shown:\n%s%s", &p.talk, &stdout)
	}
	return code, stdout.String(), p.talk.String()
}

func says(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		_, rest, found := strings.Cut(text, want)
		if !found {
			t.Fatalf("%q is not said, or not there, in\n%s", want, text)
		}
		text = rest
	}
}

func TestAPersonIsLedFromAnEmptyDirectoryToInStep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	code, out, talk := initWith(t, dir, "linen.shop\nlinen-and-sons\n9\n\nshpss_slip\nshpss_wrong\nk\n\n\nshpss_simulated\n2\nhttp://stock.example\nhttps://stock.example\n", fakeshopify.Options{})
	if code != config.ExitOK {
		t.Fatal(code, out, talk)
	}
	says(t, talk, "Stockroom keeps a copy of a shop's products in "+dir, "Ctrl-C stops at any question",
		"The shop, as NAME.myshopify.com", `"linen.shop" is not the name that Shopify gave the shop`,
		"Who made the app", "Number [1]: Type a number from 1 to 3.", "that version is released", "Client id: ", "Client secret, not shown as you type or paste it: ",
		"What was given as the client id is a client secret", "\nClient id (Enter keeps the one you gave): ",
		"Nothing was stored: ", "client secret", "Who made the app", "Client id (Enter keeps the one you gave): ", "Client secret (Enter keeps the one you gave)",
		"Connected ", "12 products; rights: read_inventory", "How do changes in the shop get here?",
		"That can't be: it begins with http://", "The public address, https://...: ", "Written: "+filepath.Join(dir, "stockroom.toml"))
	says(t, out, initShop+": 12 products read", "The copy is in step with "+initShop, "stockroom serve --data "+dir, "stockroom open --data "+dir,
		"Shopify sends changes to https://stock.example, which has to lead to 127.0.0.1:8080 here.")
	text, err := os.ReadFile(filepath.Join(dir, config.FileName))
	if err != nil || !strings.Contains(string(text), "\npublic-url = \"https://stock.example\"\n") {
		t.Errorf("%s %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, config.FileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}

	// Again: what is there is shown, and stays unless it is changed.
	code, out, talk = initWith(t, dir, "\n\n1\n", fakeshopify.Options{})
	if code != config.ExitOK {
		t.Fatal(code, out, talk)
	}
	says(t, talk, "Connected: "+initShop+" (active).", "its admin ["+initShop+"]: ", "Connected ", "Keep its credentials as they are? [Y/n]: ", "Number [2]: ")
	says(t, out, "The copy is in step")
	if text, _ := os.ReadFile(filepath.Join(dir, config.FileName)); strings.Contains(string(text), "public-url =") {
		t.Errorf("%s", text)
	}
}

func TestAnAppOfAnotherOrganisationAndAnOlderOneAreSetUpAsWell(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	consent := fakeshopify.Options{API: fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent}}
	code, out, talk := initWith(t, dir, initShop+"\n2\nk\nshpss_simulated\n", consent)
	if code != config.ExitOK {
		t.Fatal(code, out, talk)
	}
	says(t, talk, "redirect URL   http://localhost:3456/callback   (exactly so", "Open this address in a browser", "/admin/oauth/authorize?", "Connected ")
	says(t, out, "The copy is in step")

	token := fakeshopify.Options{API: fakeshopify.APIOptions{Grant: fakeshopify.GrantToken, Tokens: []string{"shpat_old"}}}
	code, out, talk = initWith(t, filepath.Join(t.TempDir(), "d"), initShop+"\n3\nshpat_old\nshpss_simulated\n\n", token)
	if code != config.ExitOK {
		t.Fatal(code, out, talk)
	}
	says(t, talk, "Develop apps", "Admin API access token", "API secret key (it signs deliveries; Enter leaves it out)", "Connected ")
	says(t, out, "The copy is in step")
}

func TestAScriptSetsUpEachKindWithFlags(t *testing.T) {
	secret, token := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "token")
	for path, text := range map[string]string{secret: "shpss_simulated\n", token: "shpat_old\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for access, tt := range map[string]struct {
		grant fakeshopify.APIOptions
		flags []string
	}{
		"credentials": {fakeshopify.APIOptions{}, []string{"--api-key", "k", "--secret-file", secret}},
		"consent": {fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent},
			[]string{"--kind", "consent", "--api-key", "k", "--secret-file", secret, "--callback", "-"}},
		"token": {fakeshopify.APIOptions{Grant: fakeshopify.GrantToken, Tokens: []string{"shpat_old"}}, []string{"--access-token-file", token}},
	} {
		stdin, typed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		defer typed.Close()
		shop := fakeshopify.New(fakeshopify.Options{Shop: initShop, Secret: "shpss_simulated", Products: 12, AllowHTTP: true, API: tt.grant})
		api := httptest.NewServer(shop.Handler())
		defer api.Close()
		p := &persons{typed: typed, shop: shop}
		var out bytes.Buffer
		args := append([]string{"init", "--data", filepath.Join(t.TempDir(), "d"), "--api-base", api.URL, "--shop", initShop, "--pull", "--json"}, tt.flags...)
		code := Run(t.Context(), Process{Args: args, Stdin: stdin, Stdout: &out, Stderr: p})
		if code != config.ExitOK {
			t.Fatal(access, code, p.talk.String())
		}
		says(t, out.String(), `"pull": true`, `"proven": true`, `"access": "`+access+`"`, `"products": 12`)
		if strings.Contains(out.String()+p.talk.String(), "shpss_") || strings.Contains(out.String()+p.talk.String(), "shpat_") {
			t.Errorf("%s: a secret is shown", access)
		}
	}
}

// TestWhoStopsAtAQuestionFindsNothingHalf: Ctrl-D, which ends standard input, as Ctrl-C.
func TestWhoStopsAtAQuestionFindsNothingHalf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	for _, answers := range []string{"\x04", initShop + "\n\x04", initShop + "\n1\n\x04"} {
		code, _, talk := initWith(t, dir, answers, fakeshopify.Options{})
		if code != config.ExitFailed || !strings.Contains(talk, "init: stopped. Nothing was stored. Go on with: stockroom init --data "+dir) {
			t.Errorf("%q: %d %s", answers, code, talk)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: there is a data dir", answers)
		}
	}
	code, _, talk := initWith(t, dir, initShop+"\n1\nk\nshpss_simulated\n\x04", fakeshopify.Options{})
	if code != config.ExitFailed || !strings.Contains(talk, "init: stopped. "+initShop+" is connected. Go on with: ") {
		t.Errorf("%d %s", code, talk)
	}
	if _, err := os.Stat(filepath.Join(dir, config.FileName)); err == nil {
		t.Error("settings are written that nobody chose")
	}
}
