package status

import (
	"slices"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/syncer"
	"stockroom/store"
)

// Sync is how a shop's copy stands against the shop.
type Sync struct {
	Running *store.SyncRun `json:"running"` // nil for none
	Rate    float64        `json:"rate"`    // products a second of the running one, 0 when not known
	EndsAt  time.Time      `json:"ends_at,omitzero"`
	// Waits is why the running one waits, "" when it does not; it goes on at
	// WaitsUntil.
	Waits      string    `json:"waits,omitempty"`
	WaitsUntil time.Time `json:"waits_until,omitzero"`
	// ProvenIDs and ProvenFields are when ids, times and variant counts, and
	// every field, were last shown to be equal; zero for never. AsOf is the newer
	// of both. InStep: as of then, and nothing in the account stands against it.
	// Why is what does, one sentence, "" when InStep; Cause its code.
	ProvenIDs    time.Time `json:"proven_ids_at,omitzero"`
	ProvenFields time.Time `json:"proven_fields_at,omitzero"`
	AsOf         time.Time `json:"as_of,omitzero"`
	InStep       bool      `json:"in_step"`
	Why          string    `json:"why,omitempty"`
	Cause        string    `json:"cause,omitempty"`
	// Staleness is seconds since the newest proof, -1 when there is none.
	Staleness float64   `json:"staleness_seconds"`
	Remote    int64     `json:"remote_products"` // the shop's own count, -1 when not known
	RemoteAt  time.Time `json:"remote_counted_at,omitzero"`
	// LastReconcile is the newest comparison that came to its end, a dry run
	// included; its counts are the drift it found. nil for none.
	LastReconcile *store.SyncRun    `json:"last_reconcile"`
	Schedules     []Schedule        `json:"schedules"`
	Subscriptions Subscriptions     `json:"subscriptions"`
	Deliveries    syncer.Deliveries `json:"deliveries"`
	Looking       Looking           `json:"looking"`

	// What the table judges by besides.
	Raw syncer.Status `json:"-"`
}

// Looking is how changes are looked for in a shop.
type Looking struct {
	syncer.Looking
	EverySeconds float64 `json:"every_seconds"`
}

// Often says how often changes are looked for and, where that is less often than the
// settings say, why.
func (l Looking) Often() string {
	if l.Slow == "" {
		return Every(l.Every)
	}
	return Every(l.Every) + " (" + clause(l.Slow) + ")"
}

// PullWords say what pull mode is.
func (l Looking) PullWords() string {
	return "Pull mode: Stockroom looks for changes " + l.Often() + "; nothing has to reach this machine."
}

// ToGo says how long it takes about to read what was found, "" when that is not known.
func (l Looking) ToGo(now time.Time) string {
	if left := l.Ends.Sub(now); left >= time.Second {
		return "about " + Span(left) + " to go"
	}
	return ""
}

// LookedWords say when changes were looked for last, nothing before the first time.
func (l Looking) LookedWords() Words {
	if l.Last.IsZero() {
		return nil
	}
	return say("Last looked for changes at ", seconds(l.Last), ".")
}

// Schedule is one thing that is done for a shop again and again. Subscriptions is
// what is known of its webhook subscriptions, Subscription one of them.
type (
	Schedule      = syncer.ScheduleStatus
	Subscriptions = syncer.Subscriptions
	Subscription  = syncer.Subscription
)

// MissingWords counts those that are needed and missing.
func MissingWords(s Subscriptions) string {
	return plural(len(s.Missing()), "1 subscription is", "subscriptions are") + " missing"
}

// Next is what is done next for a shop; false for nothing.
func (s *Sync) Next() (first Schedule, ok bool) {
	if s == nil {
		return first, false
	}
	for _, sc := range s.Schedules {
		if !sc.Next.IsZero() && (!ok || sc.Next.Before(first.Next)) {
			first, ok = sc, true
		}
	}
	return first, ok
}

// due is when the first of these schedules is done next, zero when none is planned.
func (s *Sync) due(names ...string) (first time.Time) {
	for _, sc := range s.Schedules {
		if slices.Contains(names, sc.Name) {
			first = earlier(first, sc.Next)
		}
	}
	return first
}

// SyncOf turns what the syncer knows into what is shown.
func SyncOf(st syncer.Status, now time.Time) Sync {
	v := Sync{
		Running: st.Running, Waits: st.Waits, WaitsUntil: st.WaitsUntil, ProvenIDs: st.ProvenIDs, ProvenFields: st.ProvenFields, Staleness: -1,
		LastReconcile: st.Compared, Remote: st.Remote, RemoteAt: st.RemoteAt, Schedules: st.Schedules, Subscriptions: st.Subscriptions,
		Deliveries: st.Deliveries, Looking: Looking{st.Looking, st.Looking.Every.Seconds()}, Raw: st,
	}
	v.AsOf = v.ProvenIDs
	if v.ProvenFields.After(v.AsOf) {
		v.AsOf = v.ProvenFields
	}
	if st.StalenessKnown {
		v.Staleness = st.Staleness.Seconds()
	}
	if st.Running != nil {
		v.Rate, v.EndsAt = pace(*st.Running, st.Since, now)
	}
	return v
}

// pace is how fast a run goes in its present phase and when that ends.
func pace(r store.SyncRun, since, now time.Time) (rate float64, ends time.Time) {
	took := now.Sub(since).Seconds()
	if took < 1 || r.Read == 0 {
		return 0, time.Time{}
	}
	rate = float64(r.Read) / took
	if left := r.Expected - r.Read; left > 0 && rate > 0 {
		ends = now.Add(time.Duration(float64(left) / rate * float64(time.Second)))
	}
	return rate, ends
}

// Calls is how the calls to one shop's API stand: points and circuit.
type Calls struct {
	// Used of Budget points are spent or under way in the present window of
	// Window seconds. Learnt: the shop has told its budget.
	Used    int  `json:"points_used"`
	Budget  int  `json:"points_budget"`
	Window  int  `json:"window_seconds"`
	Learnt  bool `json:"budget_learnt"`
	Waiting int  `json:"calls_waiting"` // for points
	// NextGrant is when the next call can go; zero: now, or when an answer comes.
	// Asked: Shopify has asked us to wait until then.
	NextGrant time.Time `json:"next_grant_at,omitzero"`
	Asked     bool      `json:"asked_to_wait,omitempty"`
	// Circuit is closed, half-open or open, the worst of the shop's endpoints.
	Circuit string    `json:"circuit"`
	Reason  string    `json:"circuit_reason,omitempty"`
	RetryAt time.Time `json:"circuit_next_try_at,omitzero"`
	Held    bool      `json:"circuit_held"` // by hand
	// Failed is why the newest call failed, "" when it was answered, since
	// FailedAt; the next one is made at FailedRetryAt, zero when nothing holds it
	// back.
	Failed        string    `json:"failed,omitempty"`
	FailedAt      time.Time `json:"failed_at,omitzero"`
	FailedRetryAt time.Time `json:"failed_retry_at,omitzero"`
	// Version served, and what Shopify will drop of what is asked for.
	Version    string `json:"api_version,omitempty"`
	Deprecated string `json:"api_deprecated,omitempty"`
}

// Open reports whether calls are refused now.
func (c *Calls) Open() bool { return c != nil && c.Circuit == "open" }

// Wait reports whether the next call has to wait for longer than a moment.
func (c *Calls) Wait(now time.Time) bool {
	return c != nil && c.NextGrant.After(now.Add(2*time.Second))
}

// Connection is one shop connection as it may be shown. It holds no secret.
type Connection struct {
	Shop       string            `json:"shop"` // my-shop.myshopify.com
	MerchantID string            `json:"merchant_id,omitempty"`
	State      string            `json:"state"`                // active, paused or uninstalled
	Reason     string            `json:"reason,omitempty"`     // why it is not active: a code, and a detail behind a colon
	Words      string            `json:"words,omitempty"`      // the step that failed, a part of a sentence
	NextTry    time.Time         `json:"next_try_at,omitzero"` // when a paused shop is asked again
	Selection  catalog.Selection `json:"selection"`
	AddedAt    time.Time         `json:"added_at,omitzero"`
	// FromEnvironment: the environment declares it, so it can't be removed here.
	FromEnvironment bool `json:"from_environment"`
	HasSecret       bool `json:"has_secret"`      // deliveries can be verified
	HasToken        bool `json:"has_token"`       // an access token that does not end
	PreviousSecret  bool `json:"previous_secret"` // the secret before a rotation is still accepted
	// Access is how its API is reached.
	Access      Access    `json:"access"`
	ConsentedAt time.Time `json:"consented_at,omitzero"` // when the shop's owner let the app in
}

// Access is how the API of a shop is reached.
type Access string

// The kinds of access.
const (
	ByCredentials Access = "credentials" // tokens are asked for with client id and secret
	ByConsent     Access = "consent"     // with the token that the shop's owner let the app have
	ByToken       Access = "token"       // with a token that a person gave
)

// Level is how grave a notice is.
type Level string

// The levels.
const (
	LevelInfo Level = "info" // good to know
	LevelWarn Level = "warn" // works, but not as it should
	LevelBad  Level = "bad"  // something does not work
)

// Notice is something a person should know of the files.
type Notice struct {
	// ID is what a person acknowledges it by, "" where it goes without that.
	ID    string `json:"id,omitempty"`
	Level Level  `json:"level"`
	Text  string `json:"text"`           // one sentence
	Next  string `json:"next,omitempty"` // what happens next automatically or has to be done
}
