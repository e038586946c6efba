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
	err := c.try(ctx, name, class, op, out, config.Secret{})
	var refused *refusedToken
	if errors.As(err, &refused) && refused.granted {
		c.dropToken(ctx, name, refused.token)
		err = c.try(ctx, name, class, op, out, refused.token)
	}
	if errors.As(err, &refused) {
		return refused.err
	}
	return err
}

// refusedToken is a KindToken of the API itself, with the token it refused.
type refusedToken struct {
	err *Error
	bearer
}

func (r *refusedToken) Error() string { return r.err.Error() }
func (r *refusedToken) Unwrap() error { return r.err }

// try is the chain: circuit, points, token, one request, and what follows. While the
// shop's budget is not known the limiter wants a cheap query first, whose answer
// says what the shop allows. What that finds wrong is what the call would find,
// so that is its error.
func (c *Client) try(ctx context.Context, name string, class limiter.Class, op operation, out any, refused config.Secret) error {
	for {
		permit, err := c.o.Breaker.Allow(time.Now(), breaker.Key{Shop: name, Class: EndpointGraphQL})
		if err != nil {
			return c.openError(name, op.name, err)
		}
		grant, err := c.o.Limiter.Acquire(ctx, limiter.Call{Shop: name, Class: class, Query: op.cost, Cost: op.bound})
		if err != nil {
			permit.Done(time.Now(), breaker.Ignored, 0)
			return c.noPoints(ctx, name, op, err)
		}
		teach := c.queries["Shop"].call(nil)
		if !grant.Probe || op.name == teach.name {
			return c.send(ctx, name, op, out, permit, grant, refused)
		}
		if err := c.send(ctx, name, teach, &struct{}{}, permit, grant, refused); err != nil {
			return err
		}
	}
}

// send uses a permit and a grant for one request, and ends both.
func (c *Client) send(ctx context.Context, name string, op operation, out any, permit breaker.Permit, grant *limiter.Grant, refused config.Secret) error {
	with, err := c.bearer(ctx, name, refused)
	if err != nil {
		grant.Settle(limiter.Answer{Actual: limiter.Unsent})
		permit.Done(time.Now(), breaker.Ignored, 0)
		return err
	}
	cost, res, err := c.post(ctx, name, op, out, with.token)
	now := time.Now()
	var e *Error
	if errors.As(err, &e) && e.Kind == KindToken {
		e.Granted, e.Consented = with.granted, with.consented
	}
	c.contacted(name, now, err)
	v := Judge(err)
	answer := limiter.Answer{Actual: charged(cost, res, err), Requested: cost.requested, Status: cost.throttle}
	switch v.Budget {
	case Unspent:
		answer.Actual = limiter.Unsent
	case GiveBack:
		answer.Actual = limiter.Unknown // it may have left
	default:
		meterCall(ctx, answer.Actual, grant.Cost)
	}
	if v.Budget == SlowDown {
		answer.Until = e.RetryAt
		if e.Code == "THROTTLED" && (cost.throttle == nil || cost.throttle.CurrentlyAvailable < float64(cost.requested)) {
			c.selfThrottled.Add(1)
		}
	}
	if e != nil && e.Kind == KindTooDear {
		answer.Requested = e.Cost
	}
	if grant.Probe && err == nil && answer.Actual == 0 {
		answer.Actual = limiter.Unknown // it ran: a window has one probe, also where it teaches nothing
	}
	grant.Settle(answer)
	permit.Done(now, v.Breaker, retryAfterOf(err))
	if e != nil && e.Kind == KindToken {
		return &refusedToken{e, with}
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
		switch {
		case wait.Asked:
			e.Code = askedToWait
		case wait.Guessed:
			e.Code, e.Behind = notTold, c.behind(name)
		}
	}
	return e
}
