package shopify

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Error is a call that did not succeed. It never holds a token or a secret.
type Error struct {
	Kind    Kind
	Shop    string
	Op      string // name of the operation
	Status  int    // HTTP status, 0 when there was no answer
	Code    string // Shopify's error code, such as THROTTLED
	Message string // what Shopify said, clipped
	// RequestID is the X-Request-Id of the answer, to quote to Shopify's support.
	RequestID string
	// RetryAt is when another try makes sense; zero when nobody said.
	RetryAt time.Time
	// RetryAfter is what the server asked for, 0 for nothing.
	RetryAfter time.Duration
	Scope      string // the missing access scope of KindScope, "" when not told
	Cost       int    // of KindTooDear: what the query would cost
	Err        error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shopify %s: %s", e.Op, e.words())
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	} else if e.Err != nil {
		fmt.Fprintf(&b, ": %s", e.Err.Error())
	}
	var in []string
	if e.Status != 0 && e.Status != 200 {
		in = append(in, fmt.Sprintf("status %d", e.Status))
	}
	if e.RequestID != "" {
		in = append(in, "request "+e.RequestID)
	}
	if len(in) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(in, ", "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Words says in one plain sentence what happened, for people.
func (e *Error) Words() string {
	s := e.words()
	if e.Message != "" {
		s += ": " + e.Message
	}
	return s
}

func (e *Error) words() string {
	switch e.Kind {
	case KindServer:
		return "Shopify has a fault"
	case KindTimeout:
		return "Shopify did not answer in time"
	case KindNetwork:
		return "Shopify can't be reached"
	case KindUnreadable:
		return "the answer can't be read"
	case KindThrottled:
		return "Shopify asks us to slow down"
	case KindBusy:
		return "other bulk operations are running"
	case KindToken:
		if e.Status == 0 {
			return "the app's credentials are missing"
		}
		return "Shopify does not accept the access token"
	case KindScope:
		if e.Scope != "" {
			return "the access scope " + e.Scope + " is missing"
		}
		return "an access scope is missing"
	case KindPartial:
		return "Shopify answered only in part"
	case KindFrozen:
		return "Shopify has frozen the shop"
	case KindUninstalled:
		return "the app is not installed on the shop"
	case KindRefused:
		return "Shopify refused the request"
	case KindTooDear:
		return "the query costs more than Shopify allows"
	case KindChanging:
		return "the product changed while it was read"
	case KindOpen:
		return "Shopify is not answering"
	case KindBudget:
		if e.Code == askedToWait {
			return "Shopify asked us to wait"
		}
		return "the shop's budget of points is used up"
	case KindCancelled:
		return "the call was cut short"
	case KindLocal:
		return "the call could not be made"
	}
	return "the call failed"
}

// KindOf returns the kind of an error of this package, 0 for any other.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

const clipAt = 300

// clip keeps what others wrote short and on one line.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > clipAt {
		s = strings.ToValidUTF8(s[:clipAt], "") + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
