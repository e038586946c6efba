package browsertest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	processors "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chromium is the one browser of this test run.
var chromium struct {
	once sync.Once
	ctx  context.Context
	stop context.CancelFunc
	why  string // why there is none
}

// atOnce is how many parallel tests run at a time, on a small machine too: they wait
// for the browser and for servers.
const atOnce = 4

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(max(atOnce, processors.GOMAXPROCS(0))))
	}
	code := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

// browser starts Chromium, once, or skips the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	chromium.once.Do(func() {
		path := ""
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
			if found, err := exec.LookPath(name); err == nil {
				path = found
				break
			}
		}
		if path == "" {
			chromium.why = "browser tests need Chromium"
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.WindowSize(1100, 900), chromedp.WSURLReadTimeout(time.Minute),
			chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("lang", "en-GB"),
			// Names of a hostile website, which can point them at any address.
			chromedp.Flag("host-resolver-rules", "MAP hostile.example 127.0.0.1, MAP rebound.example 127.0.0.1"))
		if os.Geteuid() == 0 {
			options = append(options, chromedp.NoSandbox) // the sandbox refuses root
		}
		allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, cancel := chromedp.NewContext(allocator)
		if err := chromedp.Do(ctx); err != nil {
			cancel()
			stopAllocator()
			chromium.why = "Chromium does not start: " + err.Error()
			return
		}
		chromium.ctx, chromium.stop = ctx, func() { cancel(); stopAllocator() }
	})
	if chromium.why != "" {
		t.Skip(chromium.why)
	}
	return chromium.ctx
}

// tab is one tab with cookies of its own.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu       sync.Mutex
	problems []string // what the console complained about
	rough    bool     // complaints are expected: the server goes away
}

// patience is how long anything that should happen may take on a busy machine.
const patience = 2 * time.Minute

// newTab opens a tab. Whatever its console complains about, a refused script or
// style for one, fails the test.
func newTab(t *testing.T, base string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser(t), chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx, base: base}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			p.complain(fmt.Sprintf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				p.complain(fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.rough {
			for _, problem := range p.problems {
				t.Errorf("the console says: %s", problem)
			}
		}
	})
	p.width(1100)
	return p
}

func (p *tab) complain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, text)
}

// forgive drops the complaints so far that contain part.
func (p *tab) forgive(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = slices.DeleteFunc(p.problems, func(s string) bool { return strings.Contains(s, part) })
}

func (p *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v, on %s", err, p.where())
	}
}

// call sends a command of the protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return r
}

// ask evaluates a JavaScript expression, or what its promise comes to.
func ask[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// value is ask that has to succeed.
func value[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := ask[T](p, expression)
	if err != nil {
		p.t.Fatalf("%.200s: %v, on %s", expression, err, p.where())
	}
	return v
}

// where is the address and the beginning of the text of the page, for messages.
func (p *tab) where() string {
	s, err := ask[string](p, `location.href + " showing: " + document.body.innerText.slice(0, 1500)`)
	if err != nil {
		return "a page that can't be asked: " + err.Error()
	}
	return s
}

func (p *tab) open(path string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		err := chromedp.Do(ctx, chromedp.Navigate(p.base+path))
		if err == nil {
			return
		}
		// A click just before may still be on its way to a page; when that one
		// arrives it takes this one's place.
		if ctx.Err() != nil || !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			p.t.Fatalf("%v, on %s", err, p.where())
		}
	}
}

// is evaluates a JavaScript condition; while a page is being replaced it does
// not hold.
func (p *tab) is(condition string) bool {
	ok, err := ask[bool](p, "!!("+condition+")")
	return err == nil && ok
}

// until waits for a JavaScript condition.
func (p *tab) until(condition string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for !p.is(condition) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s\non %s", patience, condition, p.where())
		}
		<-tick.C
	}
}

// shows waits until the page's text contains part.
func (p *tab) shows(part string) {
	p.t.Helper()
	p.until("document.body.innerText.includes(" + quote(part) + ")")
}

func (p *tab) at(path string) {
	p.t.Helper()
	p.until("document.readyState === 'complete' && location.pathname === " + quote(path))
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// named is a JavaScript expression for the first visible link or button whose
// text begins with name, inside what matches the selector within.
func named(within, name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%s)].flatMap(r => [...r.querySelectorAll("a, button, summary")]).find(e => e.checkVisibility() && e.innerText.trim().startsWith(%s))`, quote(within), quote(name))
}

// click clicks on the link or button with that name with the mouse, where it
// is on the screen.
func (p *tab) click(within, name string) {
	p.t.Helper()
	p.until(named(within, name))
	type point struct{ X, Y float64 }
	at := value[point](p, `(() => { const e = `+named(within, name)+`; e.scrollIntoView({block: "center"}); const b = e.getBoundingClientRect(); return {X: b.x + Math.min(b.width / 2, 20), Y: b.y + b.height / 2}; })()`)
	p.run(chromedp.MouseClickXY(at.X, at.Y))
}

// fill types into the field with that name.
func (p *tab) fill(field, text string) {
	p.t.Helper()
	selector := fmt.Sprintf(`[name=%s]:not([type=hidden])`, quote(field))
	p.until("document.querySelector(" + quote(selector) + ")")
	value[bool](p, "(() => { const e = document.querySelector("+quote(selector)+"); e.focus(); e.select(); return true; })()")
	p.run(chromedp.KeyEvent(text))
}

// tabTo presses Tab until the element of a JavaScript expression has the focus,
// which has to be visible then.
func (p *tab) tabTo(element string) {
	p.t.Helper()
	for range 200 {
		p.run(chromedp.KeyEvent(kb.Tab))
		if !p.is("document.activeElement === (" + element + ")") {
			continue
		}
		if !p.is(`(() => { const e = document.activeElement, s = getComputedStyle(e); return e.matches(":focus-visible") && (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0 || s.boxShadow !== "none"); })()`) {
			p.t.Errorf("nothing shows that %s has the focus", element)
		}
		return
	}
	p.t.Fatalf("Tab never reaches %s on %s", element, p.where())
}

func (p *tab) press(keys string) {
	p.t.Helper()
	p.run(chromedp.KeyEvent(keys))
}

// theme sets what the person prefers: light or dark.
func (p *tab) theme(name string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

func (p *tab) width(pixels int64) { p.t.Helper(); p.size(pixels, 900) }

func (p *tab) size(width, height int64) {
	p.t.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1})
}

// script switches JavaScript on or off for pages opened from now on.
func (p *tab) script(on bool) {
	p.t.Helper()
	call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}
