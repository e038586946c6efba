package appliance

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/config"
)

func TestALinkOpensThePageOfTheWholeAppliance(t *testing.T) {
	s, err := config.Load(config.Sources{Flags: map[string]string{"data": filepath.Join(t.TempDir(), "data")}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), Options{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if a.HasPassword() {
		t.Fatal("a password from the start")
	}
	srv := httptest.NewServer(a.Admin())
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	get := func(address string) (int, string) {
		t.Helper()
		res, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	if code, _ := get(srv.URL + "/"); code != http.StatusUnauthorized {
		t.Errorf("without the link: %d", code)
	}
	link, until := a.NewLoginLink(srv.URL)
	if !strings.HasPrefix(link, srv.URL+"/login?link=") || time.Until(until) > 30*time.Minute {
		t.Fatalf("link %s until %s", link, until)
	}
	if code, body := get(link); code != http.StatusOK || !strings.Contains(body, "Log out") {
		t.Errorf("%d %s", code, body)
	}
	client.Jar = nil
	if code, _ := get(link); code != http.StatusForbidden {
		t.Errorf("the link a second time: %d", code)
	}
}
