package shopify

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"stockroom/breaker"
	"stockroom/limiter"
)

// Endpoint classes, each with a circuit of its own per shop.
const (
	EndpointGraphQL = "graphql"
	EndpointToken   = "token"
)

// Options are the client's settings.
type Options struct {
	// BaseURL gives the address of a shop's API without a slash at its end.
	// Required.
	BaseURL func(shop string) string
	// Version of the Admin API, such as 2026-10. Required.
	Version string
	// Credentials of the shops. Required.
	Credentials Credentials
	// Limiter and Breaker decide about each call. Required.
	Limiter *limiter.Limiter
	Breaker *breaker.Breaker
	// Transport carries the calls. Nil: one of its own with a connect timeout
	// of 5 s.
	Transport http.RoundTripper
	// Timeout is one try's time from dial to the end of the answer. Default 30 s.
	Timeout time.Duration
	// MaxBody is the most bytes of an answer that are read. Default 6 MiB: a few
	// times what the largest page of variants has.
	MaxBody int64
	// MaxDownload is the most bytes of a bulk result. Default 64 GiB.
	MaxDownload int64
	// Stall is how long each LeastRead bytes of a download may be waited for.
	// Default 60 s.
	Stall time.Duration
	// Tries is how often a read is tried in this process. Default 3.
	Tries int
	// RetryBase is the unit of the waits between them: 2^try times it, and
	// jitter. Default 100 ms.
	RetryBase time.Duration
	// Logger gets one line for each thing a person should know. Nil: none.
	Logger *slog.Logger
}

func (o *Options) defaults() {
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 6<<20)
	o.MaxDownload = cmp.Or(o.MaxDownload, 64<<30)
	o.Stall = cmp.Or(o.Stall, time.Minute)
	o.Tries = cmp.Or(o.Tries, 3)
	o.RetryBase = cmp.Or(o.RetryBase, 100*time.Millisecond)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   5 * time.Second,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          64,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
			ExpectContinueTimeout: time.Second,
		}
	}
}

// Client calls the Admin API for all shops. It is safe for concurrent use.
type Client struct {
	o       Options
	http    *http.Client
	files   *http.Transport // for downloads from other hosts than the API's
	log     *slog.Logger
	queries map[string]*query

	selfThrottled atomic.Int64

	mu    sync.Mutex
	shops map[string]*shop
}

// shop is what the client remembers of a shop while the process runs.
type shop struct {
	token *tokenBox

	mu      sync.Mutex
	seen    Seen
	contact Contact
}

// New makes a client. Nothing is sent before the first call.
func New(o Options) (*Client, error) {
	o.defaults()
	queries, err := loadQueries()
	if err != nil {
		return nil, fmt.Errorf("shopify: %w", err)
	}
	return &Client{
		o: o, log: o.Logger, queries: queries, shops: map[string]*shop{},
		files: fileTransport(),
		http: &http.Client{
			Transport: o.Transport,
			// A token must not follow a redirect to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close drops idle connections. Calls still under way end by their contexts.
func (c *Client) Close() {
	c.http.CloseIdleConnections()
	c.files.CloseIdleConnections()
}

// SelfThrottled is how many calls were throttled because the shop's points were
// gone, since the process started. The limiter is there to keep it 0; another
// client of the same app can raise it.
func (c *Client) SelfThrottled() int64 { return c.selfThrottled.Load() }

// Forget drops what is remembered of a shop that was removed.
func (c *Client) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.shops, name)
}

func (c *Client) shop(name string) *shop {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shops[name]
	if s == nil {
		s = &shop{token: newTokenBox()}
		c.shops[name] = s
	}
	return s
}

// Pace is how many points a shop gives.
type Pace struct {
	PerSecond float64 // 0 when nothing is known of it
	Learnt    bool    // the shop has told it, or the settings fix it
	Short     bool    // most of what may be spent now is spent, or calls wait for points
}

// Pace tells how many points a shop gives, as far as that is known.
func (c *Client) Pace(name string) Pace {
	snap, ok := c.o.Limiter.Snapshot(name)
	if !ok {
		return Pace{}
	}
	p := Pace{PerSecond: float64(snap.Budget) / snap.Window.Seconds(), Learnt: snap.Mode != "default", Short: snap.Used > snap.Budget*3/4}
	if snap.Server.RestoreRate > 0 {
		p.PerSecond = snap.Server.RestoreRate
	}
	for _, n := range snap.Waiting {
		p.Short = p.Short || n > 0
	}
	return p
}
