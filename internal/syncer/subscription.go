package syncer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/limiter"
)

// checkSubscriptions compares the wanted subscriptions with those that a shop
// lists; with fix it creates the missing ones, moves ours that lead elsewhere,
// and replaces those that leave something out. It never touches one that is not
// ours.
//
// Where one that had been there was missing or led elsewhere, deliveries may have
// been lost. That a comparison is owed is noted in state.db before this returns, and
// a crash in between does not lose it.
//
// In pull mode nothing is wanted, and with fix what is ours is removed where the
// settings say so.
//
// With an error nothing is known beyond Error; what was known before stands.
func (s *Syncer) checkSubscriptions(ctx context.Context, shop string, fix bool) (out Subscriptions, err error) {
	if err := s.subscribing.lock(ctx, shop); err != nil {
		return Subscriptions{}, err
	}
	defer s.subscribing.unlock(shop)
	c := subscriptionCheck{s: s, shop: shop, base: s.o.PublicURL, rec: s.subscriptionRecord(shop), done: map[string]string{}}
	if s.o.Pull || c.base == "" {
		out, err = c.pull(ctx, fix)
	} else {
		out, err = c.push(ctx, fix)
	}
	if err = errors.Join(err, s.saveSubscriptionRecord(shop, c.rec)); err != nil {
		return Subscriptions{Error: catalog.Capital(sentence(err))}, err
	}
	return out, nil
}

// push is a check of a shop whose deliveries are waited for.
func (c *subscriptionCheck) push(ctx context.Context, fix bool) (out Subscriptions, err error) {
	c.rec.Removed = c.rec.Removed && !fix
	if err = c.run(ctx, fix); err == nil {
		err = c.settle()
	}
	if err == nil {
		out = c.report(time.Now())
		c.noteSince(out)
	}
	return out, err
}

// subscriptionCheck is one comparison of one shop.
type subscriptionCheck struct {
	s       *Syncer
	shop    string
	base    string // where we are
	rec     subscriptionRecord
	plan    subscriptionPlan
	done    map[string]string // what this check did, by topic: created or moved
	unheard error             // why the journal could not be asked
	again   bool              // the list has changed under us
	healed  bool
}

// rounds bounds how often a list that changes under us is read again.
const rounds = 3

func (c *subscriptionCheck) run(ctx context.Context, fix bool) error {
	for range rounds {
		if err := c.look(ctx); err != nil {
			return err
		}
		c.plan.note(&c.rec, time.Now())
		c.again = false
		if !fix || len(c.plan.surplus) == 0 && !c.plan.has(createSub, moveSub, replaceSub) {
			return nil
		}
		if err := c.mend(ctx); err != nil || !c.again {
			return err
		}
	}
	return nil
}

// look plans by what the shop lists and, where one is missing, by what delivers.
func (c *subscriptionCheck) look(ctx context.Context) error {
	listed, err := c.s.o.API.Subscriptions(ctx, c.shop, limiter.Reconcile)
	if err != nil {
		return err
	}
	c.rec.adopt(c.base, listed)
	c.plan = planSubscriptions(c.base, listed, c.rec, nil)
	if c.plan.has(createSub) {
		heard, err := c.s.o.Store.LastByTopic(ctx, c.shop)
		if err != nil && ctx.Err() != nil {
			return err
		}
		c.unheard = err
		have, _ := c.s.o.State.Shop(c.shop)
		c.plan = planSubscriptions(c.base, listed, c.rec, heardTopics(heard, latest(have.AddedAt, time.Now().Add(-heardFor))))
	}
	k := c.s.keeperOf(c.shop)
	proven := get(k, &k.proof).IDs != 0
	for i := range c.plan.steps {
		step := &c.plan.steps[i]
		// Where the copy is proven, what changed since then was not delivered either.
		step.known = step.known || proven && carriesChanges(step.topic)
		if c.unheard != nil && step.do == createSub && !c.rec.Topics[step.topic].Listed {
			step.do = keepSub // it may be made elsewhere
		}
	}
	return nil
}

// mend does what the plan says. What is about to be asked for is noted first,
// so that a creation whose answer is lost is known for ours later, and that a
// comparison follows. It returns the errors that concern all further steps.
func (c *subscriptionCheck) mend(ctx context.Context) error {
	owed := c.rec.Healing
	for _, step := range c.plan.steps {
		if step.do != keepSub {
			c.rec.ask(step)
			c.rec.Healing = c.rec.Healing || step.known
		}
	}
	if err := c.s.saveSubscriptionRecord(c.shop, c.rec); err != nil {
		return err
	}
	for i := range c.plan.steps {
		if step := &c.plan.steps[i]; step.do != keepSub {
			if err := c.take(ctx, step); err != nil {
				return err
			}
		}
	}
	c.rec.Healing = owed || c.healed
	for _, sub := range c.plan.surplus {
		if err := c.delete(ctx, sub.ID); err != nil {
			return err
		}
		c.plan.others = slices.DeleteFunc(c.plan.others, func(s Subscription) bool { return s.ID == sub.ID })
		c.s.log.Info("a surplus webhook subscription of ours is deleted", "shop", c.shop, "topic", sub.Topic, "address", sub.URI)
	}
	return nil
}

// take makes one step. It returns the errors that concern all further steps.
func (c *subscriptionCheck) take(ctx context.Context, step *subscriptionStep) error {
	id, state := step.have.ID, subCreated
	var err error
	if step.do == moveSub {
		state = subMoved
		err = c.s.o.API.MoveSubscription(ctx, c.shop, limiter.Reconcile, id, step.uri)
	} else {
		id, err = c.create(ctx, step)
	}
	switch changed := step.do == moveSub || shopify.IsTaken(err); {
	case err != nil && stops(err):
		return err
	case err != nil:
		// A list that has changed under us tells: it is gone, or somebody made it at the
		// same time. What vanished from it may have been away for a while. Where Shopify
		// says the same as the last time, one is there that it does not list.
		if c.rec.refuse(step, err) {
			c.again, c.healed = c.again || changed, c.healed || changed && step.known
			c.s.log.Warn("a webhook subscription is refused", "shop", c.shop, "topic", step.topic, "error", err.Error())
		}
		return nil
	}
	c.done[step.topic] = state
	c.rec.Ours[id] = step.uri
	c.rec.Topics[step.topic] = topicRecord{ID: id, URI: step.uri, Listed: true}
	step.have.ID, step.have.URI, step.state, step.do = id, step.uri, state, keepSub
	c.healed = c.healed || step.known
	c.s.log.Info("webhook subscription "+state, "shop", c.shop, "topic", step.topic, "address", step.uri, "was_there_before", step.known)
	return nil
}

// create subscribes a topic; where that replaces another, the new one is made
// first, so that no delivery falls between the two. Where Shopify takes them for
// the same, the old one has to go before.
func (c *subscriptionCheck) create(ctx context.Context, step *subscriptionStep) (string, error) {
	id, err := c.s.o.API.Subscribe(ctx, c.shop, limiter.Reconcile, step.topic, step.uri)
	taken := shopify.IsTaken(err)
	if step.do != replaceSub || err != nil && !taken {
		return id, err
	}
	if err := c.delete(ctx, step.have.ID); err != nil || !taken {
		return id, err
	}
	return c.s.o.API.Subscribe(ctx, c.shop, limiter.Reconcile, step.topic, step.uri)
}

// delete deletes a subscription. That it is gone already is no error.
func (c *subscriptionCheck) delete(ctx context.Context, id string) error {
	if err := c.s.o.API.Unsubscribe(ctx, c.shop, limiter.Reconcile, id); err != nil && stops(err) {
		return err
	}
	return nil
}

// settle notes the comparison that a healing calls for, also the one of an
// earlier check that was cut short.
func (c *subscriptionCheck) settle() error {
	if !c.rec.Healing {
		return nil
	}
	err := c.s.wantComparison(c.shop, "webhook subscriptions were missing or led elsewhere", time.Now())
	c.rec.Healing = err != nil
	return err
}

// stops reports whether an error concerns more than the one topic.
func stops(err error) bool {
	switch shopify.KindOf(err) {
	case shopify.KindRefused, shopify.KindScope, shopify.KindPartial, shopify.KindTooDear:
		return false
	}
	return true
}

// report says how things stand after the check.
func (c *subscriptionCheck) report(now time.Time) Subscriptions {
	out := Subscriptions{CheckedAt: now.UTC(), Others: c.plan.others}
	known := c.knownByDeliveries()
	for _, step := range c.plan.steps {
		was := c.rec.Topics[step.topic]
		sub := Subscription{
			Topic: step.topic, URI: step.have.URI, ID: step.have.ID, State: step.state, Needed: carriesChanges(step.topic),
		}
		refused := was.Refused.URI == step.uri
		switch did := c.done[step.topic]; {
		case did != "" && step.state == subPresent:
			sub.State = did
		case step.state == subMissing && (known && (refused || !was.Listed) || refused && was.Refused.Taken):
			sub.State = subUnheard
		}
		if refused && (!sub.serves() || sub.State == subUnheard) {
			sub.Reason = was.Refused.Reason
			// Without the scope for stock its topics are not wanted.
			sub.Needed = sub.Needed && !(was.Refused.Scope && strings.HasPrefix(step.topic, "inventory_"))
		}
		out.Wanted = append(out.Wanted, sub)
	}
	if out.Present = len(out.Missing()) == 0; !out.Present {
		out.Error, out.Next = c.whyMissing(out.Wanted)
	}
	return out
}

// noteSince notes since when news of changed products comes.
func (c *subscriptionCheck) noteSince(out Subscriptions) {
	switch serves, now := servesChanges(out.Wanted); {
	case !serves:
		c.rec.Since = time.Time{}
	case now || c.rec.Since.IsZero():
		c.rec.Since = out.CheckedAt
	}
}

// knownByDeliveries reports whether news of products came without a subscription
// that the API lists. Then it is subscribed to elsewhere, and a topic of which
// nothing came yet may be so as well.
func (c *subscriptionCheck) knownByDeliveries() bool {
	return slices.ContainsFunc(c.plan.steps, func(s subscriptionStep) bool {
		return strings.HasPrefix(s.topic, "products/") && (s.state == subByDeliveries || c.rec.Topics[s.topic].Heard)
	})
}

const triedAgain = "It is tried again every 5 minutes."

// whyMissing says why needed subscriptions are not there, and what to do. All
// that Shopify refuses in one check are refused for the same reason, or nearly so:
// that of the first is said, and each keeps its own.
func (c *subscriptionCheck) whyMissing(wanted []Subscription) (what, next string) {
	var topics []string
	for _, sub := range wanted {
		if sub.Needed && !sub.serves() && sub.Reason != "" {
			topics = append(topics, sub.Topic)
		}
	}
	switch {
	case len(topics) == 0 && c.unheard != nil:
		return "The journal of deliveries can't be read now, so nothing new is subscribed.", triedAgain
	case len(topics) == 0:
		return "", "Press Register on the page Shops, or run stockroom webhooks register " + c.shop +
			". A running server does the same every 5 minutes."
	}
	r := c.rec.Topics[topics[0]].Refused
	names, reason := strings.Join(topics, ", "), strings.TrimRight(r.Reason, ".")+"."
	switch {
	case r.Address:
		return "Shopify refuses the address " + c.base + ": " + reason,
			"Start Stockroom with another --public-url: an https address of your own that leads to this server."
	case r.Scope:
		return "Shopify refuses the subscriptions " + names + ", because the app lacks a permission: " + reason, triedAgain
	}
	return "Shopify refuses the subscriptions " + names + ": " + reason,
		triedAgain + " Where it stays so, subscribe to them yourself with the address " + c.base + productsHook + ": in the app's own configuration, or in " +
			"the shop's admin under Settings, Notifications (docs/access.md). Or start Stockroom with --webhooks off, which needs no subscriptions."
}

// sentence says an error to a person.
func sentence(err error) string {
	return strings.TrimSuffix(wordsOf(err), ".") + "."
}
