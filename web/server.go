package web

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/admit"
	"stockroom/internal/answer"
	"stockroom/internal/backup"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/folder"
	"stockroom/internal/logbook"
	"stockroom/internal/notify"
	"stockroom/internal/status"
	"stockroom/internal/telemetry"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/webhook"
)

// Options are the server's settings. Store, Queue, Shops and Status are required.
type Options struct {
	Store *store.Store
	Queue *queue.Queue
	Shops Shops
	// Sets are served under /metrics together with Telemetry and the server's
	// own gauges.
	Sets      []*metrics.Set
	Telemetry *telemetry.Recorder
	// Status is the account of how everything stands.
	Status *status.Reader
	// Syncs compares with the shop; nil: nobody does.
	Syncs Syncs
	// Outbound decides about the calls to Shopify; nil: there are none.
	Outbound Outbound
	// Consents ask the owners of shops; nil: nobody does.
	Consents Consents
	// Rejected returns the newest refused deliveries, newest first; nil for none.
	Rejected func() []webhook.Rejected
	// SendSample sends a signed sample delivery over the public URL; nil
	// when the server does not listen.
	SendSample func(ctx context.Context, s Sample) (SampleSent, error)
	// Notify sends messages when something is wrong; nil: nobody does.
	Notify *notify.Notifier
	// Doctor looks at everything that can be wrong; deep: it reads all that is stored,
	// too. Nil when there is none.
	Doctor func(ctx context.Context, deep bool) []Finding
	// Acknowledge takes a notice off that a person knows of, and returns how many
	// went: 0 when it is gone already. Required where Status has notices with an ID.
	Acknowledge func(ctx context.Context, id string) (int, error)
	// Backup copies all stores at one moment; nil: there are no backups.
	Backup func(ctx context.Context, secrets bool) (*backup.Copies, error)
	// Settings returns the settings in force; nil shows nothing of them. Values of
	// secrets have to be redacted.
	Settings func() []config.Setting
	// Wanted is told of work that a click asked for, so that it begins at once;
	// nil leaves it to the next look at the table of wanted work.
	Wanted func(store.Wanted)
	// Admit says who may come in. In a demo the page says that the shop is simulated.
	Admit   admit.Options
	Version string
	Started time.Time    // of the process; zero means New's call
	Logger  *slog.Logger // nil discards
	// Folder takes the copy that an sqlite export makes; those need one.
	Folder  *folder.Folder
	DataDir string // its path, for people
	// DiskFree returns how many bytes the disk of the data dir still takes; nil
	// when nobody knows.
	DiskFree  func() (int64, error)
	PublicURL string // where Shopify reaches the public listener, "" in pull mode
	// Command writes a command line that a person can paste; nil: the bare one.
	Command func(words string) string
}

// Shops is how shop connections are read and changed. Errors that a person can
// mend are a *answer.Refusal.
type Shops interface {
	List(ctx context.Context) ([]status.Connection, error)
	// Add connects a shop, or changes its connection. With Check the shop is asked
	// first, and what it says is returned; a *shopify.Error is its refusal, after
	// which nothing is stored.
	Add(ctx context.Context, shop AddShop) (*Found, error)
	// Remove forgets the connection; with purge everything else that is kept of
	// the shop too, also of one that was removed before. dry only tells.
	Remove(ctx context.Context, shop string, purge, dry bool) (Removed, error)
	Select(ctx context.Context, shop string, sel catalog.Selection) (store.SelectionEffect, error)
}

// Removed is what became, or would become, of a shop that is removed.
type Removed struct {
	Shop                 string   `json:"shop"`
	Products             int      `json:"products"` // stored before
	ProductsDeactivated  int      `json:"products_deactivated"`
	ProductsDeleted      int      `json:"products_deleted"`
	SubscriptionsDeleted int      `json:"subscriptions_deleted"`
	SubscriptionsLeft    []string `json:"subscriptions_left"` // topic and address
	LeftBecause          string   `json:"left_because"`
	Files                []string `json:"files"` // that a purge leaves and that may hold something of it
}

// AddShop is a new shop connection, or what changes of one.
type AddShop struct {
	Shop           string
	MerchantID     string
	APIKey         string
	Secret         config.Secret // client secret, signs deliveries
	PreviousSecret config.Secret // the one before a rotation
	AccessToken    config.Secret // one that does not end; unset for the client-credentials grant
	Check          bool          // ask the shop before anything is stored
}

// Sample is a delivery to be sent for a try. An empty Shop means the only one
// there is, an empty Body a sample of the topic.
type Sample struct {
	Shop  string
	Topic string
	Body  []byte
}

// SampleSent is what became of it.
type SampleSent struct {
	URL    string          `json:"url"`
	Shop   string          `json:"shop"`
	Topic  string          `json:"topic"`
	Status int             `json:"status"` // of the answer, 0 for none
	Answer json.RawMessage `json:"answer"` // its body
	// Level is ok, warn (it could not be tested from here) or fail. Text says what
	// is so, Next what to do.
	Level string `json:"level"`
	Text  string `json:"text"`
	Next  string `json:"next,omitempty"`
}

// Server builds the handlers. It is safe for concurrent use and needs no
// closing.
type Server struct {
	o       Options
	log     *slog.Logger
	audit   *slog.Logger // for what a person does
	lines   *slog.Logger // for what a stranger can cause
	gate    *admit.Gate
	assets  *assets
	counts  *shopCounts
	own     *metrics.Set
	copies  chan struct{} // of the catalogue that are being made
	sending sync.Mutex    // held while a backup is sent
	streams *streams
	sight   sight
	onces   *answer.Once
	undo    *undoList
	doctor  *lastCheck
	// lastConnected says what the form connected last.
	lastConnected atomic.Pointer[string]
}

// New returns a server.
func New(o Options) *Server {
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Started = cmp.Or(o.Started, time.Now())
	if o.Command == nil {
		o.Command = config.Settings{}.Command
	}
	if o.Rejected == nil {
		o.Rejected = func() []webhook.Rejected { return nil }
	}
	s := &Server{
		o: o, log: o.Logger, audit: o.Logger.With(logbook.AuditKey, true), lines: telemetry.Lines(o.Logger),
		gate:    admit.New(o.Admit, o.Logger),
		assets:  loadAssets(),
		counts:  newShopCounts(o.Store),
		own:     metrics.NewSet(),
		copies:  make(chan struct{}, copiesAtOnce),
		streams: newStreams(),
		onces:   answer.NewOnce(refusalOf),
		undo:    new(undoList),
		doctor:  new(lastCheck),
	}
	s.registerGauges()
	return s
}

// Admin handles the admin listener.
func (s *Server) Admin() http.Handler {
	return s.recovered(s.guarded(s.router(s.adminRoutes())))
}

// Public handles the public listener: deliveries, which webhooks answers
// whatever their method, and health.
func (s *Server) Public(webhooks http.Handler) http.Handler {
	return s.recovered(s.public(webhooks))
}

// Both handles one loopback listener that serves the two sides.
func (s *Server) Both(webhooks http.Handler) http.Handler {
	public, admin := s.public(webhooks), s.guarded(s.router(s.adminRoutes()))
	return s.recovered(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isDelivery(r) {
			public.ServeHTTP(w, r)
			return
		}
		admin.ServeHTTP(w, r)
	}))
}
