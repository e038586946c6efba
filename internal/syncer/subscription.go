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
// lists; with fix it creates the missing ones, moves those that point to an
// address that was ours, and replaces those that leave something out. It never
// touches an address that is not ours.
//
// healed reports that one that had been there was missing or led elsewhere, so
// that deliveries may have been lost. That a comparison is owed is noted in
// state.db before this returns, and a crash in between does not lose it.
//
// With an error nothing is known beyond Error; what was known before stands.
func (s *Syncer) checkSubscriptions(ctx context.Context, shop string, fix bool) (out Subscriptions, healed bool, err error) {
	if err := s.subscribing.lock(ctx, shop); err != nil {
		return Subscriptions{}, false, err
	}
	defer s.subscribing.unlock(shop)
	c := subscriptionCheck{
		s: s, shop: shop, rec: s.subscriptionRecord(shop), done: map[string]string{}, retried: map[string]bool{},
	}
	if s.o.PublicURL != nil {
		c.url = s.o.PublicURL()
	}
	var problem trouble
	if c.base, problem = parseBase(c.url); c.base != nil {
		c.rec.addBase(c.url)
	}
	if err = c.run(ctx, fix && c.base != nil); err == nil {
		err = c.settle()
	}
	if err != nil {
		return Subscriptions{Error: catalog.Capital(sentence(err))}, c.healed, err
	}
	out = c.report(time.Now(), problem)
	if err := c.since(&out); err != nil {
		return Subscriptions{Error: catalog.Capital(sentence(err))}, c.healed, err
	}
	return out, c.healed, nil
}

// since notes since when news of changed products comes.
func (c *subscriptionCheck) since(out *Subscriptions) error {
	switch serves, now := servesChanges(out.Wanted); {
	case !serves:
		c.rec.Since = time.Time{}
	case now || c.rec.Since.IsZero():
		c.rec.Since = out.CheckedAt
	}
	out.Since = c.rec.Since
	return c.save()
}

// subscriptionCheck is one comparison of one shop.
type subscriptionCheck struct {
	s       *Syncer
	shop    string
	url     string   // where we are, as it was set
	base    *address // the same; nil: not known
	rec     subscriptionRecord
	plan    subscriptionPlan
	done    map[string]string // what this check did, by topic: created or moved
	retried map[string]bool   // topics whose move went wrong, so that the list is read again
	unheard error             // why the journal could not be asked
	again   bool              // the list has changed under us
	doubt   bool              // and what vanished from it may have been away for a while
	healed  bool
}

// rounds bounds how often a list that changes under us is read again.
const rounds = 3

func (c *subscriptionCheck) run(ctx context.Context, fix bool) error {
	for range rounds {
		listed, err := c.s.o.API.Subscriptions(ctx, c.shop, limiter.Reconcile)
		if err != nil {
			return err
		}
		c.rec.adopt(listed)
		c.plan = planSubscriptions(c.base, listed, c.rec, nil)
		if c.plan.asksJournal() {
			heard, err := c.s.o.Store.LastByTopic(ctx, c.shop)
			if err != nil && ctx.Err() != nil {
				return err
			}
			c.unheard = err
			c.plan = planSubscriptions(c.base, listed, c.rec, heardTopics(heard, time.Now()))
		}
		c.missed()
		c.plan.note(&c.rec)
		if !fix || !c.plan.work() {
			return c.save()
		}
		c.again = false
		if err := c.mend(ctx); err != nil {
			return errors.Join(err, c.save())
		}
		if err := c.save(); err != nil || !c.again {
			return err
		}
	}
	return nil
}

// missed takes a topic of products that was never served for one that was, where
// the copy is proven already: what changed since then was not delivered either.
func (c *subscriptionCheck) missed() {
	if c.s.proofOf(c.shop).IDs == 0 {
		return // the first sync is still to come
	}
	for i := range c.plan.steps {
		if s := &c.plan.steps[i]; carriesChanges(s.topic) {
			s.known = true
		}
	}
}

// unsure reports whether a topic without a subscription may have one all the
// same, in the app's configuration file.
func (c *subscriptionCheck) unsure(step subscriptionStep) bool {
	return step.do == createSub && !c.rec.Topics[step.topic].Listed && c.unheard != nil
}

// mend does what the plan says. What is about to be asked for is noted first,
// so that a creation whose answer is lost is known for ours later, and that a
// comparison follows. It returns the errors that concern all further steps.
func (c *subscriptionCheck) mend(ctx context.Context) error {
	owed := c.rec.Healing
	for _, step := range c.plan.steps {
		if step.do != keepSub && !c.unsure(step) {
			c.rec.ask(step.topic, time.Now())
			c.rec.Healing = c.rec.Healing || step.known
		}
	}
	if err := c.save(); err != nil {
		return err
	}
	for _, step := range c.plan.steps {
		if c.unsure(step) {
			continue
		}
		if err := c.take(ctx, step); err != nil {
			return err
		}
	}
	c.rec.Healing = owed || c.healed || c.doubt
	for _, sub := range c.plan.surplus {
		if err := c.s.o.API.Unsubscribe(ctx, c.shop, limiter.Reconcile, sub.ID); err != nil && stops(err) {
			return err
		}
		c.plan.forget(sub.ID)
		c.s.log.Info("a surplus webhook subscription of ours is deleted", "shop", c.shop, "topic", sub.Topic, "address", sub.URI)
	}
	return nil
}

// take makes one step. It returns the errors that concern all further steps.
func (c *subscriptionCheck) take(ctx context.Context, step subscriptionStep) error {
	api, class := c.s.o.API, limiter.Reconcile
	var err error
	id, state := step.have.ID, subMoved
	switch step.do {
	case keepSub:
		return nil
	case createSub:
		state = subCreated
		id, err = c.create(ctx, step)
	case moveSub:
		err = api.MoveSubscription(ctx, c.shop, class, step.have.ID, step.uri)
	case replaceSub:
		// The new one first, so that no delivery falls between the two. Where
		// Shopify takes them for the same, the old one has to go before.
		state = subCreated
		var taken bool
		if id, taken, err = api.Subscribe(ctx, c.shop, class, step.topic, step.uri); err == nil {
			err = api.Unsubscribe(ctx, c.shop, class, step.have.ID)
			if err != nil && !stops(err) {
				err = nil // gone already
			}
			if err == nil && taken {
				id, err = c.create(ctx, step)
			}
		}
	}
	switch {
	case err != nil && stops(err):
		return err
	case err != nil && step.do == moveSub && c.done[step.topic] == "" && !c.retried[step.topic]:
		c.retried[step.topic], c.again, c.doubt = true, true, c.doubt || step.known // gone or taken meanwhile: the list tells
		c.rec.refuse(step, err)
		return nil
	case err != nil:
		c.rec.refuse(step, err)
		c.rec.unask(step.topic)
		c.s.log.Warn("a webhook subscription is refused", "shop", c.shop, "topic", step.topic, "error", err.Error())
		return nil
	case id == "":
		c.again, c.doubt = true, c.doubt || step.known // somebody made it at the same time: the list has its id
		c.rec.refuse(step, errTaken())                 // unless it is one that the API does not list
		return nil
	}
	c.done[step.topic] = state
	c.rec.made(step.topic, id, step.uri, step.do != moveSub)
	c.plan.mended(step.topic, id, state)
	c.healed = c.healed || step.known
	c.s.log.Info("webhook subscription "+state, "shop", c.shop, "topic", step.topic, "address", step.uri, "was_there_before", step.known)
	return nil
}

// create subscribes a topic; "" when somebody else just did.
func (c *subscriptionCheck) create(ctx context.Context, step subscriptionStep) (string, error) {
	id, _, err := c.s.o.API.Subscribe(ctx, c.shop, limiter.Reconcile, step.topic, step.uri)
	return id, err
}

// settle notes the comparison that a healing calls for, also the one of an
// earlier check that was cut short.
func (c *subscriptionCheck) settle() error {
	if !c.rec.Healing {
		return nil
	}
	if err := c.s.owe(c.shop, "webhook subscriptions were missing or led elsewhere", time.Now()); err != nil {
		return err
	}
	c.healed, c.rec.Healing = true, false
	return c.save()
}

func (c *subscriptionCheck) save() error {
	return c.s.saveSubscriptionRecord(c.shop, c.rec)
}

// stops reports whether an error concerns more than the one topic.
func stops(err error) bool {
	switch shopify.KindOf(err) {
	case shopify.KindRefused, shopify.KindScope, shopify.KindPartial, shopify.KindTooDear:
		return false
	}
	return true
}

// scopeRefused reports whether a topic was refused because the app lacks the
// scope for it. Shopify says so by ACCESS_DENIED, or in a mutation's userErrors.
func scopeRefused(err error) bool {
	var e *shopify.Error
	if !errors.As(err, &e) {
		return false
	}
	text := strings.ToLower(e.Message)
	return e.Kind == shopify.KindScope || e.Kind == shopify.KindRefused && (strings.Contains(text, "scope") || strings.Contains(text, "permission"))
}

// report says how things stand after the check.
func (c *subscriptionCheck) report(now time.Time, problem trouble) Subscriptions {
	out := Subscriptions{CheckedAt: now.UTC(), Present: true, Others: slices.Clone(c.plan.others)}
	known := c.knownByDeliveries()
	var refused []Subscription
	var why []refusal
	for _, step := range c.plan.steps {
		if did := c.done[step.topic]; did != "" && step.state == subPresent {
			step.state = did
		}
		if was := c.rec.Topics[step.topic]; known && step.state == subMissing && !was.Listed {
			step.state = subUnheard
		}
		sub := Subscription{
			Topic: step.topic, URI: step.shown, ID: step.have.ID, State: step.state, Needed: carriesChanges(step.topic),
		}
		if r := c.rec.Topics[step.topic].Refused; r.URI == step.uri && (!sub.serves() || sub.State == subUnheard) {
			sub.Reason = r.Reason
			// Without the scope for stock its topics are not wanted.
			sub.Needed = sub.Needed && !(r.Scope && strings.HasPrefix(step.topic, "inventory_"))
			if r.Reason != "" && sub.Needed && !sub.serves() {
				refused, why = append(refused, sub), append(why, r)
			}
		}
		out.Wanted = append(out.Wanted, sub)
		out.Present = out.Present && (sub.serves() || !sub.Needed)
	}
	if out.Present {
		return out
	}
	switch {
	case c.base == nil:
	case len(refused) > 0:
		problem = c.refusedWords(refused, why[0])
	case c.unheard != nil:
		problem = trouble{"The journal of deliveries can't be read now, so nothing new is subscribed.", triedAgain}
	default:
		problem.step = "Press Register on the page Shops, or run stockroom webhooks register " + c.shop +
			". A running server does the same every 5 minutes."
	}
	out.Error, out.Next = problem.what, problem.step
	return out
}

// knownByDeliveries reports whether news of products came without a subscription
// that the API lists. Then the app's configuration subscribes, and a topic of
// which nothing came yet may be subscribed to there as well.
func (c *subscriptionCheck) knownByDeliveries() bool {
	return slices.ContainsFunc(c.plan.steps, func(s subscriptionStep) bool {
		was := c.rec.Topics[s.topic]
		return strings.HasPrefix(s.topic, "products/") && (s.state == subByDeliveries || was.Heard && !was.Listed)
	})
}

// refusedWords says why Shopify makes no subscription, and what to do. All of one
// check are refused for the same reason, or nearly so: the first one is said, and
// each keeps its own.
func (c *subscriptionCheck) refusedWords(list []Subscription, r refusal) trouble {
	var topics []string
	for _, sub := range list {
		topics = append(topics, sub.Topic)
	}
	names, reason := strings.Join(topics, ", "), strings.TrimRight(r.Reason, ".")+"."
	switch {
	case r.Address:
		return trouble{"Shopify refuses the address " + c.url + ": " + reason,
			"Start Stockroom with another --public-url: an https address of your own that leads to this server."}
	case r.Scope:
		return trouble{"Shopify refuses the subscriptions " + names + ", because the app lacks a permission: " + reason, triedAgain}
	}
	return trouble{"Shopify refuses the subscriptions " + names + ": " + reason, triedAgain}
}

const triedAgain = "It is tried again every 5 minutes."

// sentence says an error to a person.
func sentence(err error) string {
	text := err.Error()
	var e *shopify.Error
	if errors.As(err, &e) {
		text = e.Words()
	}
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
