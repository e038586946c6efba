package syncer

import (
	"context"
	"net/netip"
	"net/url"
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
	Subscribe(ctx context.Context, shop string, class limiter.Class, topic, uri string) (id string, taken bool, err error)
	MoveSubscription(ctx context.Context, shop string, class limiter.Class, id, uri string) error
	Unsubscribe(ctx context.Context, shop string, class limiter.Class, id string) error
}

// Subscriptions is what is known of a shop's webhook subscriptions.
type Subscriptions struct {
	CheckedAt time.Time `json:"checked_at,omitzero"` // zero: not yet
	// Error is why they could not be checked, or why some that are needed are not
	// there, as a sentence; Next what to do about it.
	Error   string `json:"error,omitempty"`
	Next    string `json:"next,omitempty"`
	Present bool   `json:"present"` // every one that is needed is there
	// Since is since when news of changed products is known to be subscribed to;
	// zero when it is not.
	Since  time.Time      `json:"-"`
	Wanted []Subscription `json:"wanted"`
	Others []Subscription `json:"others"` // further ones that point elsewhere or are there twice
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

// KnownByDeliveries reports whether some are in the app's configuration, which
// the API does not list, and of which needed topics nothing has come yet.
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
	subByDeliveries = "by-deliveries" // of the app's configuration file: the API does not list it, but it delivers
	subUnheard      = "unheard"       // perhaps there as well: others of that file deliver, and nothing of it has come yet
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
	if strings.HasPrefix(topic, "products/") {
		return productsHook
	}
	return hookRoot + strings.ReplaceAll(topic, "/", "_")
}

// address is where something is reached, in a form that compares.
type address struct {
	scheme, host string // host with its port, without the scheme's usual one
	path         string
}

// parseAddress reads an http address; false for others, such as pubsub://.
func parseAddress(uri string) (address, bool) {
	u, err := url.Parse(strings.TrimSpace(uri))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return address{}, false
	}
	a := address{u.Scheme, strings.ToLower(u.Hostname()), u.Path}
	if strings.Contains(a.host, ":") {
		a.host = "[" + a.host + "]"
	}
	if p := u.Port(); p != "" && !(u.Scheme == "https" && p == "443") && !(u.Scheme == "http" && p == "80") {
		a.host += ":" + p
	}
	return a, true
}

// trouble is what is wrong and what to do about it, in sentences.
type trouble struct{ what, step string }

// noPublicURL: nobody has said where Shopify reaches us.
var noPublicURL = trouble{"Stockroom does not know its public address, so it can't subscribe.",
	"Start it with --public-url https://YOUR-HOST. Where the app's own configuration subscribes, the first delivery shows it."}

// parseBase reads our public URL; nil with what is wrong with it.
func parseBase(base string) (*address, trouble) {
	if base == "" {
		return nil, noPublicURL
	}
	got, ok := parseAddress(base)
	if !ok {
		return nil, trouble{"The public address " + base + " is no address that Shopify can reach.",
			"Start Stockroom with --public-url https://YOUR-HOST."}
	}
	got.path = strings.TrimRight(got.path, "/")
	if got.scheme != "https" && !loopback(got.host) {
		return nil, trouble{"Shopify delivers to https only.", "Start Stockroom with --public-url https://" + got.host + got.path + "."}
	}
	return &got, trouble{}
}

func loopback(host string) bool {
	u := url.URL{Host: host}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// leadsTo reports whether uri is below the webhook path of the address a.
func (a *address) leadsTo(uri string) bool {
	u, ok := parseAddress(uri)
	return a != nil && ok && u.scheme == a.scheme && u.host == a.host && strings.HasPrefix(u.path, a.path+hookRoot)
}

// alike reports whether uri looks like an address that a Stockroom subscribed.
func alike(topic, uri string) bool {
	u, ok := parseAddress(uri)
	return ok && (strings.HasSuffix(u.path, HookPath(topic)) || strings.HasSuffix(u.path, productsHook))
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
	uri   string // where it should lead, "" when that is not known
	do    subscriptionDo
	have  shopify.Subscription // that is kept, moved or replaced
	shown string               // where it leads now
	state string
	known bool // it had been there before
}

type subscriptionPlan struct {
	steps   []subscriptionStep
	surplus []shopify.Subscription // of ours, to be deleted
	others  []Subscription
}

// heardFor is how old the last delivery of a topic may be that shows that it is
// subscribed somewhere.
const heardFor = 7 * 24 * time.Hour

// heardTopics are those whose last delivery, in Unix milliseconds, is not long
// ago.
func heardTopics(last map[string]int64, now time.Time) map[string]bool {
	heard := map[string]bool{}
	for topic, at := range last {
		if ago := now.Sub(time.UnixMilli(at)); ago < heardFor {
			heard[strings.ToLower(topic)] = true
		}
	}
	return heard
}

// planSubscriptions decides what becomes of each wanted topic. It is pure.
//
// What the API does not list may be in the app's configuration file. Such a one
// is known by its deliveries: a topic that was never seen in the list, was not
// made by us and still delivers. One that had been in the list has vanished:
// Shopify deletes after 8 failures (shopify.dev/docs/apps/build/webhooks/verify-deliveries).
func planSubscriptions(base *address, listed []shopify.Subscription, rec subscriptionRecord, heard map[string]bool) subscriptionPlan {
	var p subscriptionPlan
	for _, topic := range wantedTopics {
		step := subscriptionStep{topic: topic, known: rec.Topics[topic].known()}
		if base != nil {
			step.uri = base.scheme + "://" + base.host + base.path + HookPath(topic)
		}
		var rest []shopify.Subscription
		step.choose(base, listed, rec, heard, &rest)
		p.steps = append(p.steps, step)
		p.judgeRest(base, step, rest, rec)
	}
	for _, sub := range listed {
		if !slices.Contains(wantedTopics[:], sub.Topic) && !base.leadsTo(sub.URI) {
			p.others = append(p.others, Subscription{Topic: sub.Topic, URI: sub.URI, ID: sub.ID, State: subElsewhere})
		}
	}
	return p
}

// choose finds the subscription that serves the topic, or could; the others of
// the topic are the rest.
func (step *subscriptionStep) choose(base *address, listed []shopify.Subscription, rec subscriptionRecord, heard map[string]bool, rest *[]shopify.Subscription) {
	best, bestRank := -1, 0
	for i, sub := range listed {
		if sub.Topic != step.topic {
			continue
		}
		*rest = append(*rest, sub)
		if rank := step.rank(base, sub, rec); rank > bestRank {
			best, bestRank = i, rank
		}
	}
	if best < 0 {
		step.state, step.do = subMissing, createSub
		if heard[step.topic] && !rec.Topics[step.topic].Listed {
			step.state, step.do = subByDeliveries, keepSub
		}
		return
	}
	step.have, step.shown = listed[best], listed[best].URI
	*rest = slices.DeleteFunc(*rest, func(s shopify.Subscription) bool { return s.ID == step.have.ID })
	switch {
	case bestRank >= rankHere:
		step.state = subPresent
	case bestRank == rankPartial:
		step.state, step.do = subIncomplete, replaceSub
	case whole(step.have):
		step.state, step.do = subWrongAddress, moveSub
	default:
		step.state, step.do = subWrongAddress, replaceSub
	}
}

// The ranks of a subscription of a topic; 0 is somebody else's.
const (
	rankAlike   = iota + 1 // it looks like ours
	rankFormer             // it leads to an address that was ours
	rankPartial            // it leads here, but leaves something out
	rankHere               // it leads here
	rankExact              // and to the very path
)

func (step *subscriptionStep) rank(base *address, sub shopify.Subscription, rec subscriptionRecord) int {
	here := base.leadsTo(sub.URI)
	if base == nil {
		here = alike(sub.Topic, sub.URI) || rec.former(sub.URI) // where we are is not known, so it is believed
	}
	switch {
	case here && whole(sub) && sub.URI == step.uri:
		return rankExact
	case here && whole(sub):
		return rankHere
	case here:
		return rankPartial
	case rec.foreign(base, sub):
		return 0
	case rec.former(sub.URI):
		return rankFormer
	case alike(sub.Topic, sub.URI):
		return rankAlike
	}
	return 0
}

// judgeRest names what else there is of a topic. What serves nobody and was made
// by us is deleted, once the topic is served.
func (p *subscriptionPlan) judgeRest(base *address, step subscriptionStep, rest []shopify.Subscription, rec subscriptionRecord) {
	for _, sub := range rest {
		other := Subscription{Topic: sub.Topic, URI: sub.URI, ID: sub.ID, State: subElsewhere}
		switch {
		case rec.foreign(base, sub):
		case base.leadsTo(sub.URI):
			other.State = subDuplicate
		case rec.former(sub.URI):
			other.State = subWrongAddress
		}
		p.others = append(p.others, other)
		if other.State != subElsewhere && step.state == subPresent && slices.Contains(rec.Made, sub.ID) {
			p.surplus = append(p.surplus, sub)
		}
	}
}

// work reports whether there is anything to mend.
func (p *subscriptionPlan) work() bool {
	return len(p.surplus) > 0 || slices.ContainsFunc(p.steps, func(s subscriptionStep) bool { return s.do != keepSub })
}

// asksJournal reports whether it matters which topics deliver.
func (p *subscriptionPlan) asksJournal() bool {
	return slices.ContainsFunc(p.steps, func(s subscriptionStep) bool { return s.do == createSub })
}

// mended notes what became of a topic.
func (p *subscriptionPlan) mended(topic, id, state string) {
	for i := range p.steps {
		if s := &p.steps[i]; s.topic == topic {
			s.have.ID, s.shown, s.state, s.do = id, s.uri, state, keepSub
		}
	}
}

// forget drops a subscription that is deleted.
func (p *subscriptionPlan) forget(id string) {
	p.others = slices.DeleteFunc(p.others, func(s Subscription) bool { return s.ID == id })
}
