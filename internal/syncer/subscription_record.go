package syncer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"stockroom/internal/shopify"
)

// subscriptionMarks is the namespace of state.db that holds a record for each
// shop.
const subscriptionMarks = "subscriptions"

// subscriptionRecord is what is remembered of a shop's subscriptions, so that
// one that vanished is told from one that the API never lists, and ours from
// those of others.
type subscriptionRecord struct {
	Topics map[string]topicRecord `json:"topics"`
	Bases  []string               `json:"bases"` // the public URLs we had, the present one last
	Made   []string               `json:"made"`  // ids of those we made that are still listed
	// Foreign are those that look like ours but serve another Stockroom on the
	// same app: they are left alone.
	Foreign []string `json:"foreign,omitempty"`
	// Healing: a comparison is owed as soon as what is missing is there again.
	Healing bool `json:"healing,omitempty"`
	// Since is since when news of changed products is known to be subscribed to;
	// zero when it is not.
	Since time.Time `json:"since,omitzero"`
}

// topicRecord is what is remembered of a topic.
type topicRecord struct {
	ID     string    `json:"id,omitempty"`     // of the one that served us last
	URI    string    `json:"uri,omitempty"`    // where it led
	Listed bool      `json:"listed,omitempty"` // one that led to us was listed, or made by us
	Heard  bool      `json:"heard,omitempty"`  // it delivered without being listed
	Asked  time.Time `json:"asked,omitzero"`   // when a creation was asked for whose answer is not known

	Refused refusal `json:"refused,omitzero"`
}

// refusal is Shopify's no to a subscription.
type refusal struct {
	Reason  string `json:"reason"`            // in Shopify's words
	URI     string `json:"uri"`               // of which it was said
	Address bool   `json:"address,omitempty"` // it is about the address
	Scope   bool   `json:"scope,omitempty"`   // the app lacks a permission
}

// errTaken says what Shopify says where there is such a subscription.
func errTaken() error {
	return &shopify.Error{
		Kind: shopify.KindRefused, Message: addressField + "Address for this topic has already been taken",
	}
}

// addressField is how Shopify names the address in its errors, whatever we call
// it (shopify.dev/docs/api/admin-graphql/latest/mutations/webhookSubscriptionCreate).
const addressField = "webhookSubscription.callbackUrl: "

// refuse notes why a step was refused.
func (r *subscriptionRecord) refuse(step subscriptionStep, err error) {
	t := r.Topics[step.topic]
	t.Refused = refusal{Reason: err.Error(), URI: step.uri, Scope: scopeRefused(err)}
	var e *shopify.Error
	if errors.As(err, &e) {
		t.Refused.Reason = e.Words()
		if e.Kind == shopify.KindRefused && e.Message != "" {
			t.Refused.Reason, t.Refused.Address = strings.CutPrefix(e.Message, addressField)
		}
	}
	r.Topics[step.topic] = t
}

// known reports whether the topic had been served before.
func (t topicRecord) known() bool { return t.Listed || t.Heard }

const (
	mostBases   = 10  // former public URLs that are remembered
	mostForeign = 200 // subscriptions of others that are remembered
)

// addBase notes where we are now.
func (r *subscriptionRecord) addBase(base string) {
	if n := len(r.Bases); n > 0 && r.Bases[n-1] == base {
		return
	}
	r.Bases = append(slices.DeleteFunc(r.Bases, func(b string) bool { return b == base }), base)
	if n := len(r.Bases) - mostBases; n > 0 {
		r.Bases = r.Bases[n:]
	}
}

// former reports whether uri leads to an address that is or was ours.
func (r *subscriptionRecord) former(uri string) bool {
	return slices.ContainsFunc(r.Bases, func(base string) bool {
		a, _ := parseBase(base)
		return a.leadsTo(uri)
	})
}

// foreign reports whether a subscription that leads elsewhere is not ours to
// move. One that we had brought here and that leads to a place that was never
// ours was moved by somebody who needs it: two Stockrooms on one app would else
// move it to and fro.
func (r *subscriptionRecord) foreign(base *address, sub shopify.Subscription) bool {
	if base.leadsTo(sub.URI) || r.former(sub.URI) {
		return false
	}
	t := r.Topics[sub.Topic]
	return t.ID == sub.ID && base.leadsTo(t.URI) || slices.Contains(r.Foreign, sub.ID)
}

// clockSlack is how far Shopify's clock may be behind ours.
const clockSlack = 5 * time.Minute

// adopt takes those for ours that were made after we had asked for them and
// lead where we asked for, and forgets ids that are gone.
func (r *subscriptionRecord) adopt(listed []shopify.Subscription) {
	gone := func(id string) bool {
		return !slices.ContainsFunc(listed, func(s shopify.Subscription) bool { return s.ID == id })
	}
	r.Made, r.Foreign = slices.DeleteFunc(r.Made, gone), slices.DeleteFunc(r.Foreign, gone)
	for _, s := range listed {
		t := r.Topics[s.Topic]
		if t.Asked.IsZero() || !whole(s) || !r.former(s.URI) || s.CreatedAt.Before(t.Asked.Add(-clockSlack)) {
			continue
		}
		r.made(s.Topic, s.ID, s.URI, true)
	}
}

func (r *subscriptionRecord) ask(topic string, now time.Time) {
	t := r.Topics[topic]
	t.Asked = now.UTC()
	r.Topics[topic] = t
}

func (r *subscriptionRecord) unask(topic string) {
	t := r.Topics[topic]
	t.Asked = time.Time{}
	r.Topics[topic] = t
}

// made notes a subscription that serves the topic now; ours: it was created by
// us, not only moved.
func (r *subscriptionRecord) made(topic, id, uri string, ours bool) {
	r.Topics[topic] = topicRecord{ID: id, URI: uri, Listed: true}
	if ours && !slices.Contains(r.Made, id) {
		r.Made = append(r.Made, id)
	}
}

// note remembers what a plan saw.
func (p *subscriptionPlan) note(r *subscriptionRecord) {
	served := map[string]bool{}
	for _, s := range p.steps {
		served[s.topic] = s.state == subPresent && s.uri != ""
		t := r.Topics[s.topic]
		switch s.state {
		case subPresent, subIncomplete:
			t = topicRecord{ID: s.have.ID, URI: s.have.URI, Listed: true}
		case subByDeliveries:
			t.Heard, t.Refused = true, refusal{}
		default:
			continue
		}
		r.Topics[s.topic] = t
	}
	// What looks like ours beside one that serves us is another Stockroom's.
	for _, o := range p.others {
		if served[o.Topic] && o.State == subElsewhere && alike(o.Topic, o.URI) && !slices.Contains(r.Foreign, o.ID) && len(r.Foreign) < mostForeign {
			r.Foreign = append(r.Foreign, o.ID)
		}
	}
}

// subscriptionRecord reads what is remembered; nothing when it can't be read.
func (s *Syncer) subscriptionRecord(shop string) subscriptionRecord {
	var r subscriptionRecord
	if text, ok := s.o.State.Get(subscriptionMarks, shop); ok {
		if err := json.Unmarshal(text, &r); err != nil {
			s.log.Warn("what is remembered of a shop's subscriptions can't be read; it is learnt anew", "shop", shop, "error", err.Error())
			r = subscriptionRecord{}
		}
	}
	if r.Topics == nil {
		r.Topics = map[string]topicRecord{}
	}
	return r
}

// saveSubscriptionRecord writes it when it differs from what is there.
func (s *Syncer) saveSubscriptionRecord(shop string, r subscriptionRecord) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("remember the subscriptions: %w", err)
	}
	if old, ok := s.o.State.Get(subscriptionMarks, shop); ok && bytes.Equal(old, text) {
		return nil
	}
	if err := s.o.State.Put(subscriptionMarks, shop, text); err != nil {
		return fmt.Errorf("remember the subscriptions: %w", err)
	}
	return nil
}
