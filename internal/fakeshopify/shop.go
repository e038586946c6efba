package fakeshopify

import (
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// locations is the number of places that hold stock. It is more than one so
// that a reader who takes one place's stock for the total is found out.
const locations = 2

var locationIDs = [locations]int64{24_826_418, 905_684_977}

// Shop is a simulated shop. All methods may be called at the same time.
type Shop struct {
	opt    Options
	client *http.Client
	log    *slog.Logger

	mu       sync.Mutex // guards all that follows
	products map[int64]*Product
	ids      []int64         // of products, ascending
	owner    map[int64]int64 // variant id and inventory item id to product id
	events   []Event         // oldest first
	subs     []*Subscription
	refusal  string // of every new subscription by the API; empty: none
	pending  deliveryQueue
	seq      uint64 // orders deliveries of the same due time
	wake     chan struct{}
	attempts deliveryLog
	stats    Stats
	dropped  []Dropped

	cat       *catalogue
	idSource  *idSource
	editRand  *rand.Rand
	chaosRand *rand.Rand
	paceRand  *rand.Rand

	secret, oldSecret string
	rotatedAt         time.Time
	lastTriggered     time.Time
	burstLeft         int
	burstAt           time.Time
	version           uint64 // grows with each edit

	api apiState
}

// Event is one row of the shop's event log.
type Event struct {
	ID          int64
	Action      string // create, update, destroy
	SubjectType string // PRODUCT
	SubjectID   int64
	Title       string
	At          time.Time
	found       indexTime
}

// New makes a shop with its catalogue and, with Options.Target, its
// subscriptions. The catalogue's dates lie in the year before Now.
func New(o Options) *Shop {
	o.defaults()
	s := &Shop{
		opt:       o,
		log:       o.Logger,
		products:  make(map[int64]*Product),
		owner:     make(map[int64]int64),
		wake:      make(chan struct{}, 1),
		idSource:  newIDSource(stream(o.Seed, streamIDs)),
		editRand:  stream(o.Seed, streamEdits),
		chaosRand: stream(o.Seed, streamChaos),
		paceRand:  stream(o.Seed, streamPace),
		secret:    o.Secret,
	}
	s.attempts.keep = o.KeepDeliveries
	s.client = webhookClient(o.Client)
	s.cat = &catalogue{rand: stream(o.Seed, streamCatalogue), ids: s.idSource, lean: o.Lean, handles: make(map[string]int)}
	if s.secret == "" {
		var b [16]byte
		for i := range b {
			b[i] = byte(s.idSource.rand.Uint32())
		}
		s.secret = "shpss_" + hex.EncodeToString(b[:])
	}
	s.api.init(&s.opt)
	s.stock()
	if o.Target != "" {
		for _, t := range o.Topics {
			s.Subscribe(t, o.Target+defaultPath(t))
		}
	}
	if o.Target != "" && o.Events {
		for _, topic := range []string{TopicProductEvent, TopicItemEvent} {
			s.SubscribeEvents(EventSubscription{Handle: "stockroom-" + topic, Topic: topic, Actions: []string{"create", "update", "delete"},
				URI: o.Target + "/webhooks/shopify/events"})
		}
	}
	return s
}

// stock fills the shop. Its last sixteenth has ids beyond 2^53, as has
// everything made later, so ids grow with time.
func (s *Shop) stock() {
	n, r := s.opt.Products, s.cat.rand
	now := s.opt.Now().UTC().Truncate(time.Second)
	counts := make([]int, n)
	for i := range counts {
		counts[i] = s.opt.MinVariants + r.IntN(s.opt.MaxVariants-s.opt.MinVariants+1)
	}
	for range max(s.opt.Large, 0) {
		if n > 0 {
			counts[r.IntN(n)] = 101 + r.IntN(150)
		}
	}
	for range max(s.opt.Huge, 0) {
		if n > 0 {
			counts[r.IntN(n)] = maxVariants
		}
	}
	for i, v := range counts {
		// Spread over the last year, oldest first.
		age := 365 * 24 * time.Hour / time.Duration(n) * time.Duration(n-i)
		created := now.Add(-age).Truncate(time.Second)
		s.insert(s.cat.product(v, i >= n-n/16, created))
	}
}

// insert adds p, whose id is the highest so far.
func (s *Shop) insert(p *Product) {
	s.products[p.ID] = p
	s.ids = append(s.ids, p.ID)
	s.own(p)
}

func (s *Shop) own(p *Product) {
	for i := range p.Variants {
		s.owner[p.Variants[i].ID] = p.ID
		s.owner[p.Variants[i].InventoryItemID] = p.ID
	}
}

func (s *Shop) disown(p *Product) {
	for i := range p.Variants {
		delete(s.owner, p.Variants[i].ID)
		delete(s.owner, p.Variants[i].InventoryItemID)
	}
}

// Domain is the shop's myshopify.com domain.
func (s *Shop) Domain() string { return s.opt.Shop }

// Secret is the secret that the app should hold now.
func (s *Shop) Secret() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret
}

// RotateSecret gives the app a new client secret. Deliveries go on being
// signed with the old one for up to Options.RotationWindow, ever fewer.
func (s *Shop) RotateSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldSecret, s.secret, s.rotatedAt = s.secret, secret, s.opt.Now()
}

// Product returns a copy of the product.
func (s *Shop) Product(id int64) (Product, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.products[id]
	if !ok {
		return Product{}, false
	}
	return *p.clone(), true
}

// Snapshot returns copies of all products, by id.
func (s *Shop) Snapshot() []Product {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Product, len(s.ids))
	for i, id := range s.ids {
		list[i] = *s.products[id].clone()
	}
	return list
}

// IDs returns the ids of all products, ascending.
func (s *Shop) IDs() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

// Counts returns how many products and variants there are.
func (s *Shop) Counts() (products, variants int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.products {
		variants += len(p.Variants)
	}
	return len(s.products), variants
}
