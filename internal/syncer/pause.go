package syncer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/limiter"
	"stockroom/store"
)

// pause notes why a shop's calls wait and when it is asked again.
func (s *Syncer) pause(ctx context.Context, shop string, why shopify.PauseFor, e *shopify.Error) state.Pause {
	now := time.Now()
	p := state.Pause{
		Reason: state.PauseToken, Detail: e.Message, Words: e.Words(), Since: now, NextProbe: now.Add(probeEvery),
	}
	switch why {
	case shopify.ForScope:
		p.Reason = state.PauseScope
		if e.Scope != "" {
			p.Detail = e.Scope
		}
	case shopify.ForFrozen:
		p.Reason, p.NextProbe = state.PauseFrozen, now.Add(slowProbeEvery)
	case shopify.ForInstall:
		p.Reason, p.NextProbe = state.PauseUninstalled, now.Add(slowProbeEvery)
	case shopify.ForMove:
		p.Reason, p.Detail, p.NextProbe = state.PauseMoved, e.Moved, now.Add(slowProbeEvery)
	}
	s.setPause(ctx, shop, p)
	return p
}

// setPause stores a pause, or ends one, and tells of it.
func (s *Syncer) setPause(ctx context.Context, shop string, p state.Pause) {
	before, ok := s.o.State.Shop(shop)
	if !ok {
		return
	}
	if err := s.o.State.SetPause(shop, p); err != nil {
		s.log.Warn("a shop's pause can't be stored; its jobs wait all the same", "shop", shop, "error", err.Error())
		return
	}
	if before.Pause.Reason == p.Reason && before.Pause.Detail == p.Detail && before.Pause.Words == p.Words {
		return
	}
	if p.Paused() {
		s.log.Warn("a shop is paused", "shop", shop, "reason", string(p.Reason), "error", p.Words, "next_try", p.NextProbe)
	} else {
		s.log.Info("a shop goes on", "shop", shop, "was", string(before.Pause.Reason))
	}
	s.o.Changed(ctx, shop)
	wake(s.poke)
	s.keeperOf(shop).rouse()
}

// pausedUntil is when the jobs of a paused shop look again: just after the shop
// was asked.
func (s *Syncer) pausedUntil(p state.Pause, now time.Time) time.Time {
	if p.NextProbe.IsZero() { // a person ends it
		return now.Add(probeEvery)
	}
	if p.NextProbe.Before(now) {
		return now.Add(time.Minute)
	}
	return p.NextProbe.Add(5 * time.Second)
}

// pauseWords says why a shop is paused.
func pauseWords(p state.Pause) string {
	if p.Reason == state.PauseOperator {
		return "the shop was paused by hand"
	}
	words := p.Words
	if words == "" { // an earlier version wrote it
		words = map[state.PauseReason]string{
			state.PauseToken: "Shopify does not accept the app's credentials", state.PauseScope: "an access scope is missing",
			state.PauseFrozen: "Shopify has frozen the shop", state.PauseUninstalled: "the app is not installed on the shop",
		}[p.Reason]
		if p.Detail != "" {
			words += " (" + p.Detail + ")"
		}
	}
	return "the shop is paused: " + words
}

// CredentialsChanged asks a paused shop again at once.
func (s *Syncer) CredentialsChanged(ctx context.Context, shop string) {
	if have, ok := s.o.State.Shop(shop); ok && have.Pause.Paused() && have.Pause.Reason != state.PauseOperator {
		p := have.Pause
		p.NextProbe = time.Now()
		if err := s.o.State.SetPause(shop, p); err != nil {
			s.log.Warn("a paused shop can't be asked earlier", "shop", shop, "error", err.Error())
		}
	}
	wake(s.poke)
}

// probeLook is how often the pauses are looked through at least.
const probeLook = time.Minute

// probe asks paused shops again when their time has come, and at the start:
// what the environment declares may have changed.
func (s *Syncer) probe(ctx context.Context) {
	for start := true; ctx.Err() == nil; start = false {
		now, next := time.Now(), time.Now().Add(probeLook)
		for _, shop := range s.o.State.Shops() {
			p := shop.Pause
			if !p.Paused() || p.Reason == state.PauseOperator || p.NextProbe.IsZero() {
				continue
			}
			if p.NextProbe.After(now) && !start {
				if p.NextProbe.Before(next) {
					next = p.NextProbe
				}
				continue
			}
			if err := s.ask(ctx, shop); err != nil && ctx.Err() == nil {
				s.log.Debug("a paused shop can't go on yet", "shop", shop.Domain, "error", err.Error())
			}
		}
		await(ctx, s.poke, max(time.Until(next), time.Second))
	}
}

// ask finds out whether a paused shop can go on. The error is what the question
// ran into.
func (s *Syncer) ask(ctx context.Context, shop state.Shop) error {
	started := time.Now()
	access, err := s.o.API.Access(ctx, shop.Domain, limiter.WebhookRefetch)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		s.o.Telemetry.Duration(shop.Domain, "probe", time.Since(started))
		s.judgeAccess(ctx, shop.Domain, access)
		return nil
	}
	s.count(shop.Domain, "probe", err)
	var e *shopify.Error
	if v := shopify.Judge(err); v.Job == shopify.Pause && v.Pause != shopify.ForOneThing && errors.As(err, &e) {
		if shop.Pause.Reason == state.PauseUninstalled && v.Pause == shopify.ForToken {
			v.Pause = shopify.ForInstall // no token is accepted where the app is not installed
		}
		p := s.pause(ctx, shop.Domain, v.Pause, e)
		return &PausedError{Words: pauseWords(p), Until: p.NextProbe}
	}
	p := shop.Pause // no news
	p.NextProbe = time.Now().Add(probeEvery)
	s.setPause(ctx, shop.Domain, p)
	return err
}

// judgeAccess pauses a shop whose app lacks a scope, and ends a pause that has no
// reason any more.
func (s *Syncer) judgeAccess(ctx context.Context, shop string, a shopify.Access) {
	if missing := a.Missing(); len(missing) > 0 {
		now, scopes := time.Now(), strings.Join(missing, ", ")
		s.setPause(ctx, shop, state.Pause{
			Reason: state.PauseScope, Detail: scopes, Words: shopify.Lacks(missing),
			Since: now, NextProbe: now.Add(probeEvery),
		})
		return
	}
	have, ok := s.o.State.Shop(shop)
	if !ok || have.Pause.Reason == state.PauseOperator {
		return
	}
	if !have.UninstalledAt.IsZero() {
		if err := s.o.State.SetUninstalled(shop, time.Time{}); err != nil {
			s.log.Warn("that the app is installed again can't be stored", "shop", shop, "error", err.Error())
			return
		}
	}
	if !have.Pause.Paused() && have.UninstalledAt.IsZero() {
		return
	}
	s.setPause(ctx, shop, state.Pause{})
	s.WakeJobs(ctx, shop)
}

// checkScopes reads the granted scopes after app/scopes_update.
func (s *Syncer) checkScopes(ctx context.Context, t task, started time.Time) error {
	a, err := s.o.API.Access(ctx, t.Shop, limiter.WebhookRefetch)
	if err != nil {
		return err
	}
	s.judgeAccess(ctx, t.Shop, a)
	if err := s.o.Store.WantedDone(ctx, store.Wanted{Shop: t.Shop, Kind: store.WantScopes, ID: t.ID}, started); err != nil {
		return fmt.Errorf("forget that scopes were to be checked: %w", err)
	}
	return nil
}

// confirmUninstalled asks the API after app/uninstalled: the topic of a webhook
// is not signed, so the delivery alone proves nothing.
func (s *Syncer) confirmUninstalled(ctx context.Context, t task, started time.Time) error {
	_, err := s.o.API.Shop(ctx, t.Shop, limiter.WebhookRefetch)
	switch shopify.KindOf(err) {
	case shopify.KindToken, shopify.KindUninstalled:
		now := time.Now()
		if err := s.o.State.SetUninstalled(t.Shop, now); err != nil {
			return fmt.Errorf("note that the app is gone: %w", err)
		}
		s.setPause(ctx, t.Shop, state.Pause{
			Reason: state.PauseUninstalled, Words: "the app was uninstalled", Since: now, NextProbe: now.Add(slowProbeEvery),
		})
	default:
		if err != nil {
			return err
		}
	}
	if err := s.o.Store.WantedDone(ctx, store.Wanted{Shop: t.Shop, Kind: store.WantUninstalled, ID: t.ID}, started); err != nil {
		return fmt.Errorf("forget that the app was to be looked for: %w", err)
	}
	return nil
}

// PausedError says that a shop's calls wait.
type PausedError struct {
	Words string
	Until time.Time // zero: a person ends it
}

// Error returns the words.
func (e *PausedError) Error() string { return e.Words }

// pausedNow is a *PausedError while a shop is paused, nil otherwise.
func (s *Syncer) pausedNow(shop string) error {
	if have, _ := s.o.State.Shop(shop); have.Pause.Paused() {
		return &PausedError{Words: pauseWords(have.Pause), Until: have.Pause.NextProbe}
	}
	return nil
}

// Held says why nothing is read from a shop now and until when; a zero instant:
// until a person says so. It asks nobody.
func (s *Syncer) Held(shop string, now time.Time) (why string, until time.Time, held bool) {
	have, ok := s.o.State.Shop(shop)
	if !ok {
		return "", time.Time{}, false
	}
	if p := have.Pause; p.Paused() {
		if until = p.NextProbe; !until.IsZero() && until.Before(now) {
			until = now
		}
		return pauseWords(p), until, true
	}
	if e := s.o.API.Held(shop, now); e != nil {
		return e.Words(), e.RetryAt, true
	}
	return "", time.Time{}, false
}

// TryNow asks a shop that is held at once, whatever the instant that it waits
// for. Its error says why the shop still can't go on: a *PausedError, or what the
// question ran into. A pause by hand, and calls held back by hand, stay.
func (s *Syncer) TryNow(ctx context.Context, shop string) error {
	have, ok := s.o.State.Shop(shop)
	if !ok {
		return state.ErrUnknownShop
	}
	k := s.keeperOf(shop)
	k.set(func() { k.quiet = time.Time{} })
	s.o.API.TryNow(shop)
	if p := have.Pause; p.Paused() && p.Reason != state.PauseOperator {
		if err := s.ask(ctx, have); err != nil {
			return err
		}
	}
	if err := s.pausedNow(shop); err != nil {
		return err
	}
	s.progress.lookAgain(shop)
	s.WakeJobs(ctx, shop)
	k.rouse()
	return nil
}

// WakeJobs has the jobs look again that were put off.
func (s *Syncer) WakeJobs(ctx context.Context, shop string) {
	for _, w := range s.workers() {
		if _, err := s.o.Queue.Wake(ctx, string(w.kind)); err != nil && ctx.Err() == nil {
			s.log.Warn("jobs of a shop that goes on can't be woken; they come automatically",
				"shop", shop, "kind", string(w.kind), "error", err.Error())
		}
	}
}
