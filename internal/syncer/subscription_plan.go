package syncer

import (
	"context"
	"slices"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/limiter"
)

// SubscriptionAPI is what it takes to keep a shop's webhook subscriptions.
type SubscriptionAPI interface {
	Subscriptions(ctx context.Context, shop string, class limiter.Class) ([]shopify.Subscription, error)
	Subscribe(ctx context.Context, shop string, class limiter.Class, topic, uri string) (id string, err error)
	MoveSubscription(ctx context.Context, shop string, class limiter.Class, id, uri string) error
	Unsubscribe(ctx context.Context, shop string, class limiter.Class, id string) error
}

// Subscriptions is what is known of a shop's webhook subscriptions.
type Subscriptions struct {
	CheckedAt time.Time `json:"checked_at,omitzero"` // zero: not yet
	// Error is why they could not be checked, or why some that are needed are not
	// there, as a sentence; Next what to do about it.
	Error   string         `json:"error,omitempty"`
	Next    string         `json:"next,omitempty"`
	Present bool           `json:"present"` // every one that is needed is there
	Wanted  []Subscription `json:"wanted"`
	Others  []Subscription `json:"others"` // further ones that point elsewhere or are there twice; in pull mode all
}

// Subscription is one webhook subscription.
type Subscription struct {
	Topic string `json:"topic"`
	URI   string `json:"uri,omitempty"` // "" when there is none, or none that the API lists
	ID    string `json:"id,omitempty"`  // Shopify's global id
	State string `json:"state"`         // one of the states below
	// Needed: it tells of changed products. The others are only useful.
	Needed bool   `json:"needed"`
	Reason string `json:"reason,omitempty"` // why Shopify refuses it, in its words
}

// serves reports whether what it is about arrives here, as far as is known.
func (s Subscription) serves() bool {
	return slices.Contains([]string{subPresent, subCreated, subMoved, subByDeliveries, subUnheard}, s.State)
}

// Missing are the topics that are needed and do not arrive here.
func (s *Subscriptions) Missing() (topics []string) {
	for _, one := range s.Wanted {
		if one.Needed && !one.serves() {
			topics = append(topics, one.Topic)
		}
	}
	return topics
}

// KnownByDeliveries reports whether some are made elsewhere (in the app's own
// configuration, or in the shop's admin), which the API does not list, and of which
// needed topics nothing has come yet.
func (s *Subscriptions) KnownByDeliveries() (known bool, unheard []string) {
	for _, one := range s.Wanted {
		known = known || one.State == subByDeliveries || one.State == subUnheard
		if one.State == subUnheard && one.Needed {
			unheard = append(unheard, one.Topic)
		}
	}
	return known, unheard
}

// The states of a subscription.
const (
	subPresent      = "present"
	subCreated      = "created" // by this check
	subMoved        = "moved"   // by this check, from another address
	subMissing      = "missing"
	subWrongAddress = "wrong-address"
	subIncomplete   = "incomplete" // it points to us, but leaves out fields or products, or writes XML
	subDuplicate    = "duplicate"
	subElsewhere    = "elsewhere"     // somebody else's; it is left alone
	subByDeliveries = "by-deliveries" // made elsewhere: the API does not list it, but it delivers
	subUnheard      = "unheard"       // perhaps there as well: others made elsewhere deliver, and nothing of it has come yet
)

// wantedTopics are the topics that every shop is subscribed to, in the order in
// which they are shown and made.
var wantedTopics = [...]string{
	string(catalog.ProductsCreate), string(catalog.ProductsUpdate), string(catalog.ProductsDelete),
	string(catalog.InventoryLevelsUpdate), string(catalog.InventoryLevelsConnect),
	string(catalog.InventoryLevelsDisconnect), string(catalog.InventoryItemsUpdate),
	string(catalog.AppUninstalled), string(catalog.AppScopesUpdate), string(catalog.BulkOperationsFinish),
}

// carriesChanges reports whether a topic tells of changed products. The copy can
// be in step without the others.
func carriesChanges(topic string) bool {
	return strings.HasPrefix(topic, "products/") || strings.HasPrefix(topic, "inventory_")
}

const (
	hookRoot     = "/webhooks/shopify/"
	productsHook = hookRoot + "products"
)

// HookPath is the path that a topic is subscribed at. Every path below hookRoot
// takes every topic; the names are for people who read them.
func HookPath(topic string) string {
	switch {
	case strings.HasPrefix(topic, "products/"):
		return productsHook
	case catalog.Topic(topic).Kind().Event():
		return hookRoot + "events"
	}
	return hookRoot + strings.ReplaceAll(topic, "/", "_")
}

// leadsHere reports whether uri begins with exactly our base address. No address
// is "".
func leadsHere(base, uri string) bool {
	return strings.HasPrefix(uri, base+hookRoot)
}

// whole reports whether a subscription brings every change with every field.
func whole(s shopify.Subscription) bool {
	return (s.Format == "" || s.Format == "JSON") && s.Filter == "" && len(s.IncludeFields) == 0
}

type subscriptionDo uint8

const (
	keepSub subscriptionDo = iota
	createSub
	moveSub
	replaceSub
)

// subscriptionStep is what becomes of one wanted topic.
type subscriptionStep struct {
	topic string
	uri   string // where it should lead
	do    subscriptionDo
	have  shopify.Subscription // that is kept, moved or replaced
	state string
	known bool // it had been there before
}

type subscriptionPlan struct {
	steps   []subscriptionStep
	surplus []shopify.Subscription // of ours, to be deleted
	others  []Subscription
}

// heardFor is how old the last delivery of a topic may be that shows that it is
// subscribed somewhere. One of before the shop was connected shows nothing.
const heardFor = 7 * 24 * time.Hour

// retriesFor is how long deliveries of a subscription that is gone may still come:
// Shopify sends what failed again for four hours
// (shopify.dev/docs/apps/build/webhooks/verify-deliveries).
const retriesFor = 4*time.Hour + 10*time.Minute

// hearsay is when a topic was heard last, zero for not lately.
type hearsay struct {
	own   time.Time // by a delivery of the topic
	event time.Time // by an Event that tells of the same
}

// heardTopics are those that were heard since an instant, of all last deliveries in
// Unix milliseconds.
func heardTopics(last map[string]int64, since time.Time) map[string]hearsay {
	heard := map[string]hearsay{}
	for topic, ms := range last {
		at := time.UnixMilli(ms)
		if at.Before(since) {
			continue
		}
		name, _ := catalog.ParseTopic(topic)
		heard[string(name)] = hearsay{own: at, event: heard[string(name)].event}
		for _, served := range name.Serves() {
			heard[string(served)] = hearsay{own: heard[string(served)].own, event: at}
		}
	}
	return heard
}

// planSubscriptions decides what becomes of each wanted topic. It is pure.
//
// All that the record does not own is somebody else's and is left alone.
//
// What the API does not list may be made elsewhere. Such a one is known by its
// deliveries: a topic that was never seen in the list, was not made by us and still
// delivers. One that had been in the list has vanished: Shopify deletes after 8
// failures (shopify.dev/docs/apps/build/webhooks/verify-deliveries). Then only what
// comes after the last of its own deliveries is of another. An Event serves a topic,
// but may leave changes out: one of the topic itself is made where the API takes it.
func planSubscriptions(base string, listed []shopify.Subscription, rec subscriptionRecord, heard map[string]hearsay) subscriptionPlan {
	var p subscriptionPlan
	for _, topic := range wantedTopics {
		was := rec.Topics[topic]
		step := subscriptionStep{topic: topic, uri: base + HookPath(topic), state: subMissing, do: createSub, known: was.known()}
		switch h := heard[topic]; {
		case was.othersAt(h.own):
			step.state, step.do = subByDeliveries, keepSub
		case !h.event.IsZero():
			step.state = subByDeliveries
		}
		step.choose(base, listed, rec)
		p.steps = append(p.steps, step)
	}
	for _, sub := range listed {
		p.judgeOther(base, sub, rec)
	}
	return p
}

// choose finds the subscription that serves the topic best.
func (step *subscriptionStep) choose(base string, listed []shopify.Subscription, rec subscriptionRecord) {
	best := 0
	for _, sub := range listed {
		rank := step.rank(base, sub, rec)
		if rank <= best {
			continue
		}
		best, step.have = rank, sub
		switch {
		case rank >= rankHere:
			step.state, step.do = subPresent, keepSub
		case rank == rankPartial:
			step.state, step.do = subIncomplete, replaceSub
		case whole(sub):
			step.state, step.do = subWrongAddress, moveSub
		default:
			step.state, step.do = subWrongAddress, replaceSub
		}
	}
}

// The ranks of a subscription of a topic; 0 is somebody else's.
const (
	rankFormer  = iota + 1 // it leads to where we were
	rankPartial            // it leads here, but leaves something out
	rankHere               // it leads here
	rankExact              // and to the very path
)

func (step *subscriptionStep) rank(base string, sub shopify.Subscription, rec subscriptionRecord) int {
	switch {
	case sub.Topic != step.topic || !rec.owns(base, sub):
		return 0
	case !leadsHere(base, sub.URI):
		return rankFormer
	case !whole(sub):
		return rankPartial
	case sub.URI != step.uri:
		return rankHere
	}
	return rankExact
}

// judgeOther says what a subscription is that serves no wanted topic. One that
// was made by us is deleted, once the topic is served by another.
func (p *subscriptionPlan) judgeOther(base string, sub shopify.Subscription, rec subscriptionRecord) {
	at := slices.IndexFunc(p.steps, func(s subscriptionStep) bool { return s.topic == sub.Topic })
	other := Subscription{Topic: sub.Topic, URI: sub.URI, ID: sub.ID, State: subElsewhere}
	switch here := leadsHere(base, sub.URI); {
	case at < 0 && here, at >= 0 && p.steps[at].have.ID == sub.ID:
		return
	case here:
		other.State = subDuplicate
	case at >= 0 && rec.names(sub):
		other.State = subWrongAddress
	}
	p.others = append(p.others, other)
	if at >= 0 && p.steps[at].state == subPresent && rec.Ours[sub.ID] == sub.URI {
		p.surplus = append(p.surplus, sub)
	}
}

// has reports whether a step of the plan does this.
func (p *subscriptionPlan) has(what ...subscriptionDo) bool {
	return slices.ContainsFunc(p.steps, func(s subscriptionStep) bool { return slices.Contains(what, s.do) })
}
