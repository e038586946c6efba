package limiter

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrCostAboveBudget says that a call of this cost can never be granted.
	ErrCostAboveBudget = errors.New("cost above the shop's budget")
	// ErrClosed says that the limiter was closed or the shop forgotten.
	ErrClosed = errors.New("limiter closed")
	// ErrNoProbe says that no probe is wanted now: the budget is known, one is
	// under way, or the last one is less than a window old.
	ErrNoProbe = errors.New("no probe wanted")
)

// CostError is an ErrCostAboveBudget with its numbers, in points.
type CostError struct {
	Cost   int
	Budget int
}

func (e *CostError) Error() string {
	return fmt.Sprintf("limiter: cost %d: %v of %d points", e.Cost, ErrCostAboveBudget, e.Budget)
}

func (e *CostError) Is(target error) bool { return target == ErrCostAboveBudget }

// WaitError says that the points were not to be had within the bound of Wait or
// the caller's deadline. Next is the earliest instant at which the call can be
// granted, which is when to try again: snooze the job until then.
type WaitError struct {
	Shop string
	Next time.Time
	Err  error // the caller's context error, or nil when MaxWait ran out
}

func (e *WaitError) Error() string {
	s := fmt.Sprintf("limiter: %s: no points before %s", e.Shop, e.Next.UTC().Format(time.RFC3339))
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *WaitError) Unwrap() error { return e.Err }
