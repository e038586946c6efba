package appliance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/web"
)

// scene is a history that has to end with a certain line, whatever else is said.
type scene struct {
	code  string
	first string // a trouble of the first read, "" for none
	play  func(w *truth) error
}

func after(d time.Duration, list ...blow) func(w *truth) error {
	return func(w *truth) error {
		for _, b := range list {
			if err := w.do(b); err != nil {
				return err
			}
			if err := w.pass(b.For, false); err != nil {
				return err
			}
		}
		return w.pass(d, false)
	}
}

// restock changes a stock level, of which a read has to bring the product.
func restock(w *truth) error {
	p, _ := w.shop.Product(w.shop.IDs()[0])
	w.edit(func() { w.shop.SetInventory(p.Variants[0].ID, 0, 77) })
	return nil
}

func inTurn(parts ...func(w *truth) error) func(w *truth) error {
	return func(w *truth) error {
		for _, part := range parts {
			if err := part(w); err != nil {
				return err
			}
		}
		return nil
	}
}

var scenes = []scene{
	{"store-both", "", after(time.Second, blow{Do: "disk full"}, blow{Do: "queue full", N: 1})},
	{"space-out", "", after(6*time.Second, blow{Do: "disk full", N: 1})},
	{"moved", "", after(12*time.Minute, blow{Do: "moved"})},
	{"paused", "", after(12*time.Minute, blow{Do: "token"})},
	{"secret-missing", "", func(w *truth) error {
		err := w.state.SetCredentials(convergeShop, state.Credentials{APIKey: "app"})
		w.refreshDirectory()
		return err
	}},
	{"secret-wrong", "", after(15*time.Minute, blow{Do: "wrong secret", N: 2})},
	{"deaf", "", after(51*time.Minute, blow{Do: "deaf", N: 2})},
	{"late", "", after(26*time.Minute, blow{Do: "deaf", N: 2})},
	{"store-catalogue", "", after(time.Second, blow{Do: "disk full", N: 1})},
	{"store-queue", "", func(w *truth) error {
		err := after(time.Second, blow{Do: "disk full"}, blow{Do: "queue full", N: 1, For: time.Second})(w)
		w.relieve("disk full")
		return errors.Join(err, w.pass(2*time.Second, false))
	}},
	{"calls-held", "", func(w *truth) error { return outbound{w.Appliance}.Hold(convergeShop, web.HoldOpen) }},
	{"unreachable", "", after(13*time.Minute, blow{Do: "offline"})},
	{"dead", "", inTurn(after(0, blow{Do: "not found"}), restock, after(time.Minute))},
	{"first-read-failed", "bulk fails", after(0)},
	{"secret-doubt", "", after(time.Second, blow{Do: "forge", N: 1})},
	{"misfits", "", func(w *truth) error {
		err := after(13*time.Minute, blow{Do: "offline"})(w) // so that no read answers it
		header, body := w.shop.Signed(fakeshopify.TopicUpdate, w.shop.IDs()[0])
		header.Set("X-Shopify-Topic", "products/delete")
		w.post(header, w.secrets[len(w.secrets)-1], string(body))
		return errors.Join(err, w.pass(time.Second, false))
	}},
	{"stranger", "", after(time.Second, blow{Do: "renamed", N: 1})},
	{"disputed", "", func(w *truth) error {
		err := after(time.Second, blow{Do: "ahead", N: 2})(w)
		w.start(store.RunReconcile, false)
		return errors.Join(err, w.pass(6*time.Second, false))
	}},
	{"updates-wait", "", after(time.Second, blow{Do: "disk full", N: 1})},
	{"reads-fail", "", inTurn(after(0, blow{Do: "outage"}), restock, after(time.Minute))},
	{"reading", "", inTurn(after(6*time.Minute, blow{Do: "frozen"}), restock, after(time.Minute))},
	{"first-read", "offline", after(time.Second)},
	{"never-compared", "bulk fails", after(0)},
	{"unproven", "", func(w *truth) error {
		err := after(time.Second, blow{Do: "deaf", N: 1})(w)
		w.happened("dry run")
		w.start(store.RunReconcile, true)
		return errors.Join(err, w.pass(6*time.Second, false))
	}},
	{"overdue", "", after(140*time.Minute, blow{Do: "offline"})},
	{"unlooked", "", after(moments, blow{Do: "other mode"}, blow{Do: "broken filter"})},
	{"subscriptions-unknown", "offline", after(time.Second)},
	{"in-step", "", after(time.Minute)},
}

// played lives a scene under a table of rows, and says what was wrong.
func played(t *testing.T, s scene, blank string, table []status.Row) (wrong error) {
	t.Helper()
	dir, err := os.MkdirTemp(blank, "scene-")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(*testing.T) {
		opt := fakeshopify.Options{Seed: 5, Products: 4, MaxVariants: 2, Large: -1, Huge: -1, Lean: true, RotationWindow: 1}
		opt.API.Plan = fakeshopify.Plus
		w, err := newTruth(dir, blank, table, opt, func(w *truth) {
			if s.first != "" {
				w.suffer(s.first)
			}
		})
		if err != nil {
			panic(err)
		}
		wrong = errors.Join(s.lived(w), w.close())
	})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	return wrong
}

func (s scene) lived(w *truth) error {
	if err := w.pass(3*time.Minute+437*time.Millisecond, false); err != nil {
		return err
	}
	if err := s.play(w); err != nil {
		return err
	}
	synctest.Wait()
	a := w.status.Read(context.Background(), time.Now())
	var codes []string
	for _, l := range a.Lines {
		codes = append(codes, l.Code)
	}
	if !slices.Contains(codes, s.code) {
		return fmt.Errorf("%s is not said, but %v %q", s.code, codes, a.Head.Sentence(a.Now))
	}
	diff, err := w.disagree(a)
	if err == nil && diff != "" {
		err = errors.New(diff)
	}
	return err
}

// TestATableWithoutARowIsFoundInItsScene takes one row at a time out of the table
// of health: the scene that shows it has to notice. The rows without a scene are
// about files that are lost, a machine whose clock is put back and the like; for
// them, as for all, the tests of the table notice (status).
func TestATableWithoutARowIsFoundInItsScene(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has nothing to find here, and takes long")
	}
	blank := blankDir(t)
	for i, code := range status.Codes() {
		n := slices.IndexFunc(scenes, func(s scene) bool { return s.code == code })
		if n < 0 {
			t.Logf("%-22s has no scene", code)
			continue
		}
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			if err := played(t, scenes[n], blank, nil); err != nil {
				t.Errorf("with the whole table: %v", err)
			}
			wrong := played(t, scenes[n], blank, slices.Delete(status.Table(), i, i+1))
			if wrong == nil {
				t.Errorf("without the row nothing is found")
			}
			t.Logf("without the row: %v", wrong)
		})
	}
}
