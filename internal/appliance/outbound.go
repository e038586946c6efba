package appliance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/breaker"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/internal/syncer"
	"stockroom/limiter"
)

// openOutbound makes the chain that calls Shopify: limiter and breaker on
// state.db, the client above them, the workers above that.
func (a *Appliance) openOutbound() error {
	s := a.opt.Settings
	// A file that takes the place of a damaged one needs the buckets as well.
	for _, create := range []func() error{
		func() error { return a.state.Seed(limiter.Buckets) },
		func() error { return a.state.Seed(breaker.Buckets) },
	} {
		if err := create(); err != nil {
			return fmt.Errorf("open state.db for the limiter and the breaker: %w", err)
		}
	}
	for _, to := range []breaker.State{breaker.StateClosed, breaker.StateOpen, breaker.StateHalfOpen} {
		a.transitions(to)
	}
	var err error
	a.limiter, err = limiter.Open(a.state, limiter.Options{
		Points: s.LimitPoints, Window: s.LimitWindow, Fixed: !s.LimitAdaptive, MaxPenalty: shopify.LongestAsked,
		OnLimited: func(shop string) {
			if _, connected := a.state.Shop(shop); connected { // else it is only tried out
				a.telemetry.RateLimited(shop)
			}
		},
	})
	if err != nil {
		return err
	}
	a.breaker, err = breaker.Open(a.state, breaker.Options{
		Failures: s.BreakerFailures, Reset: s.BreakerReset, MaxRetryAfter: shopify.LongestAsked,
		OnTransition: a.breakerTurned,
	})
	if err != nil {
		return err
	}
	a.client, err = shopify.New(shopify.Options{
		BaseURL: s.APIBaseFor, Version: s.APIVersion, Credentials: credentials{a.state},
		Limiter: a.limiter, Breaker: a.breaker, Logger: a.log,
		Transport: a.opt.Transport,
	})
	if err != nil {
		return err
	}
	a.syncer = syncer.New(syncer.Options{
		API: a.client, Store: a.store, State: a.state, Queue: a.queue, Telemetry: a.telemetry, Logger: a.log,
		Changed: a.shopChanged, Proved: func() { a.proved.Store(true) }, ReconcileEvery: s.ReconcileEvery, FullSyncEvery: s.FullSyncEvery, Manual: a.opt.Manual,
		Folder: a.dir.Folder(), Room: a.room, PublicURL: s.PublicURL,
		Pull: s.Pull(), Unsubscribe: s.Webhooks == config.WebhooksOff, PollEvery: s.PollEvery,
	})
	return nil
}

// closeOutbound returns unspent points. Nothing may call Shopify any more.
func (a *Appliance) closeOutbound() error {
	if a.client != nil {
		a.client.Close()
	}
	if a.limiter != nil {
		return a.limiter.Close()
	}
	return nil
}

func (a *Appliance) transitions(to breaker.State) *metrics.Counter {
	return a.set.GetOrCreateCounter(fmt.Sprintf(`stockroom_breaker_transitions_total{to=%q}`, to.String()))
}

func (a *Appliance) breakerTurned(t breaker.Transition) {
	a.transitions(t.To).Inc()
	if t.To == breaker.StateOpen {
		a.log.Warn("calls to Shopify are paused", "shop", t.Key.Shop, "endpoint", t.Key.Class, "reason", t.Reason, "next_try", t.RetryAt)
		return
	}
	a.log.Info("calls to Shopify", "shop", t.Key.Shop, "endpoint", t.Key.Class, "state", t.To.String())
}

// shopChanged mirrors what the workers found out about a shop.
func (a *Appliance) shopChanged(ctx context.Context, domain string) {
	a.refreshDirectory()
	shop, ok := a.state.Shop(domain)
	if !ok {
		return
	}
	if err := a.mirrorShop(ctx, shop); err != nil {
		a.unmirrored.Store(true)
		a.log.Warn("the catalogue does not know the shop's state yet; it is told when it can be written", "shop", domain, "error", err.Error())
	}
}

// forgetOutbound drops what is kept about calls to a removed shop.
func (a *Appliance) forgetOutbound(domain string) error {
	a.client.Forget(domain)
	return errors.Join(a.limiter.Forget(domain), a.breaker.Forget(domain))
}

// limiterRest writes idle shops' windows to disk and drops them from memory.
func (a *Appliance) limiterRest(ctx context.Context) {
	every(ctx, 5*time.Minute, a.limiter.Compact)
}

// credentials lets the client see what state.db holds.
type credentials struct{ state *state.Store }

func appOf(c state.Credentials) shopify.App {
	return shopify.App{ClientID: c.APIKey, Secret: c.APISecret, AccessToken: c.AccessToken, Consented: !c.Consented.IsZero()}
}

func (c credentials) App(shop string) (shopify.App, error) {
	if _, ok := c.state.Shop(shop); !ok {
		return shopify.App{}, shopify.ErrNoShop
	}
	have, _ := c.state.Credentials(shop)
	return appOf(have), nil
}

func (c credentials) Token(shop string, now time.Time) (shopify.Token, bool) {
	t, ok := c.state.Token(shop, now)
	return shopify.Token(t), ok
}

func (c credentials) SetToken(shop string, t shopify.Token) error {
	return c.state.SetToken(shop, state.Token(t))
}

func (c credentials) DropToken(shop string) error { return c.state.DropToken(shop) }

var _ shopify.Credentials = credentials{}
