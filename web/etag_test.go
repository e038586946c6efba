package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stockroom/store"
)

func TestWhatTheClientHasIsNotSentAgain(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", "")
	get := func(method, path, have string) (int, string, string) {
		w := serve(r.Admin(), request(method, path, "", "If-None-Match", have))
		return w.Code, w.Header().Get("ETag"), w.Body.String()
	}
	for _, path := range []string{"/api/v1/products", "/api/v1/products/" + testShop + "/1", "/api/v1/deliveries", "/api/v1/jobs", "/api/v1/shops", "/api/v1/syncs"} {
		code, tag, body := get("GET", path, "")
		if code != 200 || !strings.HasPrefix(tag, `W/"`) || body == "" {
			t.Fatalf("%s: %d, tag %q", path, code, tag)
		}
		for _, have := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
			if code, again, body := get("GET", path, have); code != 304 || again != tag || body != "" {
				t.Errorf("%s with %s: %d, tag %q, %q", path, have, code, again, body)
			}
		}
		for _, have := range []string{`"x"`, "", strings.TrimSuffix(tag, `"`), `W/""`} {
			if code, _, _ := get("GET", path, have); code != 200 {
				t.Errorf("%s with %s: %d", path, have, code)
			}
		}
		if code, again, _ := get("HEAD", path, ""); code != 200 || again != tag {
			t.Errorf("HEAD %s: %d, tag %q, want %q", path, code, again, tag)
		}
	}
	_, before, _ := get("GET", "/api/v1/products", "")
	r.product(2, "Trousers", "")
	if code, after, _ := get("GET", "/api/v1/products", before); code != 200 || after == before {
		t.Errorf("after a change: %d, tag %q", code, after)
	}
	// Errors, exports and answers of actions have no tag.
	for _, path := range []string{"/api/v1/products?limit=x", "/api/v1/products-export", "/api/v1/changes", "/healthz"} {
		if _, tag, _ := get("GET", path, ""); tag != "" {
			t.Errorf("%s has the tag %q", path, tag)
		}
	}
	w := serve(r.Admin(), request("POST", "/api/v1/jobs-retry", "", "Authorization", "Bearer "+testToken, "If-None-Match", "*"))
	if w.Code != 200 || w.Header().Get("ETag") != "" {
		t.Errorf("an action: %d, tag %q", w.Code, w.Header().Get("ETag"))
	}
}

// TestListsOfTheAPIStandStillWhileRowsCome walks every list by its cursors while
// new rows are written between the pages: those that were there come once each.
// everything is a page's limit, to be replaced by the largest.
var everything = regexp.MustCompile(`limit=[0-9]+`)

func TestListsOfTheAPIStandStillWhileRowsCome(t *testing.T) {
	r, f := newSyncRig(t, nil)
	n := int64(0)
	add := func() {
		n++
		r.product(n, fmt.Sprint("Shirt ", n), "")
		r.deadJob("{}")
		r.waitingJob("{}")
		run, err := r.store.StartRun(t.Context(), store.SyncRun{Shop: testShop, Kind: store.RunFull, Trigger: "test", State: store.RunDone})
		if err != nil {
			t.Fatal(err)
		}
		f.status.ProvenIDs = f.status.ProvenIDs.AddDate(0, 0, int(run.ID))
	}
	for range 11 {
		add()
	}
	for _, path := range []string{
		"/api/v1/products?limit=3", "/api/v1/products?limit=3&shop=" + testShop, "/api/v1/products?limit=2&q=shirt", "/api/v1/deliveries?limit=3",
		"/api/v1/deliveries?limit=3&outcome=applied", "/api/v1/jobs?limit=3", "/api/v1/jobs?limit=3&order=newest", "/api/v1/jobs?limit=3&state=dead&topic=products/update&shop=" + testShop,
		"/api/v1/syncs?limit=3",
	} {
		all := r.ids(everything.ReplaceAllString(path, "limit=1000"), nil)
		got := r.ids(path, add)
		kept := slices.DeleteFunc(slices.Clone(got), func(id string) bool { return !slices.Contains(all, id) })
		if !slices.Equal(kept, all) {
			t.Errorf("%s: %v, want %v", path, kept, all)
		}
		slices.Sort(got)
		if len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%s: a row came twice: %v", path, got)
		}
	}
}

// ids walks a list to its end and returns the ids; between is called between two
// pages.
func (r *rig) ids(path string, between func()) (ids []string) {
	r.t.Helper()
	after := ""
	for range 100 {
		page := decode[map[string]json.RawMessage](r.t, r.admin(http.StatusOK, "GET", path+after, ""))
		for name, rows := range page {
			if name == "next" || name == "prev" {
				continue
			}
			for _, row := range decode[[]struct {
				ID any `json:"id"`
			}](r.t, string(rows)) {
				ids = append(ids, fmt.Sprint(row.ID))
			}
		}
		next := decode[*string](r.t, string(page["next"]))
		if next == nil {
			return ids
		}
		after = "&after=" + url.QueryEscape(*next)
		if between != nil && len(ids) < 20 {
			between()
		}
	}
	r.t.Fatalf("%s has no end", path)
	return nil
}
