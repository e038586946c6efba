package syncer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/state"
	"stockroom/store"
)

// TestARunNamesTheStepThatFailed makes the very first run of a shop while one
// step fails: the row has the words and the code of that step, not of what waits
// because of it.
func TestARunNamesTheStepThatFailed(t *testing.T) {
	renamed := "https://new-name.myshopify.com/admin/api/2026-10/graphql.json"
	for _, tt := range []struct {
		name         string
		fault        fakeshopify.Fault
		cause, words string
		pause        state.PauseReason
		detail       string
	}{
		{"401", fakeshopify.Fault{Status: 401, Endpoint: "graphql"}, "token", "Shopify does not accept the access that it gave the app itself", state.PauseToken, ""},
		{"a wrong secret", fakeshopify.Fault{Kind: fakeshopify.FaultHTML, Status: 400, Title: "400 - Oauth error invalid_client", Endpoint: "token"},
			"token", "Shopify does not accept the app's client secret", state.PauseToken, ""},
		{"402", fakeshopify.Fault{Status: 402}, "frozen", "Shopify has frozen the shop (402)", state.PauseFrozen, ""},
		{"404", fakeshopify.Fault{Status: 404}, "refused", "there is no such shop at Shopify (404)", state.PauseNone, ""},
		{"a renamed shop", fakeshopify.Fault{Kind: fakeshopify.FaultRedirect, Status: 301, Location: renamed}, "moved",
			"stockroom shop add new-name.myshopify.com, then stockroom shop remove " + testShop, state.PauseMoved, "new-name.myshopify.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRunRig(t, fakeshopify.Options{Products: 3})
				tt.fault.Times = -1
				r.shop.Fail(tt.fault)
				began := time.Now()
				run, err := r.full()
				if err == nil || run.State != store.RunFailed || run.Cause != tt.cause || !strings.Contains(run.Error, tt.words) {
					t.Errorf("%v; the row says %s, %q, %q", err, run.State, run.Cause, run.Error)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
				shop, _ := r.state.Shop(testShop)
				if p := shop.Pause; p.Reason != tt.pause || tt.pause != "" && !strings.Contains(pauseWords(p), tt.words) || tt.detail != "" && p.Detail != tt.detail {
					t.Errorf("paused: %+v", p)
				}
			})
		})
	}
}

// TestARunThatWaitsForTheNetworkSaysSo looks at a run while it waits.
func TestARunThatWaitsForTheNetworkSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 3})
		r.shop.Fail(fakeshopify.Fault{Kind: fakeshopify.FaultReset, Times: -1})
		ended := make(chan store.SyncRun)
		go func() {
			run, _ := r.reconcile(true)
			ended <- run
		}()
		for range 20 {
			time.Sleep(2 * time.Second)
			st := r.Status(testShop, time.Now())
			if st.Running == nil || st.Waits == "" || st.Running.Cause != "network" || !strings.HasPrefix(st.Waits, "the connection to "+testShop+" broke off") {
				t.Fatalf("it waits: %q, %+v", st.Waits, st.Running)
			}
		}
		r.shop.Heal()
		if run := <-ended; run.State != store.RunDone || run.Cause != "" || run.ProvenAt != 0 {
			t.Errorf("healed: %+v", run)
		}
	})
}

// TestWithoutAServerOnlyWhatIsAskedForIsMade: a full sync that an earlier process
// left must not stand in the way of a comparison that a person asks for.
func TestWithoutAServerOnlyWhatIsAskedForIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		r.stop()
		left := store.SyncRun{ID: 7, Shop: testShop, Kind: store.RunFull, State: store.RunRunning}
		k := r.keeperOf(testShop)
		k.unfinished = &left
		r.o.State = openStateAgain(t, r.dir)
		for _, manual := range []bool{true, false} {
			r.o.Manual = manual
			if j, _ := k.next(time.Now()); (j == nil) != manual {
				t.Errorf("manual %v: %+v is made though nobody asked", manual, j)
			}
		}
		r.o.Manual = true
		k.asked = plan(scheduleReconcile, "", true)
		if j, _ := k.next(time.Now()); j == nil || j.name != scheduleReconcile || !j.dryRun {
			t.Errorf("asked for a comparison: %+v", j)
		}
		k.asked = plan(scheduleFull, "", false)
		if j, _ := k.next(time.Now()); j == nil || j.resume == nil || j.resume.ID != 7 {
			t.Errorf("asked for a full sync: %+v", j)
		}
	})
}

func openStateAgain(t *testing.T, dir string) *state.Store {
	t.Helper()
	st, err := state.Open(dir+"/state.db", time.Now(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

// TestAShopThatIsPausedMeanwhileIsNamedAsTheReason: a run that was asked for can't
// begin, and no other run is the reason.
func TestAShopThatIsPausedMeanwhileIsNamedAsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := &fakeRunner{t: t, takes: 5 * time.Second, proves: true}
		r := newScheduleRig(t, t.TempDir(), runs)
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() {
			time.Sleep(time.Second) // the first full sync runs still
			if err := r.o.State.SetPause(testShop, state.Pause{Reason: state.PauseToken, Words: "Shopify does not accept the app's client secret"}); err != nil {
				t.Error(err)
			}
		}()
		id, err := r.Start(ctx, testShop, store.RunReconcile, true)
		var paused *PausedError
		if id != 0 || !errors.As(err, &paused) || !strings.Contains(err.Error(), "client secret") {
			t.Errorf("began as %d, %v", id, err)
		}
	})
}
