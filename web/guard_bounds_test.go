package web

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"stockroom/internal/status"
)

// askedShops counts how often the list of shops is asked for, whose length no
// stranger's request may cost.
type askedShops struct {
	Shops
	times int
}

func (s *askedShops) List(ctx context.Context) ([]status.Connection, error) {
	s.times++
	return s.Shops.List(ctx)
}

func TestWhatAStrangerCausesIsBoundedByTheRequest(t *testing.T) {
	const (
		mostAnswer = 16 << 10  // bytes of an answer that is made for the request
		mostMemory = 256 << 10 // bytes taken for one request, with a form of 16 KiB or a header of 32
	)
	asked := new(askedShops)
	a := newAccountRig(t, testPassword, func(o *Options) {
		asked.Shops, o.Shops = o.Shops, asked
	})
	longest := strings.Repeat("x", maxStranger-100)
	form := func(name, value string) string { return url.Values{name: {value}}.Encode() }
	tries := map[string]*struct {
		method, target, body string
		header               []string
		code                 int
	}{
		"the login page":             {"GET", "/login?next=/products", "", []string{"Accept", "text/html"}, 200},
		"a page":                     {"GET", "/products?q=" + longest, "", []string{"Accept", "text/html"}, 303},
		"a wrong link":               {"GET", "/login?link=" + longest, "", []string{"Accept", "text/html"}, 403},
		"a wrong link for setting":   {"GET", "/setup?token=" + longest, "", []string{"Accept", "text/html"}, 403},
		"a form for setting":         {"POST", "/setup", form("token", longest), []string{"Accept", "text/html"}, 403},
		"an endless form":            {"POST", "/setup", form("token", longest+longest), []string{"Accept", "text/html"}, 413},
		"an endless password":        {"POST", "/login", form("password", longest+longest), nil, 413},
		"the API":                    {"GET", "/api/v1/status", "", nil, 401},
		"a body for the API":         {"POST", "/api/v1/jobs-retry", longest + longest, nil, 401},
		"a sample":                   {"POST", samplePath, longest + longest, nil, 401},
		"a wrong token":              {"GET", "/api/v1/status", "", []string{"Authorization", "Bearer " + longest}, 401},
		"many cookies":               {"GET", "/", "", []string{"Accept", "text/html", "Cookie", strings.Repeat(plainCookie+"=x; ", 1000)}, 303},
		"another host":               {"GET", "/", "", []string{"Accept", "text/html", "Host", "evil.example"}, 421},
		"readiness":                  {"GET", "/readyz", "", nil, 200},
		"health":                     {"GET", "/healthz", "", nil, 200},
		"an asset that is not there": {"GET", "/assets/" + longest, "", nil, 404},
	}
	before := a.everythingKept()
	asked.times = 0
	for name, try := range tries {
		header := append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, try.header...)
		const times = 20
		var first, last runtime.MemStats
		var requests [times]*http.Request
		for i := range requests {
			requests[i] = request(try.method, try.target, try.body, header...)
		}
		longestAnswer := 0
		runtime.ReadMemStats(&first)
		for _, r := range requests {
			w := serve(a.admin, r)
			if longestAnswer = max(longestAnswer, w.Body.Len()+len(w.Header().Get("Location"))); w.Code != try.code {
				t.Fatalf("%s: %d, want %d: %.300s", name, w.Code, try.code, w.Body)
			}
		}
		runtime.ReadMemStats(&last)
		took := int(last.TotalAlloc-first.TotalAlloc) / times
		t.Logf("%s: %d bytes of memory, %d of answer", name, took, longestAnswer)
		if took > mostMemory || longestAnswer > mostAnswer {
			t.Errorf("%s: %d bytes of memory, %d of answer", name, took, longestAnswer)
		}
	}
	if w := serve(a.Public(hooks()), request("GET", "/readyz", "")); w.Code != 200 {
		t.Errorf("the public readiness: %d", w.Code)
	}
	if asked.times != 0 {
		t.Errorf("the shops were asked for %d times", asked.times)
	}
	for name, is := range a.everythingKept() {
		if before[name] != is {
			t.Errorf("a stranger changed %s", name)
		}
	}
}
