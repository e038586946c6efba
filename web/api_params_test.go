package web

import (
	"strings"
	"testing"
)

func TestASlipInAParametersNameIsRefusedAndChangesNothing(t *testing.T) {
	r := newRig(t, nil)
	r.deadJob(`{"id":1}`)
	for _, tt := range []struct{ method, path, says string }{
		{"POST", "/api/v1/jobs-discard?upto=0", `no parameter "upto". This path takes shop, topic, kind, state, up_to.`},
		{"POST", "/api/v1/jobs-discard?up_to=0&up_to=99", `Give the parameter "up_to" once.`},
		{"POST", "/api/v1/jobs-retry?Shop=none.myshopify.com", `no parameter "Shop"`},
		{"POST", "/api/v1/jobs-discard?up_to=1;shop=x", "not escaped rightly"},
		{"GET", "/api/v1/products?state=ACTIVE", "takes shop, q, status, vendor, type, brief, after, limit."},
		{"GET", "/api/v1/status?x", `no parameter "x". This path takes none.`},
		{"HEAD", "/api/v1/changes?since=7", ""},
		{"GET", "/api/v1/status?" + strings.Repeat("y", 4000), "yyy..."},
		{"GET", "/api/v1/jobs?order=up", "order is oldest or newest."},
		{"GET", "/api/v1/jobs?data=1x", "data is true or false."},
		{"GET", "/api/v1/changes?after=-1", "after is the seq of the newest change that you have."},
	} {
		w := serve(r.Admin(), request(tt.method, tt.path, "", "Authorization", "Bearer "+testToken))
		if w.Code != 400 || w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(strings.ReplaceAll(w.Body.String(), `\"`, `"`), tt.says) || w.Body.Len() > 400 {
			t.Errorf("%s %.60s: %d %s", tt.method, tt.path, w.Code, w.Body)
		}
	}
	if dead := r.queue.Stats().Dead; dead != 1 {
		t.Errorf("%d dead letters are left of one", dead)
	}
}

// What the description says of a path's parameters holds for its handler.
func TestEveryOperationOfTheDescriptionIsARoute(t *testing.T) {
	r := newRig(t, nil)
	routes := map[string]bool{}
	for _, line := range r.adminRoutes() {
		routes[operationKey(line)] = true
	}
	known := queryNames()
	for key := range known {
		if !routes[key] {
			t.Errorf("%s is described and not served", key)
		}
	}
	for key := range routes {
		if _, described := known[key]; !described && strings.Contains(key, apiRoot) {
			t.Errorf("%s is served and not described, so its parameters are not checked", key)
		}
	}
}
