package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// TestTabProposesWhatFits: words are as a shell hands them over, the last one is
// completed; proposals are the words alone.
func TestTabProposesWhatFits(t *testing.T) {
	for _, c := range []struct {
		words, want string
		not         string // words that are not proposed
	}{
		{"qu", "queue", ""},
		{"", "init serve shop help", "complete --data"},
		{"queue ", "list show retry discard", "--data"},
		{"queue list ", "--help --config --data --json --state --shop --kind --limit", "--listen --version"},
		{"serve --", "--listen --retry-attempts --limit-adaptive --no-limit-adaptive --log-in-data", "--version"},
		{"doctor --json --", "--acknowledge --data", "--json"},
		{"select --rule x --", "--rule", ""},
		{"--v", "--version", ""},
		{"shop ls --", "--json", "--public-url"},
		{"sync --l", "--limit-points --limit-window --limit-adaptive", "--listen"},
		{"products export --format ", "ndjson csv json sqlite", "--json"},
		{"products export --format=c", "--format=csv", "--format=json"},
		{"queue list --state = ", "waiting leased dead", ""}, // as bash takes it apart
		{"queue list --state = d", "dead", "leased"},
		{"queue list --state =", "waiting leased dead", ""},
		{"serve --listen 127.0.0.1 : 80 --log-format j", "json", ""},
		{"serve --webhooks ", "auto off", "or"},
		{"webhooks test --topic products/", "products/create products/update products/delete", "app/uninstalled"},
		{"products list --search x -q y --status ", "ACTIVE INACTIVE", ""},
		{"completion ", "bash zsh fish", ""},
		{"help ", "queue settings", ""},
		{"help queue r", "retry", "list"},
		{"backup ", ":files", "--force"},
		{"password set --file ", ":files", ""},
		{"webhooks test --body=pro", ":files", ""},
		{"serve --config=", ":files", ""},
		{"serve --data ", ":folders", ""},
		{"nothing ", "", "serve"},
		{"version x ", "", "init"},
	} {
		code, out, errs := said(t, append([]string{"complete", "--"}, strings.Split(c.words, " ")...)...)
		got := proposed(out)
		if code != 0 || errs != "" {
			t.Errorf("%q: %d %s", c.words, code, errs)
		}
		for _, word := range strings.Fields(c.want) {
			if !got[word] {
				t.Errorf("%q does not propose %s:\n%s", c.words, word, out)
			}
		}
		for _, word := range strings.Fields(c.not) {
			if got[word] {
				t.Errorf("%q proposes %s:\n%s", c.words, word, out)
			}
		}
	}
	if _, out, _ := said(t, "complete"); !strings.Contains(out, "queue\tLook at waiting jobs and dead letters, retry or discard them\n") {
		t.Errorf("without words:\n%s", out)
	}
}

func proposed(out string) map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		words[word] = true
	}
	return words
}

func TestTabProposesTheShopsAndProductsThatAreStored(t *testing.T) {
	const shop, other = "linen.myshopify.com", "wool.myshopify.com"
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Path: filepath.Join(dir, "products.db")})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{shop, other} {
		if err := st.PutShop(t.Context(), store.Shop{Shop: name}); err != nil {
			t.Fatal(err)
		}
	}
	shirt := &catalog.Product{ID: 4711, Title: catalog.Of("Linen\tshirt"), UpdatedAt: catalog.Of[int64](1000), Coverage: catalog.Complete}
	read := store.Read{Shop: shop, Source: "fetch", Started: time.Now()}
	if _, err := st.PutFetched(t.Context(), read, shirt); err != nil {
		t.Fatal(err)
	}
	tab := func(line string) string {
		t.Helper()
		code, out, errs := said(t, append([]string{"complete", "--", "--data", dir}, strings.Split(line, " ")...)...)
		if code != 0 || errs != "" {
			t.Errorf("%s: %d %s", line, code, errs)
		}
		return out
	}
	for _, state := range []string{"while it is open", "closed"} {
		if got, want := tab("sync "), shop+"\tactive\n"+other+"\tactive\n"; got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
		if got, want := tab("queue list --shop=l"), "--shop="+shop+"\tactive\n"; got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
		if got, want := tab("products get "+shop+" 47"), "4711\tLinen\uFFFDshirt\n"; got != want {
			t.Errorf("%s: %q, want %q", state, got, want)
		}
		if got := tab("explain "+other+" ") + tab("explain "+shop+" 12"); got != "" {
			t.Errorf("%s: %q of another", state, got)
		}
		if state != "closed" {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, hostile := range []string{"products get x'--.myshopify.com ", "products get " + shop + " 1'", "products get " + shop + " %"} {
		if got := tab(hostile); got != "" {
			t.Errorf("%s: %q", hostile, got)
		}
	}
}
