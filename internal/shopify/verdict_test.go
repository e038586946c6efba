package shopify

import (
	"errors"
	"testing"

	"stockroom/breaker"
)

func TestTheVerdictTable(t *testing.T) {
	for _, tt := range []struct {
		kind    Kind
		budget  Budget
		breaker breaker.Outcome
		job     Job
		pause   PauseFor
	}{
		{KindThrottled, SlowDown, breaker.Ignored, Snooze, NoPause},
		{KindServer, Settle, breaker.Failure, Retry, NoPause},
		{KindTimeout, Settle, breaker.Failure, Retry, NoPause},
		{KindNetwork, Settle, breaker.Failure, Retry, NoPause},
		{KindUnreadable, Settle, breaker.Failure, Retry, NoPause},
		{KindBusy, Settle, breaker.Success, Snooze, NoPause},
		{KindToken, Settle, breaker.Ignored, Pause, ForToken},
		{KindScope, Settle, breaker.Ignored, Pause, ForScope},
		{KindPartial, Settle, breaker.Ignored, Pause, ForOneThing},
		{KindFrozen, Settle, breaker.Ignored, Pause, ForFrozen},
		{KindUninstalled, Settle, breaker.Ignored, Pause, ForInstall},
		{KindMoved, Settle, breaker.Ignored, Pause, ForMove},
		{KindRefused, Settle, breaker.Success, Permanent, NoPause},
		{KindTooDear, Settle, breaker.Success, Permanent, NoPause},
		{KindChanging, Settle, breaker.Success, Retry, NoPause},
		{KindOpen, Unspent, breaker.Ignored, Snooze, NoPause},
		{KindBudget, Unspent, breaker.Ignored, Snooze, NoPause},
		{KindCancelled, GiveBack, breaker.Ignored, AsBefore, NoPause},
		{KindLocal, Unspent, breaker.Ignored, Retry, NoPause},
	} {
		if got, want := Judge(&Error{Kind: tt.kind}), (Verdict{tt.budget, tt.breaker, tt.job, tt.pause}); got != want {
			t.Errorf("%v: got %+v, want %+v", tt.kind, got, want)
		}
	}
	for _, kind := range []Kind{KindNetwork, KindTimeout, KindCancelled} {
		want := Judge(&Error{Kind: kind})
		want.Budget = Unspent
		if got := Judge(&Error{Kind: kind, Unsent: true}); got != want {
			t.Errorf("%v without a connection: got %+v, want %+v", kind, got, want)
		}
	}
	if got := Judge(nil); got != (Verdict{Settle, breaker.Success, Done, NoPause}) {
		t.Errorf("success: got %+v", got)
	}
	if got := Judge(errors.New("disk")); got != (Verdict{Unspent, breaker.Ignored, Retry, NoPause}) {
		t.Errorf("an error from elsewhere: got %+v", got)
	}
	if len(kinds) != int(KindLocal) {
		t.Errorf("%d kinds have a name, there are %d", len(kinds), KindLocal)
	}
}
