package web

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// everythingKept is a digest of all that is kept: every row of products.db, the
// bytes of queue.db and state.db, the shops.
func (a *accountRig) everythingKept() map[string]string {
	a.t.Helper()
	kept := map[string]string{}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(a.opt.DataDir, "products.db")+"?mode=ro")
	if err != nil {
		a.t.Fatal(err)
	}
	defer db.Close()
	var tables []string
	rows, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'`)
	if err != nil {
		a.t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			a.t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(tables) < 5 {
		a.t.Fatalf("tables %v, %v", tables, err)
	}
	for _, table := range tables {
		kept["table "+table] = digestOf(a.t, db, table)
	}
	for name, path := range map[string]string{"state.db": a.path, "queue.db": filepath.Join(a.opt.DataDir, "queue.db")} {
		content, err := os.ReadFile(path)
		if err != nil {
			a.t.Fatal(err)
		}
		kept[name] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	kept["shops"] = fmt.Sprintf("%v %v", a.shops.list, a.shops.added)
	kept["password"] = a.account.Mark()
	return kept
}

func digestOf(t testing.TB, db *sql.DB, table string) string {
	t.Helper()
	rows, err := db.Query(`SELECT * FROM "` + table + `"`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%v\n", row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestNoSafeMethodChangesAnything(t *testing.T) {
	a := newAccountRig(t, testPassword, nil)
	a.product(1, "Shirt", "")
	a.deadJob(`{"id":1}`)
	a.waitingJob(`{"id":1}`)
	cookie := a.login(testPassword)
	link, _ := a.setupLink()
	before := a.everythingKept()
	paths := []string{link, "/api/v1/products-export?format=csv", "/?said=retried", "/jobs/1/discard", "/api/v1/jobs/1/discard", "/api/v1/jobs-discard", "/login?link=x", "/logout", "/account/sessions-end", "/account/password"}
	for _, line := range a.adminRoutes() {
		paths = append(paths, exampleOf(line.path))
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			for _, by := range [][]string{{"Authorization", "Bearer " + testToken}, {"Cookie", plainCookie + "=" + cookie, "Accept", "text/html"}} {
				// What is followed live ends with its context.
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				r := request(method, path, "", by...)
				w := serve(a.admin, r.WithContext(ctx))
				cancel()
				if w.Code == http.StatusUnauthorized {
					t.Errorf("%s %s: %d", method, path, w.Code)
				}
			}
		}
		after := a.everythingKept()
		for name, was := range before {
			if after[name] != was {
				t.Fatalf("GET %s changed %s", path, name)
			}
		}
	}
	if !a.welcome(cookie) {
		t.Error("a safe method ended the session")
	}
	// The one exception: a link to the status page is used up by a GET, and by nothing
	// that only looks ahead.
	entry, _ := a.NewLoginLink()
	a.browse("HEAD", entry, "")
	a.browse("OPTIONS", entry, "")
	for _, header := range [][]string{{"Sec-Purpose", "prefetch;prerender"}, {"Sec-Purpose", "prefetch"}, {"Purpose", "prefetch"}, {"X-Purpose", "preview"}, {"X-Moz", "prefetch"}} {
		if w := a.browse("GET", entry, "", header...); w.Code != 503 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("a link that is looked at ahead with %v: %d", header, w.Code)
		}
	}
	if w := a.browse("GET", entry, ""); w.Code != 303 || w.Header().Get("Set-Cookie") == "" {
		t.Errorf("looking ahead used the link up: %d", w.Code)
	}
	if w := a.browse("GET", link, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "new-password") {
		t.Error("looking at the link for setting the password used it up")
	}
}
