package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/store"
)

// Whoever follows a run takes its end for its last word.
func TestThatARunEndedIsToldWhenItIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRunRig(t, fakeshopify.Options{Products: 5})
		r.synced()
		looked := 0
		r.fault = func(string) error {
			if st := r.Status(testShop, time.Now()); st.Running != nil {
				looked++
				if st.Running.State != store.RunRunning {
					t.Errorf("told as %s before that was stored", st.Running.State)
				}
			}
			return nil
		}
		if run, err := r.reconcile(true); err != nil || run.State != store.RunDone {
			t.Fatalf("%+v, %v", run, err)
		}
		if looked == 0 {
			t.Error("nothing was looked at")
		}
	})
}
