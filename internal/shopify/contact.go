package shopify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	"stockroom/breaker"
)

// Contact is how the calls to a shop went, since the process started. Only
// calls that were made count: what a circuit, missing points or our own end held
// back tells nothing of the shop. The zero value: no call yet.
type Contact struct {
	Answered time.Time // when the shop last gave an answer that is of use
	Failed   time.Time // of the newest call that failed
	Failure  *Error    // that call's; nil for none
	// Failing: the newest call failed.
	Failing bool
	// RetryAt is when a failing shop is next tried, zero when nobody holds the
	// calls back.
	RetryAt time.Time
}

// Contact returns how the calls to a shop went.
func (c *Client) Contact(name string) Contact {
	got, now := c.noted(name), time.Now()
	if !got.Failing {
		return got
	}
	if at := got.Failure.RetryAt; at.After(now) {
		got.RetryAt = at
	}
	if e := c.Held(name, now); e != nil && e.RetryAt.After(got.RetryAt) {
		got.RetryAt = e.RetryAt
	}
	return got
}

func (c *Client) noted(name string) Contact {
	s := c.shop(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contact
}

// Held is what a call of a shop would be refused with now without being sent:
// KindOpen, with the instant of the next try, or without one when a person holds
// the calls back. nil: it would be sent.
func (c *Client) Held(name string, now time.Time) *Error {
	var worst *Error
	for _, st := range c.o.Breaker.ShopAt(now, name) {
		byHand := st.Hand == breaker.HeldOpen
		waits := st.State == breaker.StateOpen && st.RetryAt.After(now)
		if waits && st.Key.Class == EndpointToken {
			waits = !c.hasToken(name, now)
		}
		if !byHand && !waits {
			continue
		}
		open := &breaker.OpenError{Key: st.Key, Reason: st.Reason, RetryAt: st.RetryAt}
		if byHand {
			open.RetryAt = time.Time{}
		}
		e := c.openError(name, st.Key.Class, open)
		if worst == nil || byHand || !worst.RetryAt.IsZero() && e.RetryAt.After(worst.RetryAt) {
			worst = e
		}
	}
	return worst
}

// hasToken reports whether a call needs no new token.
func (c *Client) hasToken(name string, now time.Time) bool {
	if app, err := c.o.Credentials.App(name); err == nil && app.AccessToken.IsSet() {
		return true
	}
	_, ok := c.o.Credentials.Token(name, now)
	return ok
}

// TryNow ends the wait of a shop's open circuits, and the one that it asked for:
// the next call is sent, and decides. Calls that a person holds back stay held.
func (c *Client) TryNow(name string) {
	c.o.Limiter.Lift(name)
	for _, class := range []string{EndpointGraphQL, EndpointToken} {
		c.o.Breaker.TryNow(time.Now(), breaker.Key{Shop: name, Class: class})
	}
}

// contacted notes what became of a call that was made.
func (c *Client) contacted(name string, now time.Time, err error) {
	var e *Error
	if errors.As(err, &e) && (e.Kind == KindCancelled || e.Kind == KindLocal) {
		return
	}
	s := c.shop(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == nil || !e.ofTheShop() {
		s.contact.Answered, s.contact.Failing = now, false
		return
	}
	s.contact.Failed, s.contact.Failure, s.contact.Failing = now, e, true
}

// ofTheShop reports whether an error speaks of the shop or the way to it. Others
// are about the one thing that was asked for, or about the moment.
func (e *Error) ofTheShop() bool {
	switch v := Judge(e); {
	case e.Kind == KindChanging, v.Pause == ForOneThing:
		return false
	case e.Kind == KindRefused:
		return e.Status != http.StatusOK
	default:
		return v.Job == Retry || v.Job == Pause
	}
}

// behind is the failure that keeps a call from being sent now; nil when none is
// known.
func (c *Client) behind(name string) *Error {
	if got := c.noted(name); got.Failing {
		return got.Failure
	}
	return nil
}

// connecting watches whether a request gets a connection. One that asked for it
// and got none never reached the shop.
type connecting struct{ asked, got atomic.Bool }

func (w *connecting) watch(req *http.Request) *http.Request {
	return req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GetConn: func(string) { w.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.got.Store(true) },
	}))
}

func (w *connecting) unsent() bool { return w.asked.Load() && !w.got.Load() }

// networkReason says in a few words why a connection failed.
func networkReason(err error) string {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var name x509.HostnameError
	var op *net.OpError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the name " + dns.Name + " is not known (DNS)"
	case errors.As(err, &dns):
		return "the name " + dns.Name + " can't be looked up (DNS)"
	case errors.As(err, &cert), errors.As(err, &name):
		return "its certificate is not trusted (TLS): " + clip(unwrapURL(err))
	case errors.As(err, &op) && errors.Is(err, syscall.ECONNREFUSED) && op.Addr != nil:
		return op.Addr.String() + " refused the connection"
	}
	return clip(unwrapURL(err))
}

// unwrapURL is an error's text without the method and address before it.
func unwrapURL(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}
