package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"stockroom/breaker"
	"stockroom/internal/config"
	"stockroom/limiter"
)

// call makes one try of an operation, and after a 401 a second one with a new
// token. out gets the answer's data; after an error it must not be used. The
// error is an *Error.
func (c *Client) call(ctx context.Context, name string, class limiter.Class, op operation, out any) error {
	if err := c.teach(ctx, name); err != nil {
		return err
	}
	return c.renewing(ctx, name, func(refused config.Secret) error {
		return c.try(ctx, name, class, op, out, refused)
	})
}

// renewing makes a try, and a second one with a new token when Shopify refuses
// the one it has.
func (c *Client) renewing(ctx context.Context, name string, try func(refused config.Secret) error) error {
	err := try(config.Secret{})
	var refused *refusedToken
	if errors.As(err, &refused) && !refused.static {
		c.dropToken(ctx, name, refused.token)
		err = try(refused.token)
	}
	if errors.As(err, &refused) {
		return refused.err
	}
	return err
}

// refusedToken is a KindToken of the API itself, with the token it refused.
type refusedToken struct {
	err    *Error
	token  config.Secret
	static bool
}

func (r *refusedToken) Error() string { return r.err.Error() }
func (r *refusedToken) Unwrap() error { return r.err }

// try is the chain: circuit, points, token, one request, and what follows.
func (c *Client) try(ctx context.Context, name string, class limiter.Class, op operation, out any, refused config.Secret) error {
	permit, err := c.o.Breaker.Allow(time.Now(), breaker.Key{Shop: name, Class: EndpointGraphQL})
	if err != nil {
		return c.openError(name, op.name, err)
	}
	op.bound = c.o.Limiter.Bound(op.cost, op.bound)
	grant, err := c.o.Limiter.Wait(ctx, name, class, op.bound)
	if err != nil {
		permit.Done(breaker.Ignored, 0)
		return c.noPoints(ctx, name, op, err)
	}
	return c.send(ctx, name, op, out, permit, grant, refused)
}

// send uses a permit and a grant for one request, and ends both.
func (c *Client) send(ctx context.Context, name string, op operation, out any, permit breaker.Permit, grant *limiter.Grant, refused config.Secret) error {
	token, static, err := c.token(ctx, name, refused)
	if err != nil {
		grant.Cancel()
		permit.Done(breaker.Ignored, 0)
		return err
	}
	cost, res, err := c.post(ctx, name, op, out, token)
	now := time.Now()
	var e *Error
	if errors.As(err, &e) && e.Kind == KindToken {
		e.Granted = !static
	}
	c.contacted(name, now, err)
	v := Judge(err)
	switch v.Budget {
	case Unspent:
		grant.CancelAt(now)
	case GiveBack:
		grant.Sent() // charged all the same: it may have left
		grant.CancelAt(now)
	default:
		meterCall(ctx, charged(cost, res, err), op.bound)
		grant.SettleAt(now, charged(cost, res, err), cost.throttle)
	}
	if v.Budget == SlowDown {
		grant.PenaltyAt(now, e.RetryAt)
		if e.Code == "THROTTLED" && (cost.throttle == nil || cost.throttle.CurrentlyAvailable < float64(cost.requested)) {
			c.selfThrottled.Add(1)
		}
	}
	permit.DoneAt(now, v.Breaker, retryAfterOf(err))
	learn := cost.requested
	if e != nil && e.Kind == KindTooDear {
		learn = e.Cost
	}
	if learn > 0 {
		if err := c.o.Limiter.Learn(op.cost, learn); err != nil {
			c.log.Warn("the cost of a query can't be kept over a restart", "query", op.cost, "error", err.Error())
		}
	}
	if e != nil && e.Kind == KindToken {
		return &refusedToken{e, token, static}
	}
	if e != nil {
		return e
	}
	return nil
}

// charged is what a call cost, for the limiter. Shopify charges nothing for a
// call that it turns away before the query runs.
func charged(cost costBlock, res *http.Response, err error) int {
	if err == nil || cost.actual != limiter.Unknown {
		return cost.actual
	}
	switch KindOf(err) {
	case KindThrottled, KindTooDear, KindToken, KindFrozen, KindMoved:
		return 0
	case KindScope, KindRefused:
		if res != nil && res.StatusCode != http.StatusOK {
			return 0
		}
	}
	return limiter.Unknown
}

// post sends one request and reads its answer.
func (c *Client) post(ctx context.Context, name string, op operation, out any, token config.Secret) (costBlock, *http.Response, error) {
	none := costBlock{actual: limiter.Unknown}
	body, err := json.Marshal(struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables,omitempty"`
	}{op.text, op.vars})
	if err != nil {
		return none, nil, &Error{Kind: KindLocal, Shop: name, Op: op.name, Err: err}
	}
	try, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(try, http.MethodPost, c.o.BaseURL(name)+"/admin/api/"+c.o.Version+"/graphql.json", bytes.NewReader(body))
	if err != nil {
		return none, nil, &Error{Kind: KindLocal, Shop: name, Op: op.name, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("X-Shopify-Access-Token", token.Reveal())
	sent := time.Now()
	res, answer, err := c.exchange(ctx, req, name, op.name, c.o.MaxBody)
	if err != nil {
		return none, nil, err
	}
	if op.bytes != nil {
		*op.bytes += int64(len(answer))
	}
	now := time.Now()
	c.notice(name, res.Header, sent, now)
	cost, e := readAnswer(name, res, answer, out, now)
	if e != nil {
		e.Op = op.name
		setRetryAt(e, now)
		return cost, res, e
	}
	return cost, res, nil
}

// Codes of a KindBudget that waits for something else than spent points.
const (
	askedToWait = "ASKED_TO_WAIT" // the points are there, but Shopify asked us to stay away
	notTold     = "NOT_TOLD"      // the shop has not told its budget, so that we hold back
)

// noPoints is what a call that got no points returns.
func (c *Client) noPoints(ctx context.Context, name string, op operation, err error) error {
	var dear *limiter.CostError
	var wait *limiter.WaitError
	e := &Error{Kind: KindLocal, Shop: name, Op: op.name, Err: err}
	switch {
	case ctx.Err() != nil:
		return cancelled(name, op.name, ctx)
	case errors.As(err, &dear):
		e.Kind, e.Cost = KindTooDear, dear.Cost
	case errors.As(err, &wait):
		e.Kind, e.RetryAt = KindBudget, wait.Next
		switch snap, ok := c.o.Limiter.Snapshot(name); {
		case ok && snap.Penalty.After(time.Now()):
			e.Code = askedToWait
		case ok && snap.Guessed:
			e.Code, e.Behind = notTold, c.behind(name)
		}
	}
	return e
}

// teach sends a cheap query first while the shop's budget is not known: its
// answer says what the shop allows. Others wait for it instead of for the
// default window. What it finds wrong is what the call would find, so that is
// its error.
func (c *Client) teach(ctx context.Context, name string) error {
	s := c.shop(name)
	// In this order: while a probe is under way no other is needed.
	if !c.o.Limiter.NeedsProbe(name) && !s.probing.Load() {
		return nil
	}
	select {
	case <-s.probe:
	case <-ctx.Done():
		return cancelled(name, "Shop", ctx)
	}
	defer func() { s.probe <- struct{}{} }()
	if !c.o.Limiter.NeedsProbe(name) {
		return nil
	}
	s.probing.Store(true)
	defer s.probing.Store(false)
	return c.renewing(ctx, name, func(refused config.Secret) error { return c.probe(ctx, name, refused) })
}

// probe sends the query that teaches the budget, when one is wanted.
func (c *Client) probe(ctx context.Context, name string, refused config.Secret) error {
	// A token first: there is one probe in a window, and none to waste.
	if _, _, err := c.token(ctx, name, refused); err != nil {
		return err
	}
	ask := c.queries["Shop"].call(nil)
	permit, err := c.o.Breaker.Allow(time.Now(), breaker.Key{Shop: name, Class: EndpointGraphQL})
	if err != nil {
		return c.openError(name, ask.name, err)
	}
	ask.bound = c.o.Limiter.Bound(ask.cost, ask.bound)
	grant, err := c.o.Limiter.Probe(name, ask.bound)
	if err != nil {
		permit.Done(breaker.Ignored, 0)
		if errors.Is(err, limiter.ErrNoProbe) {
			return nil
		}
		return c.noPoints(ctx, name, ask, err)
	}
	return c.send(ctx, name, ask, &struct{}{}, permit, grant, refused)
}
