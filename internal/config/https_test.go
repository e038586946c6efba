package config_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"stockroom/internal/config"
)

func TestAHostNameIsTakenAsPeopleWriteIt(t *testing.T) {
	for typed, want := range map[string]string{
		"shop.example.com": "shop.example.com", "https://Shop.Example.com/": "shop.example.com",
		"shop.example.com.": "shop.example.com", "bücher.example": "xn--bcher-kva.example",
	} {
		s := mustLoad(t, sources(map[string]string{"https": typed}, nil, nil))
		if s.HTTPS != want || s.PublicURL != "https://"+want || s.Origin("public-url") != "flag --https" || s.Pull() {
			t.Errorf("%s: %q, public URL %q from %s", typed, s.HTTPS, s.PublicURL, s.Origin("public-url"))
		}
	}
	for typed, want := range map[string]string{
		"192.0.2.7": "is an address", "[2001:db8::1]": "is an address", "*.example.com": "stands for many names",
		"shop.example.com:8443": "has a port in it", "http://shop.example.com": "has a port in it",
		"localhost":        "is not a public host name",
		"shop example.com": "is not a public host name", "shop.example.com/hooks": "is not a public host name",
		"-a.b": "is not a public host name",
	} {
		_, err := config.Load(sources(map[string]string{"https": typed}, nil, nil))
		if err == nil || !strings.HasPrefix(err.Error(), "--https: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", typed, err, want)
		}
	}
}

func TestWhatDoesNotGoWithHTTPSIsSaid(t *testing.T) {
	own := fstest.MapFS{"etc/s.toml": file("listen = \"127.0.0.1:8080\"\n", 0o600)}
	for _, tt := range []struct {
		flags map[string]string
		want  string // "" for nothing
	}{
		{map[string]string{"https": "a.test", "public-url": "https://a.test"}, ""},
		{map[string]string{"https": "a.test", "public-url": "https://a.test:8443"},
			""}, // a router may have that port
		{map[string]string{"https": "a.test", "https-admin": "b.test"}, ""},
		{map[string]string{"https": "a.test", "public-url": "https://b.test"},
			"--public-url: Shopify would deliver to https://b.test, and --https serves https://a.test; take this out"},
		{map[string]string{"https": "a.test", "public-url": "http://a.test"},
			"--public-url: Shopify would deliver to http://a.test, and"},
		{map[string]string{"https": "a.test", "config": "/etc/s.toml"},
			"/etc/s.toml: listen: --https serves the same on port 443, so this has no meaning beside it; take one of them out"},
		{map[string]string{"https-admin": "a.test"},
			"--https-admin: the status page gets a public name only beside one for webhooks: set --https too"},
		{map[string]string{"https": "a.test", "https-admin": "a.test"}, "--https-admin: it is the name of --https"},
		{map[string]string{"acme-directory": "http://ca.test/d"},
			"--acme-directory: it must begin with https:// unless it is on this machine"},
	} {
		_, err := config.Load(sources(tt.flags, nil, own))
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.flags, err, tt.want)
		}
	}
	_, err := parser(t, config.Flags{}).Parse([]string{"--https", "a.test", "--listen", ":8080"})
	if err == nil || !strings.Contains(err.Error(), "can't be used together") {
		t.Errorf("both flags: %v", err)
	}
}

func TestAPublicStatusPageNeedsAPassword(t *testing.T) {
	flags := map[string]string{"https": "a.test", "https-admin": "b.test"}
	s := mustLoad(t, sources(flags, nil, nil))
	const want = "https-admin: https://b.test can be reached from other machines, which needs a password: " +
		"set one with stockroom password set or --admin-password-file, or leave it out"
	if err := s.CheckServe(false); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if err := s.CheckServe(true); err != nil {
		t.Error(err)
	}
	delete(flags, "https-admin")
	if s := mustLoad(t, sources(flags, nil, nil)); s.CheckServe(false) != nil || s.SharedListener() {
		t.Error("--https alone needs no password, and shares nothing")
	}
}
