package shopify

import (
	"errors"

	"stockroom/breaker"
)

// Budget is what the limiter has to do about a call.
type Budget uint8

// The limiter's part of a verdict.
const (
	Settle   Budget = iota // charge what it cost and learn the shop's numbers
	SlowDown               // the same, and stay away for a while
	GiveBack               // our own end of the call: charged only if it may have left
	Unspent                // it was never sent
)

// Job is what the one who asked has to do.
type Job uint8

// The job's part of a verdict.
const (
	Done      Job = iota
	Retry         // with backoff; spends an attempt
	Snooze        // until Error.RetryAt; spends no attempt
	Pause         // the shop waits; Verdict.Pause says for what
	Permanent     // no further try can mend it
	AsBefore      // as if it had not been tried
)

// PauseFor is what a paused shop, or job, waits for.
type PauseFor uint8

// The reasons to pause.
const (
	NoPause     PauseFor = iota
	ForToken             // credentials that Shopify accepts
	ForScope             // an access scope
	ForFrozen            // Shopify to thaw the shop
	ForInstall           // the app to be installed again
	ForMove              // the shop to be connected under the name it has now
	ForOneThing          // only this job: Shopify shows part of what it asks for
)

// Verdict says what follows from one call.
type Verdict struct {
	Budget  Budget
	Breaker breaker.Outcome
	Job     Job
	Pause   PauseFor
}

// Judge is the verdict on what a call returned. It is pure. An error that is
// not of this package is taken for a fault of ours that may pass.
func Judge(err error) Verdict {
	if err == nil {
		return Verdict{Settle, breaker.Success, Done, NoPause}
	}
	var e *Error
	if !errors.As(err, &e) {
		return Verdict{Unspent, breaker.Ignored, Retry, NoPause}
	}
	if e.Unsent {
		v := judgeKind(e.Kind)
		v.Budget = Unspent
		return v
	}
	return judgeKind(e.Kind)
}

func judgeKind(kind Kind) Verdict {
	switch kind {
	case KindThrottled:
		return Verdict{SlowDown, breaker.Ignored, Snooze, NoPause}
	case KindServer, KindTimeout, KindNetwork, KindUnreadable:
		return Verdict{Settle, breaker.Failure, Retry, NoPause}
	case KindBusy:
		return Verdict{Settle, breaker.Success, Snooze, NoPause}
	case KindToken:
		return Verdict{Settle, breaker.Ignored, Pause, ForToken}
	case KindScope:
		return Verdict{Settle, breaker.Ignored, Pause, ForScope}
	case KindPartial:
		return Verdict{Settle, breaker.Ignored, Pause, ForOneThing}
	case KindFrozen:
		return Verdict{Settle, breaker.Ignored, Pause, ForFrozen}
	case KindUninstalled:
		return Verdict{Settle, breaker.Ignored, Pause, ForInstall}
	case KindMoved:
		return Verdict{Settle, breaker.Ignored, Pause, ForMove}
	case KindRefused, KindTooDear:
		return Verdict{Settle, breaker.Success, Permanent, NoPause}
	case KindChanging:
		return Verdict{Settle, breaker.Success, Retry, NoPause}
	case KindOpen, KindBudget:
		return Verdict{Unspent, breaker.Ignored, Snooze, NoPause}
	case KindCancelled:
		return Verdict{GiveBack, breaker.Ignored, AsBefore, NoPause}
	}
	return Verdict{Unspent, breaker.Ignored, Retry, NoPause}
}
