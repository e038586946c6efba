package config_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"stockroom/internal/config"
)

func TestAShopIsDeclaredByEnvironmentAlone(t *testing.T) {
	s := mustLoad(t, sources(nil, []string{
		"SHOPIFY_SHOP=My-Shop.myshopify.com", "SHOPIFY_API_KEY= key ", "SHOPIFY_API_SECRET=" + hidden, "SHOPIFY_API_SECRET_PREVIOUS=old-" + hidden,
		"SHOPIFY_ACCESS_TOKEN=token-" + hidden, "SHOPIFY_NOTIFICATION_SECRET=store-" + hidden, "SHOPIFY_MERCHANT_ID=m-1",
	}, nil))
	e := s.Shop
	if !e.Declared() || e.Domain != "my-shop.myshopify.com" || e.MerchantID != "m-1" || e.APIKey != "key" || e.APISecret.Reveal() != hidden ||
		e.APISecretPrevious.Reveal() != "old-"+hidden || e.AccessToken.Reveal() != "token-"+hidden || e.NotificationSecret.Reveal() != "store-"+hidden {
		t.Errorf("got %+v", e)
	}
	js, err := json.Marshal(s.Describe())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(js), fmt.Sprintf("%+v %#v", s, s)} {
		if strings.Contains(text, hidden) {
			t.Errorf("shows a secret: %s", text)
		}
	}
	if !strings.Contains(string(js), `"value":"[redacted]","origin":"environment SHOPIFY_API_SECRET"`) {
		t.Errorf("does not say where the secret came from: %s", js)
	}
}

func TestSecretsComeFromFilesToo(t *testing.T) {
	files := fstest.MapFS{
		"run/secret": file(hidden+"\r\n\n", 0o440), "run/old": file("old-"+hidden, 0o600), "run/token": file("token-"+hidden+"\n", 0o400),
		"creds/stored": file("store-"+hidden+"\n", 0o400),
	}
	s := mustLoad(t, sources(nil, []string{
		"SHOPIFY_SHOP=a.myshopify.com", "SHOPIFY_API_SECRET_FILE=/run/secret", "SHOPIFY_API_SECRET_PREVIOUS_FILE=/run/old",
		"SHOPIFY_ACCESS_TOKEN_FILE=/run/token", "CREDENTIALS_DIRECTORY=/creds", "SHOPIFY_NOTIFICATION_SECRET_FILE=stored",
	}, files))
	e := s.Shop
	if e.APISecret.Reveal() != hidden || e.APISecretPrevious.Reveal() != "old-"+hidden || e.AccessToken.Reveal() != "token-"+hidden || e.NotificationSecret.Reveal() != "store-"+hidden {
		t.Error("a secret was not read as written")
	}
	if got := s.Origin("SHOPIFY_NOTIFICATION_SECRET"); got != "file /creds/stored" {
		t.Errorf("origin %q", got)
	}
}

func TestAPlainNameOutsideTheCredentialsDirectoryIsRelative(t *testing.T) {
	files := fstest.MapFS{"etc/s.toml": file(`admin-password-file = "pw"`, 0o644), "etc/pw": file("correct horse", 0o600), "creds/other": file("x", 0o600)}
	s := mustLoad(t, sources(map[string]string{"config": "/etc/s.toml"}, []string{"CREDENTIALS_DIRECTORY=/creds"}, files))
	if err := s.CheckServe(false); err != nil || s.AdminPassword.Reveal() != "correct horse" {
		t.Errorf("the password beside the settings file was not read: %v", err)
	}
}

func TestASigningSecretIsReadFromItsFile(t *testing.T) {
	files := fstest.MapFS{"etc/s.toml": file(`signing-secret-file = "key"`, 0o644), "etc/key": file(hidden+"\n", 0o600)}
	for name, src := range map[string]config.Sources{
		"flag": sources(map[string]string{"signing-secret-file": "/etc/key"}, nil, files), "variable": sources(nil, []string{"STOCKROOM_SIGNING_SECRET_FILE=/etc/key"}, files),
		"settings file": sources(map[string]string{"config": "/etc/s.toml"}, nil, files), "the secret itself": sources(nil, []string{"STOCKROOM_SIGNING_SECRET=" + hidden}, nil),
	} {
		s := mustLoad(t, src)
		if err := s.CheckServe(false); err != nil || s.SigningSecret.Reveal() != hidden || strings.Contains(fmt.Sprintf("%+v %#v %v", s, s, s.Describe()), hidden) {
			t.Errorf("%s: it was not read, or is shown: %v", name, err)
		}
	}
}

func TestWrongShopsAreNamedWithWhatToDo(t *testing.T) {
	files := fstest.MapFS{
		"open": file(hidden, 0o644), "writable": file(hidden, 0o602), "empty": file("\n", 0o600), "large": file(strings.Repeat("x", 1<<17), 0o600), "spaced": file(hidden+" "+hidden, 0o600), "dir": &fstest.MapFile{Mode: fs.ModeDir | 0o700},
	}
	shop := func(more ...string) []string {
		return append([]string{"SHOPIFY_SHOP=a.myshopify.com", "SHOPIFY_API_KEY=k"}, more...)
	}
	tests := []struct {
		claim string
		env   []string
		want  string
	}{
		{"a bare name is completed", []string{"SHOPIFY_SHOP=my-shop", "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=s"}, "write my-shop.myshopify.com"},
		{"an address is reduced", []string{"SHOPIFY_SHOP=https://my-shop.myshopify.com/", "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=s"}, "write my-shop.myshopify.com"},
		{"another domain is refused", []string{"SHOPIFY_SHOP=shop.example.com", "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=s"}, "myshopify.com domain"},
		{"a look-alike domain is refused", []string{"SHOPIFY_SHOP=a.myshopify.com.evil.test", "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=s"}, "not a shop's domain"},
		{"a secret is needed", shop(), "SHOPIFY_API_SECRET: not set"},
		{"a key or a token is needed", []string{"SHOPIFY_SHOP=a.myshopify.com", "SHOPIFY_API_SECRET=s"}, "SHOPIFY_API_KEY: not set"},
		{"a world-readable file is refused", shop("SHOPIFY_API_SECRET_FILE=/open"), "chmod o-rwx /open"},
		{"a world-writable file is refused", shop("SHOPIFY_API_SECRET_FILE=/writable"), "chmod o-rwx /writable"},
		{"an empty file is refused", shop("SHOPIFY_API_SECRET_FILE=/empty"), "is empty"},
		{"a large file is refused", shop("SHOPIFY_API_SECRET_FILE=/large"), "64KiB"},
		{"a missing file is refused", shop("SHOPIFY_API_SECRET_FILE=/none"), "can't open"},
		{"a folder is refused", shop("SHOPIFY_API_SECRET_FILE=/dir"), "folder"},
		{"both places are refused", shop("SHOPIFY_API_SECRET_FILE=/open", "SHOPIFY_API_SECRET="+hidden), "set as well"},
		{"a blank inside is refused", shop("SHOPIFY_API_SECRET_FILE=/spaced"), "SHOPIFY_API_SECRET: it has a space"},
		{"a misspelt variable is refused", shop("SHOPIFY_API_SECRET=s", "SHOPIFY_ACESS_TOKEN="+hidden), "did you mean SHOPIFY_ACCESS_TOKEN?"},
	}
	for _, tt := range tests {
		t.Run(tt.claim, func(t *testing.T) {
			_, err := config.Load(sources(nil, tt.env, files))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("%q repeats a secret", err)
			}
		})
	}
}

func TestShopVariablesWithoutAShopAreIgnoredAndSaidSo(t *testing.T) {
	s := mustLoad(t, sources(nil, []string{"SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET=" + hidden}, nil))
	if s.Shop != (config.EnvShop{}) || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "SHOPIFY_API_KEY, SHOPIFY_API_SECRET") {
		t.Errorf("got %+v, %q", s.Shop, s.Warnings)
	}
}

func TestSecretFilesAreReadFromTheDiskByDefault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "it's a secret")
	if err := os.WriteFile(path, []byte(hidden+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"SHOPIFY_SHOP=a.myshopify.com", "SHOPIFY_API_KEY=k", "SHOPIFY_API_SECRET_FILE=" + path}
	if got := mustLoad(t, config.Sources{Environ: env}).Shop.APISecret.Reveal(); got != hidden {
		t.Errorf("got %q", got)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(config.Sources{Environ: env})
	if err == nil || !strings.Contains(err.Error(), "(mode 0644)") || !strings.Contains(err.Error(), `it'\''s a secret'`) {
		t.Errorf("got %v", err)
	}
}
