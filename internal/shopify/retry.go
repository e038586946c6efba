package shopify

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"stockroom/internal/uptime"
	"stockroom/limiter"
)

// longestWait is the most that a read waits for a server's Retry-After before it
// leaves the next try to whoever asked.
const longestWait = 5 * time.Second

// read makes a call that may be repeated: a query.
func (c *Client) read(ctx context.Context, name string, class limiter.Class, op operation, out any) error {
	return withRetry(ctx, c.o.Tries, c.o.RetryBase, func() error { return c.call(ctx, name, class, op, out) })
}

// withRetry calls fn up to tries times. It repeats what a moment may mend:
// timeouts, broken and refused connections, 429, 502, 503 and 504. Between tries
// it waits 2^try times base and up to half of that again, or as long as the
// server asked for; it ends with ctx.
func withRetry(ctx context.Context, tries int, base time.Duration, fn func() error) error {
	for try := 1; ; try++ {
		err := fn()
		var e *Error
		if err == nil || try >= tries || !errors.As(err, &e) || !passing(e) {
			return err
		}
		wait := base << try
		wait += time.Duration(rand.Int64N(int64(wait)/2 + 1))
		if e.RetryAfter > longestWait || !uptime.Sleep(ctx, max(wait, e.RetryAfter)) {
			return err
		}
	}
}

// passing reports whether a fault may be gone in a moment.
func passing(e *Error) bool {
	switch e.Kind {
	case KindTimeout, KindNetwork:
		return true
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}
