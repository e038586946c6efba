package fakeshopify

import (
	"log/slog"
	"net/http"
	"time"
)

// Options describe a shop. The zero value is an empty shop that sends nothing.
type Options struct {
	// Shop is the shop's domain. Empty: my-shop.myshopify.com.
	Shop string
	// Seed drives every choice. Zero is a seed like any other.
	Seed uint64
	// Products is the number of products at the start. Zero: none.
	Products int
	// MinVariants and MaxVariants bound a generated product's variants.
	// Zero: 1 and 12. At most 2,048.
	MinVariants, MaxVariants int
	// Large is how many products of the start have 101 to 250 variants, and
	// Huge how many have 2,048. Zero: Products/500 and, from 1,000 products
	// on, one. Negative: none.
	Large, Huge int
	// Lean leaves out images and long descriptions, for shops of 100,000
	// products in one process.
	Lean bool
	// QuietStock is the share of RandomEdit's changes of stock, 0 to 1, that move
	// no updated_at.
	QuietStock float64
	// ASCII escapes every non-ASCII character of a body as \uXXXX.
	// False: text stays UTF-8.
	ASCII bool

	// Secret is the app's client secret, which signs webhooks and is asked for
	// by the token endpoint. Empty: a secret made from the seed.
	Secret string
	// NotificationSecret is the shop's own, which signs what is subscribed under
	// Settings, Notifications. Empty: one made of the shop's name.
	NotificationSecret string
	// RotationWindow is how long after RotateSecret deliveries may still be
	// signed with the old secret. Zero: one hour, as Shopify says.
	RotationWindow time.Duration
	// ClientID is the app's key at the token endpoint. Empty: any is taken.
	ClientID string
	// APIVersion is the version in webhook headers, as lower-case text.
	// Empty: 2026-10.
	APIVersion string

	// Target is the base URL of the receiver, without a slash at its end. Each
	// of Topics is subscribed there: product topics at
	// /webhooks/shopify/products, the others at /webhooks/shopify/ and the
	// topic with _ for /. Empty: no subscriptions at the start.
	Target string
	// Topics are the topics subscribed at the start. Nil: products/create,
	// products/update and products/delete.
	Topics []string
	// Events are subscribed to at Target as well: products and inventory items, every
	// action, at /webhooks/shopify/events. A shop with Topics of none sends them alone.
	Events bool
	// Route says where a subscription's address really is, so that an https
	// address can be served on loopback. Nil: the address itself.
	Route func(address string) string
	// AllowHTTP lets the API take http:// addresses, which Shopify refuses.
	AllowHTTP bool
	// Client sends the webhooks. Nil: an own client with a 1 s connect
	// timeout. Redirects are never followed, whichever client it is.
	Client *http.Client
	// Timeout is one delivery's time from dial to the end of the answer.
	// Zero: 5 s.
	Timeout time.Duration
	// RetryOver is the time over which the 8 retries are spread, each wait
	// twice the one before. Zero: 4 h.
	RetryOver time.Duration
	// DropEager counts every failed attempt of a subscription towards the 8
	// that delete it. False: only attempts of one delivery with no success of
	// its subscription between them, so 8 failures span hours.
	DropEager bool
	// Parallel is how many deliveries Run makes at a time. Zero: 16.
	Parallel int
	// KeepDeliveries is how many delivery records are kept. Zero: 100,000.
	KeepDeliveries int

	// Chaos says what goes wrong. The zero value: nothing.
	Chaos Chaos
	// Now is the shop's clock. Nil: time.Now.
	Now func() time.Time
	// Zone is the shop's zone, used in REST-shaped bodies. Nil: UTC-05:00.
	Zone *time.Location
	// Logger gets one line per failed delivery and dropped subscription.
	// Nil: none.
	Logger *slog.Logger

	// API holds what concerns the Admin API only.
	API APIOptions
}

func (o *Options) defaults() {
	str(&o.Shop, "my-shop.myshopify.com")
	str(&o.APIVersion, "2026-10")
	str(&o.NotificationSecret, "notifications of "+o.Shop)
	if o.MinVariants <= 0 {
		o.MinVariants = 1
	}
	if o.MaxVariants <= 0 {
		o.MaxVariants = max(12, o.MinVariants)
	}
	o.MinVariants = min(o.MinVariants, maxVariants)
	o.MaxVariants = min(max(o.MaxVariants, o.MinVariants), maxVariants)
	if o.Large == 0 {
		o.Large = o.Products / 500
	}
	if o.Huge == 0 && o.Products >= 1000 {
		o.Huge = 1
	}
	if o.RotationWindow <= 0 {
		o.RotationWindow = time.Hour
	}
	if o.Topics == nil {
		o.Topics = []string{TopicCreate, TopicUpdate, TopicDelete}
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.RetryOver <= 0 {
		o.RetryOver = 4 * time.Hour
	}
	if o.Parallel <= 0 {
		o.Parallel = 16
	}
	if o.KeepDeliveries <= 0 {
		o.KeepDeliveries = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Zone == nil {
		o.Zone = time.FixedZone("", -5*3600)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.API.defaults()
}

func str(p *string, def string) {
	if *p == "" {
		*p = def
	}
}
