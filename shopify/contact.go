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
	s := c.shop(name)
	s.mu.Lock()
	got := s.contact
	s.mu.Unlock()
	if !got.Failing {
		return got
	}
	now := time.Now()
	if at := got.Failure.RetryAt; at.After(now) {
		got.RetryAt = at
	}
	for _, st := range c.o.Breaker.ShopAt(now, name) {
		if st.State != breaker.StateClosed && st.RetryAt.After(got.RetryAt) {
			got.RetryAt = st.RetryAt
		}
	}
	return got
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
	if got := c.Contact(name); got.Failing {
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
