package webhook

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
)

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
