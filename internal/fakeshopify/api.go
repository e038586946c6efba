package fakeshopify

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Plan is a Shopify plan's budget of GraphQL points.
type Plan struct {
	Name    string
	Maximum float64 // points that the bucket holds
	Restore float64 // points per second
}

// The plans. Standard and Advanced were measured on live shops; Plus is the
// same 20 s of its documented restore rate.
var (
	Standard = Plan{"Basic", 2000, 100}
	Advanced = Plan{"Advanced", 4000, 200}
	Plus     = Plan{"Shopify Plus", 20000, 1000}
)

// APIOptions concern the Admin API.
type APIOptions struct {
	// Plan sizes the bucket. Zero: Standard.
	Plan Plan
	// Grant is how the app comes to its token.
	Grant Grant
	// Redirects are the addresses that the app's released version sends owners
	// back to, byte for byte. Nil: Redirect.
	Redirects []string
	// AppURL is the app's address in its released version: Redirects need its
	// host and port. Empty: as they have it.
	AppURL string
	// RefuseInJSON lets the endpoints of OAuth refuse with JSON, as RFC 6749 has
	// it, in place of Shopify's pages.
	RefuseInJSON bool
	// Tokens are access tokens that never expire. With GrantConsent the first is
	// what a consent gives. Nil: none.
	Tokens []string
	// TokenLife is how long a token of the client credentials grant lives.
	// Zero: 24 h.
	TokenLife time.Duration
	// Scopes are granted to the app. Nil: read_products, read_inventory and
	// read_locations.
	Scopes []string
	// NoThrottleStatus leaves throttleStatus out of the answers, as some plans
	// do.
	NoThrottleStatus bool
	// Latency is how long a query takes. While it runs the bucket lacks its
	// requested cost; the difference to the actual cost is given back at the
	// end. Zero: no time.
	Latency time.Duration
	// IndexLag is the longest time after an edit until searches find it: the
	// updated_at and created_at of products, the stock total, the event of a
	// creation or deletion. What is found shows its fields as they are. Zero:
	// no time.
	IndexLag time.Duration
	// IndexLost is the share of edits, creations and deletions, 0 to 1, whose
	// updated_at or event searches never find, unless the product is edited
	// again.
	IndexLost float64
	// KeepCalls is how many call records are kept. Zero: 200,000.
	KeepCalls int
	// Bulk holds what concerns bulk operations.
	Bulk BulkOptions
}

func (o *APIOptions) defaults() {
	if o.Plan == (Plan{}) {
		o.Plan = Standard
	}
	if o.TokenLife <= 0 {
		o.TokenLife = 24 * time.Hour
	}
	if o.Redirects == nil {
		o.Redirects = []string{Redirect}
	}
	if o.Scopes == nil {
		o.Scopes = []string{"read_products", "read_inventory", "read_locations"}
	}
	if o.KeepCalls <= 0 {
		o.KeepCalls = 200_000
	}
	o.Bulk.defaults()
}

// apiState is the part of a shop that belongs to its API.
type apiState struct {
	rand        *rand.Rand
	plan        Plan
	scopes      []string
	bucket      bucket
	tokens      map[string]time.Time // to the end of their life; zero: none
	offline     string               // token of a consent; empty: none yet
	codes       map[string]time.Time // of consents, to the end of their life
	faults      []Fault
	stats       APIStats
	calls       []APICall // ring of keep
	nextCall    int
	keep        int
	opened      time.Time
	uninstalled bool

	lists   map[string][]*Product // filtered and sorted lists of version listsOf
	listsOf uint64

	documents map[documentKey]*ast.QueryDocument // checked; never changed

	index searchIndex

	bulk       []*bulkOp // oldest first
	bulkFaults []BulkFault
	bulkWake   chan struct{}
}

func (a *apiState) init(o *Options) {
	now := o.Now()
	a.rand = stream(o.Seed, streamAPI)
	a.plan = o.API.Plan
	a.index = searchIndex{rand: stream(o.Seed, streamIndex), lag: o.API.IndexLag, lost: o.API.IndexLost,
		rows: make(map[int64]*indexRow), found: make(map[int64]indexTime)}
	a.bulkWake = make(chan struct{}, 1)
	a.scopes = o.API.Scopes
	a.bucket = bucket{level: a.plan.Maximum, at: now}
	a.tokens = make(map[string]time.Time)
	a.codes = make(map[string]time.Time)
	for _, t := range o.API.Tokens {
		a.tokens[t] = time.Time{}
	}
	if o.API.Grant == GrantConsent && len(o.API.Tokens) > 0 {
		a.offline = o.API.Tokens[0]
	}
	a.keep = o.API.KeepCalls
	a.opened = now.AddDate(-2, 0, 0).Truncate(time.Second)
}

// SetPlan changes the shop's plan. The bucket keeps its level, up to the new
// maximum.
func (s *Shop) SetPlan(p Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.bucket.refill(s.api.plan, s.opt.Now())
	s.api.plan = p
	s.api.bucket.level = min(s.api.bucket.level, p.Maximum)
}

// Spend takes points from the bucket, as another client of the same app does.
// The bucket may run into debt.
func (s *Shop) Spend(points float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.bucket.refill(s.api.plan, s.opt.Now())
	s.api.bucket.level -= points
}

// Available is the bucket's level now, in points.
func (s *Shop) Available() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.bucket.refill(s.api.plan, s.opt.Now())
	return s.api.bucket.level
}

// SetScopes changes the app's access scopes and fires app/scopes_update.
func (s *Shop) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.begin(nil)
	body := s.scopesBody(s.api.scopes, scopes, at.updated)
	s.api.scopes = scopes
	s.fire(at, TopicScopes, 0, body)
}

// Uninstall removes the app: app/uninstalled is fired, its tokens and
// subscriptions are gone.
func (s *Shop) Uninstall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.begin(nil)
	s.fire(at, TopicUninstalled, 0, s.uninstalledBody())
	s.api.uninstalled = true
	s.subs = slices.DeleteFunc(s.subs, func(x *Subscription) bool { return !x.Notification })
	clear(s.api.tokens)
	clear(s.api.codes)
}

// Reinstall takes the app in again, without subscriptions.
func (s *Shop) Reinstall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.api.uninstalled = false
	for _, t := range s.opt.API.Tokens {
		s.api.tokens[t] = time.Time{}
	}
}

type documentKey struct {
	schema *ast.Schema
	text   string
}

// bucket is Shopify's leaky bucket of points, one per app and shop, whatever
// the token.
type bucket struct {
	level float64
	at    time.Time
}

func (b *bucket) refill(p Plan, now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = min(p.Maximum, b.level+d.Seconds()*p.Restore)
	}
	b.at = now
}
