package shopify

import (
	"net/http"
	"time"
)

// Seen is what a shop's answers have told besides their data, since the process
// started. The zero value: no answer yet.
type Seen struct {
	At time.Time // of the newest answer
	// Version is the one that served it. Another than the one asked for means
	// that Shopify does not serve that any more, or not yet.
	Version string
	// Deprecated is the X-Shopify-API-Deprecated-Reason of the newest answer that
	// had one, "" for none.
	Deprecated string
	// Skew is how far our clock was ahead of the shop's, to the second, at
	// DatedAt, when the newest answer with a date came; zero: none had one.
	Skew    time.Duration
	DatedAt time.Time
}

// Seen returns what the shop's answers have told.
func (c *Client) Seen(name string) Seen {
	s := c.shop(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// clockKnown is for how long a shop's date says what time it is there.
const clockKnown = time.Hour

// Now is the time by the shop's own clock: counted from the date of its newest
// answer that has one, or ours when none came within the hour. Setting our clock does not
// move it.
func (c *Client) Now(name string) time.Time {
	seen := c.Seen(name)
	since := time.Since(seen.DatedAt)
	if seen.DatedAt.IsZero() || since > clockKnown {
		return time.Now()
	}
	return seen.DatedAt.Add(since - seen.Skew)
}

// Version is the version that is asked for.
func (c *Client) Version() string { return c.o.Version }

// mostSkew is how wrong a clock may be: with one that is further off no
// certificate would be taken, so that such a date is no date.
const mostSkew = 400 * 24 * time.Hour

func (c *Client) notice(name string, h http.Header, sent, now time.Time) {
	s := c.shop(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.At = now
	if v := h.Get("X-Shopify-API-Version"); v != "" {
		if v != s.seen.Version && v != c.o.Version {
			c.log.Warn("Shopify answers with another API version than was asked for", "shop", name, "asked", c.o.Version, "served", v)
		}
		s.seen.Version = v
	}
	if d := h.Get("X-Shopify-API-Deprecated-Reason"); d != "" {
		if s.seen.Deprecated == "" {
			c.log.Info("a later API version drops something that is asked for", "shop", name, "see", clip(d))
		}
		s.seen.Deprecated = clip(d)
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		// The date has whole seconds, so half of one is its middle.
		skew := sent.Add(now.Sub(sent) / 2).Sub(date.Add(time.Second / 2)).Round(time.Second)
		if skew.Abs() < mostSkew {
			s.seen.Skew, s.seen.DatedAt = skew, now
		}
	}
}

// DaysLeft is how many whole days a version will still be served, 0 when it is
// not any more. False for what is no version. It is served until a year after its
// release, on the 16th day of that month at 15:00 UTC
// (shopify.dev/docs/api/usage/versioning).
func DaysLeft(version string, now time.Time) (int, bool) {
	released, err := time.Parse("2006-01", version)
	if err != nil || released.Month()%3 != 1 {
		return 0, false
	}
	end := released.AddDate(1, 0, 15).Add(15 * time.Hour)
	return max(0, int(end.Sub(now)/(24*time.Hour))), true
}
