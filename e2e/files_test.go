package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stockroom/internal/fakeshopify"
)

// post deliveries until ctx ends; each is an update of one of 200 products.
func keepPosting(ctx context.Context, s *server, connections int) (wait func() map[string]int) {
	results := make(chan map[string]int)
	for c := range connections {
		go func() {
			answers := map[string]int{}
			for i := 0; ctx.Err() == nil; i++ {
				id := int64(c*1000 + i%50 + 1)
				r, err := s.try(ctx, delivery{Body: productBody(id, i/50+1, 3), WebhookID: fmt.Sprint(c, "-", i)})
				if ctx.Err() != nil {
					break
				}
				if err != nil {
					answers["error: "+err.Error()]++
					continue
				}
				answers[r.String()]++
			}
			results <- answers
		}()
	}
	return func() map[string]int {
		total := map[string]int{}
		for range connections {
			for k, n := range <-results {
				total[k] += n
			}
		}
		return total
	}
}

// People look into products.db with the sqlite3 program while the server works.
func TestOtherProgramsReadTheCatalogueWhileItIsWritten(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := keepPosting(ctx, s, 8)
	db := openCatalogue(t, s.Dir)
	await(t, "some products", func() bool { return count(t, db, `SELECT count(*) FROM products`) > 20 })

	path := filepath.Join(s.Dir, "products.db")
	cli, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Log("sqlite3 is not here, so the driver of the tests reads alone")
	}
	for i := range 5 {
		if err == nil {
			// As somebody types it: no options, so the program may write its own locks.
			out, err := exec.CommandContext(t.Context(), cli, "-cmd", ".timeout 5000", path,
				"PRAGMA integrity_check; PRAGMA foreign_key_check; SELECT count(*) > 20 FROM products; SELECT count(*) FROM products p WHERE (SELECT count(*) FROM variants v WHERE v.product_id = p.id) <> 3").CombinedOutput()
			if got := string(out); err != nil || got != "ok\n1\n0\n" {
				t.Errorf("look %d of sqlite3: %v\n%s", i, err, got)
			}
		}
		var verdict string
		if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("look %d: integrity_check: %s, %v", i, verdict, err)
		}
	}
	cancel()
	answers := wait()
	if len(answers) != 1 || answers["200 "+answerApplied] < 10 {
		t.Errorf("answers while others read: %v", answers)
	}
	s.stop()
}

// Nobody else on the machine may read the data dir, and no secret is anywhere
// but where it belongs (I14).
func TestFilesArePrivateAndHoldNoSecretWhereTheyShouldNot(t *testing.T) {
	t.Parallel()
	const (
		token, consented, given = "shpat_static_token_5b1f", "shpat_consented_token_7c2a", "shpat_given_token_9d3b"
		further, asked, slip    = "5ea1ed0fa11c0de5", "shpss_of_the_agency_4e4e", "shpss_in_the_wrong_place_1a1a"
		third                   = "third-shop.myshopify.com"
		messages                = "hook-5c1e5c1e5c1e"
	)
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+r.Host+"/"+messages)
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, messages)
	}))
	t.Cleanup(closed.Close)
	file := filepath.Join(t.TempDir(), "signing")
	if err := os.WriteFile(file, []byte(further), 0o600); err != nil {
		t.Fatal(err)
	}
	shop := httptest.NewServer(fakeshopify.New(fakeshopify.Options{Shop: third, ClientID: "the-client-id", Secret: asked,
		API: fakeshopify.APIOptions{Grant: fakeshopify.GrantConsent, Tokens: []string{consented}}}).Handler())
	t.Cleanup(shop.Close)
	targets := filepath.Join(t.TempDir(), "notify")
	lines := "generic+" + closed.URL + "/" + messages + "?token=" + messages + "\nping+" + closed.URL + "/" + messages + "\n" +
		"smtp://me:" + messages + "@127.0.0.1:1/?from=a@b.test&to=c@d.test\nntfy://me:" + messages + "@" + closed.Listener.Addr().String() + "/" + messages + "\n"
	if err := os.WriteFile(targets, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, serveOptions{Env: append(shopEnv(), "SHOPIFY_ACCESS_TOKEN="+token),
		Args: []string{"--api-base", shop.URL, "--signing-secret-file", file, "--notify-file", targets, "--notify-after", "1s"}})
	addShop(t, s, otherShop, otherSecret)
	body := productBody(1, 1, 2)
	wantAnswer(t, s.post(delivery{Body: body}), answerApplied)
	wantAnswer(t, s.post(delivery{Topic: "products/delete", Body: body}), answerKept)
	s.post(delivery{Body: body, Secret: "shpss_forged"})
	s.post(delivery{Shop: otherShop, Body: body})
	s.post(delivery{Body: []byte("not json")})

	secrets := map[string]string{
		"the current secret": e2eSecret, "the previous secret": e2eOld, "the stored secret": otherSecret, "the access token": token,
		"the admin token": s.Token, "a signature": sign(e2eSecret, body), "the further secret": further, "the agency's secret": asked,
		"the token of a consent": consented, "a token that was given": given, "a slip": slip,
		"a URL of messages": messages,
	}
	clean := func(where, text string) {
		t.Helper()
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s", where, what)
			}
		}
	}
	to := func(status int, method, path, body string) reply {
		t.Helper()
		r := s.admin(method, "/api/v1/shops/"+third+path, body)
		if r.Status != status {
			t.Errorf("%s %s: %s", method, path, r)
		}
		clean(method+" "+path, r.Body)
		return r
	}
	to(400, "PUT", "", `{"api_key":"`+slip+`","secret":"`+asked+`"}`)       // exchanged
	to(400, "PUT", "", `{"api_key":"the-client-id","secret":"`+given+`"}`)  // a token
	to(409, "PUT", "", `{"api_key":"the-client-id","secret":"`+slip+`"}`)   // refused
	to(409, "PUT", "", `{"access_token":"`+given+`","secret":"`+asked+`"}`) // refused
	to(409, "PUT", "", `{"api_key":"the-client-id","secret":"`+asked+`"}`)  // another organization
	to(409, "POST", "/consent/callback", `{"address":"http://localhost:3456/callback?code=`+slip+`&hmac=00&state=x"}`)
	var question struct{ Address string }
	if err := json.Unmarshal([]byte(to(201, "POST", "/consent", `{"api_key":"the-client-id","secret":"`+asked+`"}`).Body), &question); err != nil {
		t.Fatal(err)
	}
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := stay.Post(question.Address, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	back := res.Header.Get("Location")
	code := back[strings.Index(back, "code=")+5:][:32]
	secrets["the code of a consent"] = code
	to(409, "POST", "/consent/callback", `{"address":"`+strings.Replace(back, "state=", "state=x", 1)+`"}`)
	to(200, "POST", "/consent/callback", `{"address":"`+back+`"}`)
	to(409, "POST", "/consent/callback", `{"address":"`+back+`"}`)
	to(200, "GET", "/consent", "")
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID)); err == nil {
		clean("the command line", string(line))
	}
	for _, path := range []string{
		"/shops", "/shops?connect=1", "/", "/metrics", "/metrics/shopify", "/readyz", "/api/v1/status", "/api/v1/shops", "/api/v1/jobs?data=true", "/api/v1/deliveries",
		"/api/v1/rejected", "/api/v1/changes", "/api/v1/products", "/api/v1/products-export?format=ndjson", "/api/v1/explain/" + e2eShop + "/1",
	} {
		r := s.admin(http.MethodGet, path, "")
		if r.Status != http.StatusOK {
			t.Errorf("%s: %s", path, r)
		}
		clean(path, r.Body)
	}
	env := append(shopEnv(), "SHOPIFY_ACCESS_TOKEN="+token)
	for _, args := range [][]string{
		{"config", "print"}, {"config", "print", "--json"}, {"shop", "list"}, {"shop", "list", "--json"}, {"queue", "list", "--json"}, {"products", "list"},
	} {
		r := runCLI(t, env, "", append(args, "--data", s.Dir)...)
		if r.Code != 0 {
			t.Errorf("%v: exit %d: %s", args, r.Code, r.Stderr)
		}
		clean(strings.Join(args, " "), r.Stdout+r.Stderr)
	}
	s.cli("products", "export", "--format", "sqlite", filepath.Join(s.Dir, "copy.db"))
	if r := s.admin(http.MethodPost, "/api/v1/notify/test", ""); r.Status != http.StatusOK || strings.Count(r.Body, `"ok":false`) != 4 {
		t.Errorf("a test of messages: %s", r)
	} else {
		clean("a test of messages", r.Body)
	}
	if r := runCLI(t, env, "", "notify", "test", "--data", s.Dir); r.Code != 1 {
		t.Errorf("notify test: exit %d: %s", r.Code, r.Stderr)
	} else {
		clean("notify test", r.Stdout+r.Stderr)
	}
	clean("/settings", s.admin(http.MethodGet, "/settings", "").Body)
	look := func(when string) {
		t.Helper()
		info, err := os.Stat(s.Dir)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s, the data dir has mode %v, %v", when, info.Mode().Perm(), err)
		}
		err = filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return nil // gone meanwhile
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s, %s has mode %v", when, d.Name(), info.Mode().Perm())
			}
			name := d.Name()
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), messages) {
				t.Errorf("%s, %s has a URL of messages", when, name)
			}
			if name == "admin.json" || name == "state.db" {
				return nil // where the admin token and stored secrets belong
			}
			text, err := os.ReadFile(path)
			if err == nil {
				clean(when+", "+name, string(text))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	look("while serving")
	clean("the log", s.log.String())
	s.stop()
	look("after the stop")
	if _, err := os.Stat(filepath.Join(s.Dir, "admin.json")); err == nil {
		t.Error("admin.json is still there after the stop")
	}
	// What the environment declares is not stored at all.
	state, err := os.ReadFile(filepath.Join(s.Dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"the current secret": e2eSecret, "the previous secret": e2eOld, "the access token": token} {
		if strings.Contains(string(state), secret) {
			t.Errorf("state.db has %s of the environment", what)
		}
	}
}

// The sqlite export is a sound copy that was taken while deliveries came in.
func TestSQLiteExportIsASoundCopyOfARunningCatalogue(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := keepPosting(ctx, s, 4)
	db := openCatalogue(t, s.Dir)
	await(t, "some products", func() bool { return count(t, db, `SELECT count(*) FROM products`) > 20 })
	file := filepath.Join(t.TempDir(), "copy.db")
	s.cli("products", "export", "--format", "sqlite", file)
	cancel()
	if answers := wait(); len(answers) != 1 {
		t.Errorf("answers during the export: %v", answers)
	}
	copied, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	var verdict string
	if err := copied.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %s, %v", verdict, err)
	}
	if n := count(t, copied, `SELECT count(*) FROM products p WHERE (SELECT count(*) FROM variants v WHERE v.product_id = p.id) = 3`); n <= 20 {
		t.Errorf("the copy has %d whole products", n)
	}
	s.stop()
}
