package appliance

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/catalog"
	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

// plan is one history of a shop and of us, drawn before it is lived.
type plan struct {
	Seed     uint64
	Products int
	Variants int
	Standard bool // the smallest budget of points
	Mixed    bool // the first bulk results come in any order
	Pull     bool // begins in pull mode
	Kept     bool // in pull mode deliveries still come, of subscriptions that were made earlier
	Source   string
	Chaos    fakeshopify.Chaos
	Steps    []step
	// Pending is what becomes of deliveries that wait when the comparison comes:
	// they arrive before it, after it, or never.
	Pending string
	// After are edits after the comparison, whose deliveries all arrive.
	After []step
}

// step is one thing that happens.
type step struct {
	Do  string
	N   int
	For time.Duration
}

func (s step) String() string { return fmt.Sprintf("%s %d %v", s.Do, s.N, s.For) }

var deeds = []string{ // some more often than others
	"edit", "edit", "edit", "edit", "edit", "burst", "burst", "edit and delete", "edit and delete", "delete", "wait", "wait",
	"deaf", "outage", "throttle", "disk full", "crash", "crash in a sync", "rotate", "select", "forget",
	"full", "full", "incremental", "reconcile", "dry run", "bulk fault",
	"other mode", "index lag", "broken filter", "stock alone", "stock alone",
}

func drawPlan(t *rapid.T) plan {
	often := func(name string) float64 {
		return rapid.SampledFrom([]float64{0, 0, 0.1, 0.4, 0.9}).Draw(t, name)
	}
	p := plan{
		Seed: rapid.Uint64().Draw(t, "seed"), Products: rapid.IntRange(1, 14).Draw(t, "products"), Variants: rapid.IntRange(1, 4).Draw(t, "variants"),
		Standard: rapid.Bool().Draw(t, "standard"), Mixed: rapid.Bool().Draw(t, "mixed"),
		Pull: rapid.Bool().Draw(t, "pull"), Kept: rapid.Bool().Draw(t, "kept"),
		Source: rapid.SampledFrom([]string{byUs, byUs, byFile, byNotifications, byEvents, byNobody}).Draw(t, "source"),
		Chaos: fakeshopify.Chaos{
			Duplicate: often("duplicate"), DuplicateNewID: often("new id"), Delay: often("delay"), Reorder: often("reorder"), Loss: often("loss"),
			SameSecond: often("same second"), TriggeredEarly: often("early"), OldSecret: often("old secret"),
			DelayMax:   rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "delay max"),
			RetryNewID: rapid.Bool().Draw(t, "retry new id"),
		},
		Pending: rapid.SampledFrom([]string{"before", "after", "never"}).Draw(t, "pending"),
	}
	p.Steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Do: rapid.SampledFrom(deeds).Draw(t, "do"), N: rapid.IntRange(0, 40).Draw(t, "n"),
			For: rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, time.Second, 5 * time.Second, time.Minute, 10 * time.Minute}).Draw(t, "for"),
		}
	}), 1, 12).Draw(t, "steps")
	p.After = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Do: rapid.SampledFrom([]string{"edit", "burst", "edit and delete"}).Draw(t, "do"), N: rapid.IntRange(0, 40).Draw(t, "n"),
			For: rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "for"),
		}
	}), 0, 4).Draw(t, "after")
	return p
}

// live makes a plan happen, then one comparison, and returns what is wrong.
func (p plan) live(blank, dir string) error {
	o := fakeshopify.Options{Seed: p.Seed, Products: p.Products, MaxVariants: p.Variants, Large: -1, Huge: -1, Chaos: p.Chaos}
	o.API.Bulk = fakeshopify.BulkOptions{Mix: true, Base: 20 * time.Second}
	if !p.Standard {
		o.API.Plan = fakeshopify.Plus
	}
	w := &world{base: dir, pull: p.Pull, kept: p.Kept, source: p.Source}
	o.Target = worldURL
	if err := w.enter(blank, o); err != nil {
		return err
	}
	var err error
	if p.Mixed { // as after an export that timed out
		err = w.state.Put("sync", convergeShop+"/ungrouped", []byte("1"))
	}
	if err == nil {
		err = p.story(w)
	}
	if e := w.close(); err == nil {
		err = e
	}
	return err
}

func (p plan) story(w *world) error {
	for i, s := range p.Steps {
		if err := w.do(s); err != nil {
			return fmt.Errorf("step %d, %v: %w", i, s, err)
		}
	}
	// All is well again.
	w.deaf.Store(false)
	w.full.Store(false)
	w.shop.Heal()
	w.clear()
	if err := w.learn(); err != nil {
		return err
	}
	w.silent() // what waits does so until it is told to come
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	switch p.Pending {
	case "before":
		if err := w.shop.DrainAll(ctx); err != nil {
			return err
		}
	case "never":
		w.shop.Forget()
	}
	time.Sleep(3 * time.Second) // the last edit's second is over
	w.mirrorAgain(ctx)
	run, err := w.reconcile()
	if err != nil {
		return err
	}
	if run.State != store.RunDone || run.ProvenAt == 0 {
		return fmt.Errorf("the comparison proved nothing: %+v", run)
	}
	if err := w.equal(fmt.Sprintf("after %+v", run)); err != nil {
		return err
	}
	if err := w.shop.DrainAll(ctx); err != nil {
		return err
	}
	if err := w.calm(); err != nil {
		return err
	}
	if err := w.equal("after what came late"); err != nil {
		return err
	}
	if (p.Chaos.Loss > 0 || p.Source == byNobody) && !w.pull {
		return nil // the next comparison would have to find what is lost
	}
	for _, s := range p.After {
		if err := w.do(s); err != nil {
			return err
		}
	}
	time.Sleep(3 * time.Second)
	if err := w.shop.DrainAll(ctx); err != nil {
		return err
	}
	switch {
	case w.pull:
		if err := w.looked(); err != nil {
			return err
		}
	case p.Source == byNotifications, p.Source == byEvents: // no stock
		if _, err := w.reconcile(); err != nil {
			return err
		}
	}
	if err := w.calm(); err != nil {
		return err
	}
	return w.equal("after further edits")
}

func (w *world) equal(when string) error {
	list, err := w.differences()
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return fmt.Errorf("%s: %d differences:\n  %s", when, len(list), strings.Join(list[:min(len(list), 12)], "\n  "))
	}
	return nil
}

// do makes one step happen. What lasts goes on beside the steps that follow.
func (w *world) do(s step) error {
	switch s.Do {
	case "edit":
		for range 1 + s.N%6 {
			w.shop.RandomEdit()
			time.Sleep(s.For / 20)
		}
	case "burst":
		for range 2 + s.N%6 {
			w.shop.RandomEdit()
		}
	case "delete", "edit and delete":
		ids := w.shop.IDs()
		if len(ids) < 2 {
			break
		}
		id := ids[s.N%len(ids)]
		if s.Do != "delete" {
			w.shop.UpdateProduct(id, func(p *fakeshopify.Product) { p.Title = fmt.Sprint("the last title ", s.N) })
			time.Sleep(s.For / 20)
		}
		w.shop.DeleteProduct(id)
	case "wait":
		time.Sleep(s.For)
	case "forget":
		w.shop.Forget()
	case "deaf":
		w.deaf.Store(true)
		time.AfterFunc(s.For, func() { w.deaf.Store(false) })
	case "disk full":
		w.full.Store(true)
		time.AfterFunc(s.For, func() { w.full.Store(false) })
	case "outage":
		faults := []fakeshopify.Fault{{Status: 500, Times: -1}, {Status: 503, Times: -1}, {Kind: fakeshopify.FaultReset, Times: -1}, {Kind: fakeshopify.FaultHTML, Times: -1}}
		w.shop.Fail(faults[s.N%len(faults)])
		time.AfterFunc(s.For, w.shop.Heal)
	case "throttle":
		w.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultThrottled, Times: 1 + s.N%4})
	case "bulk fault":
		faults := []fakeshopify.BulkFault{{Status: "FAILED", At: 0.5}, {Status: "CANCELED", At: 0.5}, {Nested: 1}, {DropChildren: 0.3}, {DropChildren: 0.1, CountDropped: true}, {CutAt: 2000}, {RootCountOff: -1}}
		w.shop.FailBulk(faults[s.N%len(faults)])
	case "crash":
		return w.crash([]string{"before commit", "after commit"}[s.N%2], 1+s.N/8, s.For)
	case "crash in a sync":
		w.start(store.RunFull, false)
		return w.crash([]string{"before commit", "after commit", "before bulk mark"}[s.N%3], 1+s.N/8, time.Minute)
	case "rotate":
		secret := fmt.Sprintf("secret-%d", s.N)
		w.shop.RotateSecret(secret)
		w.mu.Lock()
		w.secrets = append(w.secrets, secret)
		w.mu.Unlock()
		time.AfterFunc(s.For, func() { _ = w.learn() }) // a dead process learns nothing; the end tells it again
	case "select":
		return w.choose(selectionOf(w.shop, s.N))
	case "full":
		w.start(store.RunFull, false)
		time.Sleep(s.For / 10)
	case "incremental":
		w.start(store.RunIncremental, false)
		time.Sleep(s.For / 10)
	case "other mode":
		return w.turn()
	case "index lag":
		w.shop.SetIndex(indexLag, []float64{0, 0.1, 0.5}[s.N%3])
		time.AfterFunc(s.For, func() { w.shop.SetIndex(0, 0) })
	case "broken filter":
		w.shop.BreakFilter(filterFaults[s.N%len(filterFaults)])
		time.AfterFunc(s.For, func() { w.shop.BreakFilter(fakeshopify.FilterWorks) })
	case "stock alone":
		w.stockAlone(s.N)
	case "reconcile", "dry run":
		w.start(store.RunReconcile, s.Do == "dry run")
		time.Sleep(s.For / 10)
	}
	return nil
}

// filterFaults are the ways in which the shop's search does not filter by time.
var filterFaults = []fakeshopify.FilterFault{fakeshopify.FilterIgnored, fakeshopify.FilterWarned}

// stockAlone changes a stock without the time of its product.
func (w *world) stockAlone(n int) {
	if ids := w.shop.IDs(); len(ids) > 0 {
		p, _ := w.shop.Product(ids[n%len(ids)])
		w.shop.SetInventoryQuietly(p.Variants[n%len(p.Variants)].ID, n%2, p.Variants[n%len(p.Variants)].Available[n%2]+n+1)
	}
}

// selectionOf is the nth way to select among what the shop has.
func selectionOf(shop *fakeshopify.Shop, n int) catalog.Selection {
	ids := shop.IDs()
	var some []int64
	for i, id := range ids {
		if (i+n)%3 == 0 {
			some = append(some, id)
		}
	}
	switch n % 5 {
	case 0:
		return catalog.Selection{Mode: catalog.SelectAll, Exclude: some}
	case 1:
		return catalog.Selection{Mode: catalog.SelectInclude, Include: some}
	case 2, 3:
		if len(ids) == 0 {
			break
		}
		p, _ := shop.Product(ids[n%len(ids)])
		rules := []catalog.Rule{{Field: catalog.RuleVendor, Value: p.Vendor}}
		if len(p.Tags) > 0 {
			rules = append(rules, catalog.Rule{Field: catalog.RuleTag, Value: p.Tags[0]})
		}
		return catalog.Selection{Mode: catalog.SelectRules, Rules: rules}
	}
	return catalog.Selection{Mode: catalog.SelectAll}
}

// fastDir is a directory in memory where there is one: the campaign is about
// order, not about the disk.
func fastDir(t *testing.T) string {
	t.Helper()
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() && runtime.GOOS == "linux" {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "stockroom-converge-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// blankDir makes the files that worlds begin with.
func blankDir(t *testing.T) string {
	t.Helper()
	dir := fastDir(t)
	synctest.Test(t, func(t *testing.T) {
		if err := blank(dir); err != nil {
			t.Fatal(err)
		}
	})
	return dir
}

// lived lives a plan in a bubble of its own and says what was wrong in the end.
func lived(t *testing.T, p plan, blank string) (wrong error) {
	t.Helper()
	dir, err := os.MkdirTemp(blank, "world-")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(*testing.T) { wrong = p.live(blank, dir) })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if wrong != nil {
		return fmt.Errorf("%w\nplan: %+v", wrong, p)
	}
	return nil
}

// TestOneComparisonMakesTheCopyEqual lives through random histories: lost,
// duplicated, late and reordered deliveries, outages, throttling, full disks,
// crashes at any commit, edits during a sync, other selections, rotated secrets,
// with deliveries of every source, in pull mode and from one to the other; then one
// comparison leaves no difference, field by field, and what arrives
// late after that changes nothing. STOCKROOM_CONVERGE is the number of histories, others
// each time. A failure prints a seed; -rapid.seed repeats it.
func TestOneComparisonMakesTheCopyEqual(t *testing.T) {
	blank := blankDir(t)
	if raceEnabled { // ten times slower
		plans := rapid.Custom(drawPlan)
		for seed := range 12 {
			if err := lived(t, plans.Example(seed), blank); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		return
	}
	hundreds := 2
	if testing.Short() {
		hundreds = 1
	}
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		hundreds = 100
	}
	if n, err := strconv.Atoi(os.Getenv("STOCKROOM_CONVERGE")); err == nil {
		hundreds = max(n/100, 1)
	}
	began := time.Now()
	t.Run("all", func(t *testing.T) {
		for n := range hundreds {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) {
					if err := lived(t, drawPlan(rt), blank); err != nil {
						rt.Fatal(err)
					}
				})
			})
		}
	})
	t.Logf("%d00 scenarios in %v", hundreds, time.Since(began).Round(time.Millisecond))
}
