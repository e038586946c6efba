package browsertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stockroom/internal/fakeshopify"
)

// The journeys: each person of the README starts in a fresh copy of the project
// and does what it says, block by block, exactly as written. Only what a person
// fills in is filled in: the shop's name, the client id, the public address, and
// ports that are free on this machine.

// block is one fenced block of a document that is run.
type block struct {
	who   string // whose journey it belongs to
	stays bool   // it runs until Ctrl-C
	text  string
}

var fence = regexp.MustCompile("^( *)```(.*)$")

// blocksOf returns the blocks of a document that are marked run.
func blocksOf(t *testing.T, file string) []block {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	var open *block
	inside, indent := false, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && inside:
			if open != nil {
				found = append(found, *open)
			}
			inside, open = false, nil
		case m != nil:
			inside, indent = true, m[1]
			if words := strings.Fields(m[2]); len(words) > 2 && words[1] == "run" {
				open = &block{who: words[2], stays: slices.Contains(words[3:], "stays")}
			}
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return found
}

// journey is one person's way.
type journey struct {
	t       *testing.T
	dir     string            // a fresh copy of the project
	fill    map[string]string // what the person fills in
	env     []string
	staying []*exec.Cmd
	output  output // of what stays
}

// output is what the programs that stay have written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// begin copies the project as a clone would bring it.
func begin(t *testing.T) *journey {
	t.Helper()
	for _, program := range []string{"make", "sh"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the README needs %s", program)
		}
	}
	j := &journey{t: t, dir: filepath.Join(t.TempDir(), "stockroom"), fill: map[string]string{}}
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "bin" || name == "dist" || strings.HasSuffix(name, "stockroom-data") {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(j.dir, name), 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(j.dir, name), text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	public, admin, simulated := freeAddress(t), freeAddress(t), freeAddress(t)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SHOPIFY_") && !strings.HasPrefix(v, "STOCKROOM_") {
			j.env = append(j.env, v)
		}
	}
	j.env = append(j.env, "STOCKROOM_LISTEN="+public, "STOCKROOM_ADMIN_LISTEN="+admin)
	j.fill["127.0.0.1:8080"], j.fill["127.0.0.1:8081"], j.fill["127.0.0.1:8090"] = public, admin, simulated
	j.fill["stockroom simulate"] = "stockroom simulate --address " + simulated
	t.Cleanup(func() {
		j.stop()
		if t.Failed() {
			lines := slices.DeleteFunc(strings.Split(j.output.String(), "\n"), func(line string) bool { return strings.Contains(line, `"webhook"`) })
			t.Logf("what the programs wrote at last:\n%s", strings.Join(lines[max(0, len(lines)-30):], "\n"))
		}
	})
	return j
}

// shop is the real shop of a journey: a simulated one behind --api-base.
func (j *journey) shop() *fakeshopify.Shop {
	j.t.Helper()
	shop := fakeshopify.New(fakeshopify.Options{
		Shop: shopName, Seed: 7, Products: 12, Large: -1, Huge: -1, AllowHTTP: true, Topics: []string{}, ClientID: "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
		Secret: "shpss_5111a7ed0000000000000000000000aa",
	})
	api := httptest.NewServer(shop.Handler())
	j.t.Cleanup(api.Close)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- shop.Run(ctx, 0) }()
	j.t.Cleanup(func() { stop(); <-done })
	j.env = append(j.env, "STOCKROOM_API_BASE="+api.URL)
	j.fill["NAME.myshopify.com"], j.fill["CLIENT_ID"] = shopName, "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	j.fill["https://YOUR-HOST"] = "http://" + j.fill["127.0.0.1:8080"]
	return shop
}

// filled is a text with what the person fills in.
func (j *journey) filled(text string) string {
	for from, to := range j.fill {
		text = strings.ReplaceAll(text, from, to)
	}
	return text
}

func (j *journey) command(b block) *exec.Cmd {
	cmd := exec.Command("sh", "-ec", j.filled(b.text))
	cmd.Dir, cmd.Env = j.dir, j.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run does what a block says and returns what it wrote. answer is typed when
// something is asked for: the client secret, or whether to go on.
func (j *journey) run(b block, answer string) string {
	j.t.Helper()
	cmd := j.command(b)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if answer != "" {
		screen, tty := terminal(j.t)
		cmd.Stdin = tty
		asked := regexp.MustCompile(`Client secret|Go on\?`)
		go func() {
			await(j.t, "an answer is asked for", func() bool { return asked.MatchString(out.String()) })
			_, _ = screen.WriteString(answer + "\n")
		}()
	}
	j.t.Logf("$ %s", strings.TrimSpace(j.filled(b.text)))
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	ended := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer ended.Stop()
	if err := cmd.Wait(); err != nil {
		j.t.Fatalf("%v:\n%s", err, &out)
	}
	j.t.Logf("%s", &out)
	return out.String()
}

// stay starts a block that runs until Ctrl-C and waits for its first words.
func (j *journey) stay(b block, until string) {
	j.t.Helper()
	j.t.Logf("$ %s", strings.TrimSpace(j.filled(b.text)))
	cmd := j.command(b)
	before := len(j.output.String())
	cmd.Stdout, cmd.Stderr = &j.output, &j.output
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	j.staying = append(j.staying, cmd)
	await(j.t, until, func() bool { return strings.Contains(j.output.String()[before:], until) })
}

// stop sends Ctrl-C to the last n programs that stay, all without n, and wants
// them to end well.
func (j *journey) stop(n ...int) {
	j.t.Helper()
	for len(j.staying) > 0 && (len(n) == 0 || n[0] > 0) {
		last := len(j.staying) - 1
		cmd := j.staying[last]
		j.staying = j.staying[:last]
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		ended := time.AfterFunc(patience, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		err := cmd.Wait()
		ended.Stop()
		var exit *exec.ExitError
		if err != nil && !(errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT) {
			j.t.Errorf("after Ctrl-C: %v", err)
		}
		if len(n) > 0 {
			n[0]--
		}
	}
}

// says returns the first match of a pattern in what the programs that stay wrote.
func (j *journey) says(pattern string) string {
	j.t.Helper()
	find := regexp.MustCompile(pattern)
	await(j.t, "a line with "+pattern, func() bool { return find.MatchString(j.output.String()) })
	return find.FindString(j.output.String())
}

// of returns the blocks of some persons, in order: the README's, then those of docs.
func (j *journey) of(who ...string) []block {
	j.t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		j.t.Fatal(err)
	}
	var blocks []block
	for _, page := range append([]string{"../../README.md"}, pages...) {
		blocks = append(blocks, blocksOf(j.t, page)...)
	}
	return slices.DeleteFunc(blocks, func(b block) bool { return !slices.Contains(who, b.who) })
}

func TestTheDemoIsSeenAsTheREADMESays(t *testing.T) {
	t.Parallel()
	j := begin(t)
	for _, b := range j.of("demo") {
		if b.stays {
			j.stay(b, "Status page")
			page := j.says(`http://127\.0\.0\.1:\d+`)
			j.fill["127.0.0.1:8081"] = strings.TrimPrefix(page, "http://")
			await(t, "the first products are here", func() bool { return strings.Contains(get(t, page+"/api/v1/products?limit=1"), "title") })
			continue
		}
		if out := j.run(b, ""); !strings.Contains(out, `"title"`) || !strings.Contains(out, "shopify_webhooks_total") {
			t.Errorf("products and metrics of the demo are not in\n%.2000s", out)
		}
	}
}

// Who has no Go: an archive with a program, in a folder as .ci/release lays it out, and the
// list of checksums, which names archives of other systems too.
func TestADownloadedProgramShowsTheDemo(t *testing.T) {
	t.Parallel()
	j := begin(t)
	j.run(block{text: `make build
mkdir -p download/stockroom_1.0_linux_amd64
cp bin/stockroom README.md download/stockroom_1.0_linux_amd64
cd download
tar -czf stockroom_1.0_linux_amd64.tar.gz stockroom_1.0_linux_amd64
rm -r stockroom_1.0_linux_amd64
sha256sum stockroom_1.0_linux_amd64.tar.gz >SHA256SUMS
sed s/amd64/arm64/ SHA256SUMS >>SHA256SUMS
`}, "")
	j.dir = filepath.Join(j.dir, "download")
	for _, b := range j.of("download") {
		j.stay(b, "Status page")
	}
	page := j.says(`http://127\.0\.0\.1:\d+`)
	await(t, "the first products are here", func() bool { return strings.Contains(get(t, page+"/api/v1/products?limit=1"), "title") })
	if said := j.says("stockroom_1.0_linux_amd64.tar.gz: .*"); !strings.HasSuffix(said, ": OK") {
		t.Errorf("the checksum: %s", said)
	}
}

// A developer connects a shop in the terminal, has the changes delivered, and
// reads the copy from a program.
func TestADeveloperGetsInStepByTheREADMEAlone(t *testing.T) {
	t.Parallel()
	j := begin(t)
	shop := j.shop()
	said := ""
	for _, b := range j.of("shop", "developer") {
		switch {
		case b.stays:
			j.stop()
			j.stay(b, "serving")
		case strings.Contains(b.text, "shop add"):
			said += j.run(b, shop.Secret())
		default:
			said += j.run(b, "")
		}
	}
	for _, part := range []string{
		"12 products", "12 products read", "Reached http://" + j.fill["127.0.0.1:8080"], "Every subscription that is needed is there",
	} {
		if !strings.Contains(said, part) {
			t.Errorf("no command said %q", part)
		}
	}
	j.arrives(shop)
}

// arrives edits a product in the shop and waits until the copy has it.
func (j *journey) arrives(shop *fakeshopify.Shop) {
	j.t.Helper()
	const title = "Scarf, edited in the shop"
	shop.UpdateProduct(shop.IDs()[0], func(p *fakeshopify.Product) { p.Title = title })
	await(j.t, "the edited product is in the copy", func() bool {
		return strings.Contains(j.run(block{text: "./bin/stockroom products list --limit 200\n"}, ""), title)
	})
}

// A merchant does everything but starting it in the browser.
func TestAMerchantGetsInStepByTheREADMEAlone(t *testing.T) {
	browser(t)
	t.Parallel()
	j := begin(t)
	shop := j.shop()
	var page *tab
	for _, b := range j.of("shop") {
		if !b.stays {
			j.run(b, "")
			continue
		}
		j.stop()
		j.stay(b, "serving")
		if page != nil {
			continue
		}
		link := j.says(`http://\S+/login\?link=\S+`)
		page = newTab(t, "http://"+j.fill["127.0.0.1:8081"])
		page.open(strings.TrimPrefix(link, page.base))
		page.fill("shop", strings.TrimSuffix(shopName, ".myshopify.com"))
		page.fill("api_key", j.fill["CLIENT_ID"])
		page.fill("secret", shop.Secret())
		page.click("main", "Connect")
		page.shows("12 products")
		page.open("/")
		page.shows("Pull mode: Stockroom looks for changes every 30 seconds")
	}
	page.rough = true // the server was stopped and started meanwhile
	page.open("/")
	page.shows("Equal to the shop")
	j.arrives(shop)
	page.open("/products")
	page.shows("Scarf, edited in the shop")
}

// A developer without a network, against a shop on the same machine.
func TestADeveloperWithoutANetworkGetsInStepByTheREADMEAlone(t *testing.T) {
	t.Parallel()
	j := begin(t)
	said := ""
	for _, b := range j.of("offline") {
		switch {
		case b.stays && strings.Contains(b.text, "stockroom simulate"):
			j.stay(b, "Simulated shop")
		case b.stays:
			for line := range strings.Lines(j.filled(b.text)) {
				if strings.HasPrefix(line, "export ") && !strings.Contains(j.output.String(), strings.TrimSpace(line)) {
					t.Errorf("simulate does not print what the README says it prints: %s", line)
				}
			}
			j.stay(b, "serving")
		default:
			said += j.run(b, "")
		}
	}
	if !strings.Contains(said, "compared") || !strings.Contains(said, "Reached http://") {
		t.Errorf("the copy is not compared, or no test delivery arrived:\n%s", said)
	}
}

// A person whose machine nothing can reach, with a shop that finds edits late.
func TestAPersonBehindARouterGetsInStepByTheREADMEAlone(t *testing.T) {
	t.Parallel()
	j := begin(t)
	j.env = append(j.env, "STOCKROOM_POLL_EVERY=5s")
	said := ""
	var last block
	for _, b := range j.of("router") {
		last = b
		switch {
		case b.stays && strings.Contains(b.text, "stockroom simulate"):
			j.stay(b, "Simulated shop")
		case b.stays:
			j.stay(b, "serving")
		case strings.Contains(b.text, "shop add"):
			said += j.run(b, "shpss_simulated")
		default:
			said += j.run(b, "")
		}
	}
	for _, part := range []string{"Connected my-shop", "products read in", "Equal to the shop"} {
		if !strings.Contains(said, part) {
			t.Errorf("no command said %q", part)
		}
	}
	looked := block{text: `./bin/stockroom sql --csv "SELECT count(*) FROM sync_runs WHERE kind = 'incremental'"` + "\n"}
	before := j.run(last, "")
	await(t, "a look finds an edit", func() bool { return !strings.HasSuffix(j.run(looked, ""), "\n0\n") })
	await(t, "what it found is read", func() bool { return j.run(last, "") != before })
}

// Who runs it is told of trouble, asks the copy, makes a backup, comes back from it, moves
// to another data dir, and updates, by the pages of docs alone.
func TestWhoRunsItDoesWhatTheDocsSay(t *testing.T) {
	t.Parallel()
	j := begin(t)
	shop := j.shop()
	messages := make(chan string, 10)
	phone := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		messages <- string(text)
	}))
	t.Cleanup(phone.Close)
	j.fill["ntfy://ntfy.sh/stockroom-9f3b61c7"] = phone.URL
	j.fill["/media/usb"], j.fill["--data DIR"] = t.TempDir(), "--data moved"
	path := slices.IndexFunc(j.env, func(v string) bool { return strings.HasPrefix(v, "PATH=") })
	j.env[path] = "PATH=" + filepath.Join(j.dir, "bin") + ":" + strings.TrimPrefix(j.env[path], "PATH=")
	j.env = append(j.env, "SHOPIFY_SHOP="+shopName, "SHOPIFY_API_KEY="+j.fill["CLIENT_ID"])
	j.env = append(j.env, "SHOPIFY_API_SECRET="+shop.Secret())
	j.run(block{text: "make build\n"}, "")
	j.stay(block{text: "stockroom serve\n"}, "serving")
	said := ""
	for _, b := range j.of("operator") {
		switch {
		case b.stays:
			j.stop()
			j.stay(b, "serving")
			where := ""
			if strings.Contains(b.text, "--data DIR") {
				where = " --data DIR"
			}
			said += j.run(block{text: "stockroom sync" + where + "\n"}, "")
		case strings.Contains(b.text, "stockroom restore"):
			j.stop()
			answer := "y"
			if strings.Contains(b.text, "--data DIR") {
				answer = "" // an empty one
			}
			said += j.run(b, answer)
		default:
			said += j.run(b, "")
		}
	}
	// Three backups: to come back from, to move by, and before an update.
	for part, times := range map[string]int{
		"every byte was read again": 3, "Restored the backup of": 3,
		"12 products compared": 2, "nothing differs": 2, // back, and moved
	} {
		if got := strings.Count(said, part); got != times {
			t.Errorf("%q was said %d times, want %d", part, got, times)
		}
	}
	select {
	case m := <-messages:
		if !strings.Contains(m, "test") {
			t.Errorf("the test message is %q", m)
		}
	default:
		t.Error("no test message came")
	}
}

// terminal opens a pseudo terminal: what a person sees and the program's end.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminal can be had here: ", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminal can be had here: ", err)
	}
	t.Cleanup(func() { tty.Close() })
	return screen, tty
}

// get returns the body of an answer, "" when there is none.
func get(t *testing.T, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}
