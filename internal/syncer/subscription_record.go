package syncer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	// Ours are the listed ones that we made or moved, by id: where we made them
	// lead. One that leads elsewhere was moved by somebody who needs it.
	Ours map[string]string `json:"ours"`
	// Healing: a comparison is owed as soon as what is missing is there again.
	Healing bool `json:"healing,omitempty"`
	// Since is since when news of changed products is known to be subscribed to;
	// zero when it is not.
	Since time.Time `json:"since,omitzero"`
	// Removed: pull mode has removed what was ours, and nothing was subscribed since.
	Removed bool `json:"removed,omitempty"`
}

// topicRecord is what is remembered of a topic.
type topicRecord struct {
	ID     string `json:"id,omitempty"`     // of the one that served us last
	URI    string `json:"uri,omitempty"`    // where it led
	Listed bool   `json:"listed,omitempty"` // one that led to us was listed, or made by us
	Heard  bool   `json:"heard,omitempty"`  // it delivered without being listed
	// Gone is when one that had been listed was first missed; zero while it is there.
	Gone time.Time `json:"gone,omitzero"`

	// Asked is where one was to lead that was asked for and whose answer is not known.
	Asked string `json:"asked,omitempty"`

	Refused refusal `json:"refused,omitzero"`
}

// refusal is Shopify's no to a subscription.
type refusal struct {
	Reason  string `json:"reason"`            // in Shopify's words
	URI     string `json:"uri"`               // of which it was said
	Address bool   `json:"address,omitempty"` // it is about the address
	Scope   bool   `json:"scope,omitempty"`   // the app lacks a permission
	Taken   bool   `json:"taken,omitempty"`   // one is there that the API does not list
}

// addressField is how Shopify names the address in its errors, whatever we call
// it (shopify.dev/docs/api/admin-graphql/latest/mutations/webhookSubscriptionCreate).
const addressField = "webhookSubscription.callbackUrl: "

// refuse notes why a step was refused, and reports whether that is new.
func (r *subscriptionRecord) refuse(step *subscriptionStep, err error) (news bool) {
	t := r.Topics[step.topic]
	was := t.Refused
	t.Asked, t.Refused = "", refusal{Reason: wordsOf(err), URI: step.uri, Scope: scopeRefused(err), Taken: shopify.IsTaken(err)}
	var e *shopify.Error
	if errors.As(err, &e) && e.Kind == shopify.KindRefused && e.Message != "" {
		t.Refused.Reason, t.Refused.Address = strings.CutPrefix(e.Message, addressField)
	}
	r.Topics[step.topic] = t
	return t.Refused != was
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

// othersAt reports whether a delivery that came at an instant is of a subscription
// that the API never listed.
func (t topicRecord) othersAt(at time.Time) bool {
	return !at.IsZero() && (!t.Listed || !t.Gone.IsZero() && at.After(t.Gone.Add(retriesFor)))
}

// known reports whether the topic had been served before.
func (t topicRecord) known() bool { return t.Listed || t.Heard }

// names reports whether a subscription is one that we made or that served us last,
// and still leads where it led then.
func (r *subscriptionRecord) names(sub shopify.Subscription) bool {
	t := r.Topics[sub.Topic]
	return r.Ours[sub.ID] == sub.URI || t.ID == sub.ID && t.URI == sub.URI
}

// owns reports whether a subscription is ours: what begins with our address, and
// what the record names.
func (r *subscriptionRecord) owns(base string, sub shopify.Subscription) bool {
	return leadsHere(base, sub.URI) || r.names(sub)
}

// adopt takes those for ours that lead to the very address at which we subscribe
// or asked to, and forgets ids that are gone.
func (r *subscriptionRecord) adopt(base string, listed []shopify.Subscription) {
	maps.DeleteFunc(r.Ours, func(id, _ string) bool {
		return !slices.ContainsFunc(listed, func(s shopify.Subscription) bool { return s.ID == id })
	})
	for _, s := range listed {
		if whole(s) && (s.URI == base+HookPath(s.Topic) || s.URI == r.Topics[s.Topic].Asked) {
			r.Ours[s.ID] = s.URI
		}
	}
}

// ask notes what is about to be asked for.
func (r *subscriptionRecord) ask(step subscriptionStep) {
	t := r.Topics[step.topic]
	t.Asked = step.uri
	r.Topics[step.topic] = t
}

// note remembers what a plan saw.
func (p *subscriptionPlan) note(r *subscriptionRecord, now time.Time) {
	for _, s := range p.steps {
		t := r.Topics[s.topic]
		switch s.state {
		case subPresent, subIncomplete:
			t = topicRecord{ID: s.have.ID, URI: s.have.URI, Listed: true}
		case subByDeliveries:
			if t.Heard = true; s.do == keepSub {
				t.Listed, t.Gone, t.Refused = false, time.Time{}, refusal{}
			}
		case subMissing:
			if t.Listed && t.Gone.IsZero() {
				t.Gone = now.UTC()
			}
		default:
			continue
		}
		r.Topics[s.topic] = t
	}
}

// subscriptionRecord reads what is remembered; nothing when it can't be read.
func (s *Syncer) subscriptionRecord(shop string) subscriptionRecord {
	var r subscriptionRecord
	if text, ok := s.o.State.Get(subscriptionMarks, shop); ok {
		if err := json.Unmarshal(text, &r); err != nil {
			s.log.Warn("what is remembered of a shop's subscriptions can't be read; it is learnt again", "shop", shop, "error", err.Error())
			r = subscriptionRecord{}
		}
	}
	if r.Topics == nil {
		r.Topics = map[string]topicRecord{}
	}
	if r.Ours == nil {
		r.Ours = map[string]string{}
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
