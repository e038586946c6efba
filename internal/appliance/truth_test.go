package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/status"
	"stockroom/queue"
)

// ordeal is one history of troubles, drawn before it is lived.
type ordeal struct {
	Seed     uint64
	Products int
	Variants int
	Pull     bool   // begins in pull mode
	Kept     bool   // in pull mode deliveries still come, of subscriptions that were made earlier
	First    string // a trouble of the first read, "" for none
	Steps    []blow
}

// blow is one thing that happens, and how long nothing else does then.
type blow struct {
	Do    string
	N     int
	For   time.Duration
	Lasts int // a trouble lasts for so many further steps
}

func (b blow) String() string { return fmt.Sprintf("%s %d %v %d", b.Do, b.N, b.For, b.Lasts) }

var (
	firstTroubles = []string{"", "", "", "", "bulk fails", "moved", "not found", "offline", "outage", "token", "frozen", "scope", "disk full"}
	blows         = []string{
		"edit", "edit", "edit", "burst", "delete", "wait", "forge", "forge", "ahead", "ahead", "throttle", "crash",
		"deaf", "deaf", "wrong secret", "wrong secret", "renamed", "offline", "offline", "outage", "moved", "not found", "token", "frozen", "scope", "scope", "disk full", "disk full", "queue full",
		"other mode", "other mode", "index lag", "index lag", "broken filter", "broken filter",
	}
)

func drawOrdeal(t *rapid.T) ordeal {
	return ordeal{
		Seed: rapid.Uint64().Draw(t, "seed"), Products: rapid.IntRange(1, 5).Draw(t, "products"), Variants: rapid.IntRange(1, 2).Draw(t, "variants"),
		Pull: rapid.Bool().Draw(t, "pull"), Kept: rapid.Bool().Draw(t, "kept"), First: rapid.SampledFrom(firstTroubles).Draw(t, "first"),
		Steps: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) blow {
			return blow{
				Do: rapid.SampledFrom(blows).Draw(t, "do"), N: rapid.IntRange(0, 40).Draw(t, "n"), Lasts: rapid.IntRange(0, 2).Draw(t, "lasts"),
				For: rapid.SampledFrom([]time.Duration{0, time.Second, 6 * time.Second, 6 * time.Second, time.Minute, time.Minute, 12 * time.Minute, 12 * time.Minute, time.Hour, 100 * time.Minute}).Draw(t, "for"),
			}
		}), 1, 5).Draw(t, "steps"),
	}
}

// live makes an ordeal happen and returns what was said and was not so.
func (o ordeal) live(blank, dir string, table []status.Row) error {
	opt := fakeshopify.Options{Seed: o.Seed, Products: o.Products, MaxVariants: o.Variants, Large: -1, Huge: -1, Lean: true, RotationWindow: 1}
	opt.API.Plan = fakeshopify.Plus
	w, err := newTruth(dir, blank, table, opt, func(w *truth) {
		w.pull, w.kept = o.Pull, o.Kept
		if o.First != "" {
			w.suffer(o.First)
		}
	})
	if err != nil {
		panic(err) // what was opened is left, and a bubble would only say that
	}
	return errors.Join(o.story(w), w.close())
}

func (o ordeal) story(w *truth) error {
	if err := w.pass(0, true); err != nil {
		return fmt.Errorf("at the start: %w", err)
	}
	if err := w.pass(3*time.Minute+437*time.Millisecond, true); err != nil {
		return fmt.Errorf("after the start: %w", err)
	}
	until := map[string]int{o.First: 1}
	for i, b := range o.Steps {
		for name, step := range until {
			if name != "" && step <= i {
				w.relieve(name)
				delete(until, name)
			}
		}
		if err := w.do(b); err != nil {
			return fmt.Errorf("step %d, %v: %w", i, b, err)
		}
		if w.lasts(b.Do) {
			until[b.Do] = max(until[b.Do], i+1+b.Lasts)
		}
		if err := w.pass(b.For, true); err != nil {
			return fmt.Errorf("step %d, %v: %w", i, b, err)
		}
	}
	for _, t := range troubles {
		w.relieve(t.name)
	}
	if err := w.mend(); err != nil {
		return err
	}
	return w.recovers()
}

// pass lets time go by and looks at its beginning, soon after, between and at its
// end.
func (w *truth) pass(d time.Duration, all bool) error {
	began := time.Now()
	for _, at := range []time.Duration{0, time.Second, 4900 * time.Millisecond, 6 * time.Second, d / 4, d / 2, d} {
		if wait := at - time.Since(began); at <= d && (wait > 0 || at == 0) {
			time.Sleep(wait)
			if err := w.look(all && at == d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *truth) do(b blow) error {
	ids := w.shop.IDs()
	switch b.Do {
	case "edit":
		w.edit(func() { w.shop.RandomEdit() })
	case "burst":
		for range 2 + b.N%4 {
			w.edit(func() { w.shop.RandomEdit() })
		}
	case "delete":
		if len(ids) > 1 {
			w.edit(func() { w.shop.DeleteProduct(ids[b.N%len(ids)]) })
		}
	case "wait":
	case "forge":
		w.forge(b.N)
	case "ahead":
		w.ahead(b.N)
	case "throttle":
		if slices.ContainsFunc(pausers, func(name string) bool { return w.lasts(name) || within(w.over[name], retried, time.Now()) }) {
			break // it would meet the one call that asks whether the shop goes on
		}
		w.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultThrottled, Times: 1 + b.N%3, Endpoint: "graphql"})
		w.happened("throttle")
	case "crash":
		err := w.crash([]string{"before commit", "after commit"}[b.N%2], 1, time.Second)
		w.isNew("crash")
		return err
	case "other mode":
		err := w.turn()
		w.isNew("other mode")
		if w.missed = (time.Time{}); w.withheld() {
			w.missed = time.Now()
		}
		return err
	default:
		w.suffer(b.Do)
		for range b.N % 3 { // most troubles show when something happens
			w.edit(func() { w.shop.RandomEdit() })
		}
	}
	return nil
}

// isNew notes that another process began, which has heard nothing.
func (w *truth) isNew(why string) {
	w.full.Store(w.lasts("disk full"))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused, w.valid, w.strange = time.Time{}, time.Time{}, time.Time{}
	w.known = len(w.secrets) // as state.db has it
	if w.lasts("wrong secret") {
		w.known--
	}
	w.happened(why)
}

// mend does what a person is asked to do: dead letters are tried again, and what
// Shopify still has to deliver comes.
func (w *truth) mend() error {
	if err := w.look(true); err != nil {
		return fmt.Errorf("when all is mended: %w", err)
	}
	w.shop.Heal()
	dead, _, err := w.queue.List(context.Background(), queue.Filter{State: queue.Dead})
	for _, j := range dead {
		_, e := w.queue.Retry(context.Background(), j.ID)
		err = errors.Join(err, e)
	}
	w.mended = time.Now()
	return err
}

// recovers looks that all is in step again within two hours, and stays so.
func (w *truth) recovers() error {
	limit := time.Now().Add(2 * time.Hour)
	for {
		if err := w.look(false); err != nil {
			return fmt.Errorf("when all is mended: %w", err)
		}
		a := w.status.Read(context.Background(), time.Now())
		if a.Shops[0].Sync.InStep && (a.Head.Code == "in-step" || a.Head.Code == "stranger") {
			return w.look(true)
		}
		if time.Now().After(limit) {
			return fmt.Errorf("2 hours after all was mended: %s %q", a.Head.Code, a.Head.Sentence(a.Now))
		}
		time.Sleep(time.Minute)
	}
}

// suffered lives an ordeal in a bubble of its own and says what was wrong.
func suffered(t *testing.T, o ordeal, blank string, table []status.Row) (wrong error) {
	t.Helper()
	dir, err := os.MkdirTemp(blank, "truth-")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(*testing.T) { wrong = o.live(blank, dir, table) })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if wrong != nil {
		return fmt.Errorf("%w\nordeal: %+v", wrong, o)
	}
	return nil
}

// TestNothingIsSaidThatIsNotSo lives through random histories of deaf endpoints,
// wrong secrets, strangers who forge, renamed shops, failed first reads, full disks,
// lost contact, refused tokens, throttling, edits and crashes, with deliveries, in
// pull mode and from one to the other. After each step, and
// at instants between, what is said is held against what is so: page, API, metrics
// and doctor say the same; never better than the truth; never worse for longer than
// stated; by no cause but what was done. STOCKROOM_TRUTH is the number of histories.
// A failure prints a seed, and STOCKROOM_TRUTH_SEED repeats it.
func TestNothingIsSaidThatIsNotSo(t *testing.T) {
	blank := blankDir(t)
	ordeals := rapid.Custom(drawOrdeal)
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
			return n
		}
		return otherwise
	}
	n, from := number("STOCKROOM_TRUTH", 40), number("STOCKROOM_TRUTH_SEED", 0)
	switch {
	case os.Getenv("STOCKROOM_TRUTH_SEED") != "":
		n = 1
	case raceEnabled: // ten times slower
		n = 6
	}
	const lanes = 4
	began := time.Now()
	t.Run("all", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for seed := from + lane; seed < from+n; seed += lanes {
					if err := suffered(t, ordeals.Example(seed), blank, nil); err != nil {
						t.Errorf("seed %d: %v", seed, err)
					}
				}
			})
		}
	})
	t.Logf("%d histories from seed %d in %v", n, from, time.Since(began).Round(time.Millisecond))
}
