package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/errgroup"

	"stockroom/internal/catalog"
	"stockroom/internal/telemetry"
	"stockroom/internal/uptime"
	"stockroom/queue"
	"stockroom/store"
)

// How long after its arrival a delivery may wait for the catalogue, and for the queue
// after it.
const (
	catalogueBudget = 3 * time.Second
	queueBudget     = 4300 * time.Millisecond
)

// accept makes an authentic delivery durable: in the catalogue, else in the
// queue, else not at all.
func (in *Intake) accept(req *request, shop Shop, topic catalog.Topic) (receipt, *rejection) {
	// What is durable must not depend on the client staying.
	ctx := context.WithoutCancel(req.http.Context())
	change, err := in.decode(req.envelope, topic)
	if err != nil {
		return in.bury(ctx, req, about(topic, change, req.envelope.Body), err)
	}
	ctx, cancel := context.WithDeadline(ctx, req.arrived.Add(catalogueBudget))
	defer cancel()
	if change.Kind == catalog.ShopRedact && (shop.Removed || shop.Uninstalled) && in.opt.Redact != nil {
		if err := in.opt.Redact(ctx, req.shop); err != nil {
			return in.enqueue(req, 0, err)
		}
		const done = "everything kept of the shop was deleted"
		if _, err := in.opt.Catalogue.Record(ctx, req.envelope.delivery(), 0, store.Applied, done, nil); err != nil {
			in.lines.Warn("the journal lacks a row for an erasure", "shop", req.shop, "error", err.Error())
		}
		return receipt{success: true, outcome: store.Applied, reason: done}, nil
	}
	res, err := in.apply(ctx, req.envelope, change)
	switch {
	case err == nil:
		return receipt{success: true, outcome: res.Outcome, reason: res.Reason}, nil
	case errors.Is(err, store.ErrOtherShop):
		return in.bury(context.WithoutCancel(ctx), req, change.ID, store.ErrOtherShop)
	}
	// It arrived, whatever becomes of it: that it could not be kept says nothing of
	// the way here.
	in.opt.Heard(store.Delivery{Shop: req.shop, Topic: req.topic, WebhookID: req.envelope.WebhookID, ReceivedAt: req.arrived}, change)
	return in.enqueue(req, about(topic, change, req.envelope.Body), err)
}

// mostAhead is how far a body's time may be ahead of the shop's clock. The order
// of versions is by that time, so one from the future would win over every edit
// to come.
const mostAhead = 5 * time.Minute

// decode reads the body and checks that the shop it names, if any, is the
// header's, and that it is not from that shop's future.
func (in *Intake) decode(e Envelope, topic catalog.Topic) (catalog.Change, error) {
	c, err := catalog.Decode(topic, e.Body)
	switch {
	case err != nil:
		return c, err
	case c.ShopDomain != "" && c.ShopDomain != e.Shop:
		return c, &catalog.MismatchError{Reason: "the body names another shop than the header"}
	case c.Kind != catalog.Upsert, in.opt.ShopTime == nil:
		return c, nil
	}
	if at := time.UnixMilli(c.Product.UpdatedAt.Value()); at.After(in.opt.ShopTime(e.Shop).Add(mostAhead)) {
		return c, &catalog.MismatchError{Reason: fmt.Sprintf(
			"the body is dated %s, more than %d minutes ahead of the shop's clock; the product is read from the shop instead",
			at.UTC().Format(time.RFC3339), int(mostAhead.Minutes()))}
	}
	return c, nil
}

// about is the product that a delivery is about, 0 when it names none. What the
// law asks for concerns no product, and no read answers it.
func about(topic catalog.Topic, c catalog.Change, body []byte) int64 {
	switch {
	case topic.Compliance():
	case c.ID == 0:
		return catalog.ProductOf(topic, body)
	case c.Kind == catalog.Upsert || c.Kind == catalog.Delete || c.Kind == catalog.ProductEvent:
		return c.ID
	}
	return 0
}

// errLate is why a delivery goes to the queue whose body took all the time there
// was. It says nothing of the catalogue.
var errLate = errors.New("the body took too long to arrive to be applied at once")

// apply hands a change to the catalogue. Transient failures are tried again
// with exponential backoff and jitter until ctx ends.
func (in *Intake) apply(ctx context.Context, e Envelope, c catalog.Change) (store.Result, error) {
	if err := in.gate.err(); err != nil {
		return store.Result{}, err
	}
	if ctx.Err() != nil {
		return store.Result{}, errLate
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
		u, unavailable := errors.AsType[*store.UnavailableError](err)
		if !unavailable {
			return res, err
		}
		if !u.Transient || ctx.Err() != nil || !uptime.Sleep(ctx, jitter(pause)) {
			in.gate.close(err)
			return res, err
		}
		pause = min(2*pause, 400*time.Millisecond)
	}
}

// unconfirmed is all that is known when no store answered in time or one failed: a
// commit that was given up may still come to the disk.
const unconfirmed = "Not confirmed to be on disk"

// enqueue keeps a delivery that the catalogue could not take.
func (in *Intake) enqueue(req *request, product int64, cause error) (receipt, *rejection) {
	payload, err := req.envelope.Encode()
	if err == nil {
		ctx, cancel := context.WithDeadline(context.WithoutCancel(req.http.Context()), req.arrived.Add(queueBudget))
		defer cancel()
		job := queue.NewJob{Kind: store.DeliveryJob, Labels: req.envelope.labels(product), Payload: payload}
		switch c := store.CauseOf(cause); {
		case c != "":
			job.Labels["waits_for"] = c.Words()
		case !errors.Is(cause, errLate):
			job.Delay = true // the catalogue works and this change does not
		}
		_, _, err = in.opt.Queue.Enqueue(ctx, job)
	}
	if err != nil {
		if in.gate.noteRefused() {
			in.lines.Error("neither the catalogue nor the queue confirms a delivery", "catalogue", cause.Error(), "queue", err.Error())
		}
		return receipt{}, &rejection{status: http.StatusServiceUnavailable, reason: ReasonStoresFailed, retryAfter: 30,
			title: unconfirmed,
			detail: "The delivery is not confirmed to be on disk; send it again. The catalogue: " + words(cause) +
				". The retry queue: " + queueWords(err) + "."}
	}
	in.opt.Telemetry.Error(req.shop, "webhook_"+catalog.Topic(req.topic).Label(), errorType(cause))
	in.gate.noteQueued()
	outage := store.CauseOf(cause) != ""
	return receipt{queued: true, outcome: store.Queued, reason: words(cause), outage: outage}, nil
}

// bury keeps a body that makes no sense, whole, as a dead letter. Equal bodies
// under the same topic share one: the topic is not signed, so anybody who has
// seen one delivery could otherwise fill the disk with it. The product that it
// is about is read from the shop, which answers the letter; 0 for none.
func (in *Intake) bury(ctx context.Context, req *request, product int64, cause error) (receipt, *rejection) {
	ctx, cancel := context.WithDeadline(ctx, req.arrived.Add(queueBudget))
	defer cancel()
	outcome, class := sentence(cause)
	unnamed := req.envelope
	unnamed.WebhookID = ""
	body := unnamed.delivery().Dedupe
	payload, err := req.envelope.Encode()
	if err == nil && !in.buried.stillThere(ctx, in.opt.Queue, body) {
		labels := req.envelope.labels(product)
		job := queue.NewJob{Kind: store.DeliveryJob, Key: poisonKey(body), Labels: labels, Payload: payload}
		var id uint64
		if id, err = in.opt.Queue.Bury(ctx, job, class, cause); err == nil {
			in.buried.add(body, id)
		}
	}
	if err != nil {
		in.lines.Error("a dead letter is not confirmed to be on disk", "error", err.Error())
		return receipt{}, &rejection{status: http.StatusServiceUnavailable, reason: ReasonStoresFailed, retryAfter: 30,
			title: unconfirmed, detail: "The body makes no sense here, and its dead letter is not confirmed to be on disk; " +
				"send it again. The retry queue: " + queueWords(err) + "."}
	}
	in.note(ctx, req.envelope, product, cause)
	return receipt{outcome: outcome, reason: cause.Error()}, nil
}

// sentence is what becomes of a body that can't be applied.
func sentence(cause error) (store.Outcome, queue.Class) {
	if _, ok := errors.AsType[*catalog.MismatchError](cause); ok || errors.Is(cause, store.ErrOtherShop) {
		return store.Mismatch, queue.ClassValidation
	}
	return store.Dead, queue.ClassPoison
}

// note counts a body that became a dead letter, writes its journal row, which is
// a courtesy since the letter is the record, and has its product read.
func (in *Intake) note(ctx context.Context, e Envelope, product int64, cause error) {
	outcome, _ := sentence(cause)
	typ := telemetry.ErrMalformed
	if outcome == store.Mismatch {
		typ = telemetry.ErrMismatch
	}
	in.opt.Telemetry.Error(e.Shop, "webhook_"+catalog.Topic(e.Topic).Label(), typ)
	var want *store.Wanted
	if product != 0 {
		want = &store.Wanted{Shop: e.Shop, Kind: store.WantProduct, ID: product, Reason: "a delivery about it could not be applied"}
	}
	if in.gate.err() == nil {
		if told, err := in.opt.Catalogue.Record(ctx, e.delivery(), product, outcome, cause.Error(), want); err == nil {
			want = told
		} else {
			in.lines.Warn("the journal lacks a row for a dead letter", "error", err.Error())
		}
	}
	if want != nil {
		in.opt.Wanted(*want)
	}
}

func words(err error) string {
	if cause := store.CauseOf(err); cause != "" {
		return cause.Words()
	}
	if errors.Is(err, errLate) {
		return err.Error()
	}
	return "the change can't be applied yet"
}

// queueWords says to a person why the queue did not take a delivery.
func queueWords(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "it did not answer in time"
	}
	switch store.CauseOfFile(err) {
	case store.CauseFull:
		return "the disk is full"
	case store.CauseReadOnly:
		return "queue.db can't be written: rights or a read-only disk"
	}
	return "queue.db can't be written"
}

func errorType(err error) telemetry.ErrorType {
	if errors.Is(err, errLate) {
		return telemetry.ErrTimeout
	}
	switch store.CauseOf(err) {
	case store.CauseLocked:
		return telemetry.ErrLocked
	case store.CauseFull:
		return telemetry.ErrDiskFull
	case store.CauseReadOnly:
		return telemetry.ErrReadOnly
	case store.CauseIO, store.CauseLost:
		return telemetry.ErrIO
	case store.CauseDamaged:
		return telemetry.ErrDamaged
	case store.CauseSlow, store.CauseTimeout:
		return telemetry.ErrTimeout
	case store.CauseClosed:
		return telemetry.ErrClosed
	}
	return telemetry.ErrInternal
}

const buriedKept = 4096

// buried remembers the newest dead letters by body, so that the same body sent
// again does not make another one. It is in memory only: what it forgets costs
// one dead letter more, never one less.
type buried struct {
	mu  sync.Mutex
	ids *lru.LRU[int64, uint64] // de-duplication key without the webhook id, to job id
}

func (b *buried) add(body int64, id uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids.Add(body, id)
}

// stillThere reports whether the queue still keeps the body's dead letter;
// somebody may have discarded it since.
func (b *buried) stillThere(ctx context.Context, q Queue, body int64) bool {
	b.mu.Lock()
	id, ok := b.ids.Get(body)
	b.mu.Unlock()
	if !ok {
		return false
	}
	_, err := q.Get(ctx, id)
	return err == nil
}

const (
	workers     = 16
	snoozeFor   = 5 * time.Second // while the catalogue is unavailable; a probe that commits wakes the jobs earlier
	applyBudget = 10 * time.Second
	workMost    = time.Minute // for one of them in all
)

// Run works the queued deliveries and watches over the catalogue until ctx
// ends.
func (in *Intake) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		in.gate.run(ctx)
		return nil
	})
	g.Go(func() error {
		// While the catalogue can't be written the jobs just wait; leasing them
		// would only move them about.
		for in.gate.waitOpen(ctx) {
			if err := in.gate.whileOpen(ctx, func(ctx context.Context) error {
				return in.opt.Queue.Work(ctx, store.DeliveryJob, workers, workMost, in.work)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// work applies one queued delivery. While the catalogue is unavailable it
// spends no attempt.
func (in *Intake) work(ctx context.Context, j queue.Job) error {
	e, err := DecodeEnvelope(j.Payload)
	if err != nil {
		return queue.Permanent(err, queue.ClassPoison)
	}
	if err := in.gate.err(); err != nil {
		return queue.Snooze(time.Now().Add(snoozeFor), words(err))
	}
	topic, _ := catalog.ParseTopic(e.Topic)
	shop, known := in.directory.Load().shops[e.Shop]
	if shop.Removed && !topic.Compliance() {
		in.lines.Info("a delivery that waited is dropped, as its shop was removed", "shop", e.Shop, "topic", e.Topic)
		return nil
	}
	c, err := in.decode(e, topic)
	if err != nil {
		return in.dead(ctx, e, about(topic, c, e.Body), err)
	}
	working := ctx
	ctx, cancel := context.WithTimeout(working, applyBudget)
	defer cancel()
	if known && c.Kind == catalog.ShopRedact && (shop.Removed || shop.Uninstalled) && in.opt.Redact != nil {
		return in.opt.Redact(ctx, e.Shop)
	}
	res, err := in.opt.Catalogue.Apply(ctx, e.delivery(), c)
	switch {
	case err == nil:
		if res.Wanted != nil {
			in.opt.Wanted(*res.Wanted)
		}
		return nil
	case errors.Is(err, store.ErrOtherShop):
		return in.dead(ctx, e, c.ID, store.ErrOtherShop)
	case working.Err() != nil:
		return err // cut off by a stop or a closed gate, which says nothing of the catalogue
	case errors.Is(err, store.ErrUnavailable):
		in.gate.close(err)
		return queue.Snooze(time.Now().Add(snoozeFor), words(err))
	}
	return err
}

// dead says that a queued delivery can never be applied.
func (in *Intake) dead(ctx context.Context, e Envelope, product int64, cause error) error {
	in.note(ctx, e, product, cause)
	_, class := sentence(cause)
	return queue.Permanent(cause, class)
}
