package webhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"stockroom/catalog"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/telemetry"
)

const outcomeIgnored = store.Ignored

// accept makes an authentic delivery durable: in the catalogue, else in the
// queue, else not at all.
func (in *Intake) accept(req *request, shop Shop, topic catalog.Topic) (answer, *rejection) {
	// What is durable must not depend on the client staying.
	ctx := context.WithoutCancel(req.http.Context())
	change, err := decode(topic, req.shop, req.envelope.Body)
	if err != nil {
		return in.bury(ctx, req, change, err)
	}
	ctx, cancel := context.WithDeadline(ctx, req.arrived.Add(in.opt.CatalogueBudget))
	defer cancel()
	if change.Kind == catalog.ShopRedact && (shop.Removed || shop.Uninstalled) && in.opt.Redact != nil {
		if err := in.opt.Redact(ctx, req.shop); err != nil {
			return in.enqueue(req, err)
		}
		const done = "everything kept of the shop was deleted"
		if err := in.opt.Catalogue.Record(ctx, req.envelope.delivery(), 0, store.Applied, done); err != nil {
			in.log.Warn("the journal lacks a row for an erasure", "shop", req.shop, "error", err.Error())
		}
		return answer{success: true, outcome: store.Applied, reason: done}, nil
	}
	res, err := in.apply(ctx, req.envelope, change)
	switch {
	case err == nil:
		return answer{success: true, outcome: res.Outcome, reason: res.Reason}, nil
	case errors.Is(err, store.ErrOtherShop):
		return in.bury(context.WithoutCancel(ctx), req, change, &catalog.MismatchError{Reason: "another shop's product has this id"})
	}
	return in.enqueue(req, err)
}

// decode reads the body and checks that the shop it names, if any, is the
// header's.
func decode(topic catalog.Topic, shop string, body []byte) (catalog.Change, error) {
	c, err := catalog.Decode(topic, body)
	if err != nil {
		return c, err
	}
	if c.ShopDomain != "" && c.ShopDomain != shop {
		return c, &catalog.MismatchError{Reason: "the body names another shop than the header"}
	}
	return c, nil
}

// apply hands a change to the catalogue. Transient failures are tried again
// with exponential backoff and jitter until ctx ends.
func (in *Intake) apply(ctx context.Context, e Envelope, c catalog.Change) (store.Result, error) {
	if err := in.gate.err(); err != nil {
		return store.Result{}, err
	}
	d := e.delivery()
	pause := 25 * time.Millisecond
	for {
		res, err := in.opt.Catalogue.Apply(ctx, d, c)
		if err == nil {
			if res.Wanted != nil {
				in.opt.Wanted(*res.Wanted)
			}
			return res, nil
		}
		var u *store.UnavailableError
		if !errors.As(err, &u) {
			return res, err
		}
		if !u.Transient || ctx.Err() != nil {
			in.gate.close(err)
			return res, err
		}
		if !sleep(ctx, jitter(pause)) {
			in.gate.close(err)
			return res, err
		}
		pause = min(2*pause, 400*time.Millisecond)
	}
}

// enqueue keeps a delivery that the catalogue could not take.
func (in *Intake) enqueue(req *request, cause error) (answer, *rejection) {
	payload, err := req.envelope.Encode()
	if err == nil {
		ctx, cancel := context.WithDeadline(context.WithoutCancel(req.http.Context()), req.arrived.Add(in.opt.QueueBudget))
		defer cancel()
		job := queue.NewJob{Kind: JobKind, Labels: req.envelope.labels(), Payload: payload}
		if c := store.CauseOf(cause); c != "" {
			job.Labels["waits_for"] = c.Words()
		} else {
			job.Delay = true // the catalogue works and this change does not
		}
		_, _, err = in.opt.Queue.Enqueue(ctx, job)
	}
	if err != nil {
		in.log.Error("neither the catalogue nor the queue can take a delivery", "catalogue", cause.Error(), "queue", err.Error())
		return answer{}, &rejection{status: http.StatusServiceUnavailable, reason: ReasonStoresFailed, retryAfter: 30,
			title: "Nothing can be stored now", detail: "Neither the catalogue nor the retry queue can take the change: " + words(cause) + ". Nothing of it was kept; send it again."}
	}
	in.opt.Telemetry.Error(req.shop, "webhook_"+catalog.Topic(req.topic).Label(), errorType(cause))
	return answer{queued: true, outcome: store.Queued, reason: words(cause)}, nil
}

// bury keeps a body that makes no sense, whole, as a dead letter. Equal bodies
// under the same topic share one: the topic is not signed, so anybody who has
// seen one delivery could otherwise fill the disk with it.
func (in *Intake) bury(ctx context.Context, req *request, c catalog.Change, cause error) (answer, *rejection) {
	ctx, cancel := context.WithDeadline(ctx, req.arrived.Add(in.opt.QueueBudget))
	defer cancel()
	outcome, class, typ := store.Dead, queue.ClassPoison, telemetry.ErrMalformed
	var mismatch *catalog.MismatchError
	if errors.As(cause, &mismatch) {
		outcome, class, typ = store.Mismatch, queue.ClassValidation, telemetry.ErrMismatch
	}
	d := req.envelope.delivery()
	unnamed := req.envelope
	unnamed.WebhookID = ""
	body := unnamed.delivery().Dedupe
	payload, err := req.envelope.Encode()
	if err == nil && !in.buried.stillThere(ctx, in.opt.Queue, body) {
		var id uint64
		if id, err = in.opt.Queue.Bury(ctx, queue.NewJob{Kind: JobKind, Key: poisonKey(body), Labels: req.envelope.labels(), Payload: payload}, class, cause); err == nil {
			in.buried.add(body, id)
		}
	}
	if err != nil {
		in.log.Error("a dead letter can't be kept", "error", err.Error())
		return answer{}, &rejection{status: http.StatusServiceUnavailable, reason: ReasonStoresFailed, retryAfter: 30,
			title: "Nothing can be stored now", detail: "The body makes no sense here, and it can't be kept for inspection. Send it again."}
	}
	in.opt.Telemetry.Error(req.shop, "webhook_"+catalog.Topic(req.topic).Label(), typ)
	// The dead letter is the record; the journal row is a courtesy.
	if in.gate.err() == nil {
		if err := in.opt.Catalogue.Record(ctx, d, c.ID, outcome, cause.Error()); err != nil {
			in.log.Warn("the journal lacks a row for a dead letter", "error", err.Error())
		}
	}
	return answer{outcome: outcome, reason: cause.Error()}, nil
}

// BodyJSON returns the body as JSON for people to look at, or as a JSON string
// when it is none.
func (e Envelope) BodyJSON() jsontext.Value {
	v := jsontext.Value(e.Body)
	if v.IsValid() {
		return v
	}
	quoted, err := jsontext.AppendQuote(nil, string(e.Body))
	if err != nil {
		quoted, _ = jsontext.AppendQuote(nil, []byte("(not text)"))
	}
	return quoted
}

func words(err error) string {
	if cause := store.CauseOf(err); cause != "" {
		return cause.Words()
	}
	return "the change can't be applied yet"
}

func errorType(err error) telemetry.ErrorType {
	switch store.CauseOf(err) {
	case store.CauseLocked:
		return telemetry.ErrLocked
	case store.CauseFull:
		return telemetry.ErrDiskFull
	case store.CauseReadOnly:
		return telemetry.ErrReadOnly
	case store.CauseIO:
		return telemetry.ErrIO
	case store.CauseDamaged:
		return telemetry.ErrDamaged
	case store.CauseTimeout:
		return telemetry.ErrTimeout
	case store.CauseClosed:
		return telemetry.ErrClosed
	}
	return telemetry.ErrInternal
}
