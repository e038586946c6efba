package shopify

import (
	"errors"
	"fmt"
	"net/http"
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
	Message string // what Shopify or the network said, clipped
	// RequestID is the X-Request-Id of the answer, to quote to Shopify's support.
	RequestID string
	// RetryAt is when another try makes sense; zero when nobody said.
	RetryAt time.Time
	// RetryAfter is what the server asked for, 0 for nothing.
	RetryAfter time.Duration
	Scope      string // the missing access scope of KindScope, "" when not told
	Moved      string // of KindMoved: the name that the shop has now
	Cost       int    // of KindTooDear: what the query would cost
	Granted    bool   // of KindToken: the token came from the client-credentials grant
	// Unsent: there was no connection, so it never reached the shop.
	Unsent bool
	// Behind is the failed call because of which this one was not sent, of
	// KindOpen and KindBudget; nil when none is known.
	Behind *Error
	Err    error
}

// Root is the failed call that is behind an error: of one that was not sent the
// call that failed before it.
func (e *Error) Root() *Error {
	if e.Behind != nil {
		return e.Behind
	}
	return e
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
	if e.Status != 0 && e.Status != 200 && !strings.Contains(e.words(), e.status()) {
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

// Words says in a part of a sentence which step failed, for people. Of a call
// that was not sent it is the step that failed before it.
func (e *Error) Words() string {
	if e.Behind != nil {
		return e.Behind.Words()
	}
	s := e.words()
	switch {
	case e.Message == "", e.Message == e.Code && e.step() != "", e.Granted: // it says no more
	case e.status() != "" && e.Message == http.StatusText(e.Status): // the number says as much
	default:
		s += ": " + e.Message
	}
	if step := e.step(); step != "" {
		s = strings.TrimSuffix(s, ".") + "; " + step
	}
	return s
}

// addScope is how an app comes to a scope.
const addScope = "add it to the app in Shopify's Dev Dashboard, release that version and approve it in the shop"

// step is what a person has to do, a part of a sentence, where Shopify lets the
// app in only after it; "" elsewhere.
func (e *Error) step() string {
	const dashboard = " again from the app's settings in Shopify's Dev Dashboard"
	switch {
	case e.Kind == KindUninstalled, e.Granted:
		return "release a version of the app in Shopify's Dev Dashboard and install it on the shop"
	case e.Kind == KindScope:
		return addScope
	case e.Kind != KindToken:
		return ""
	case e.Status == 0:
		return "give them with stockroom shop add " + e.Shop + " --api-key CLIENT_ID"
	case e.Op != EndpointToken:
		return "copy it again from the app's page in the shop's admin"
	}
	switch e.Code {
	case "invalid_client":
		return "copy the client secret" + dashboard
	case "application_cannot_be_found":
		return "copy the client id" + dashboard
	case "shop_not_permitted":
		return "make the app in the organization that the shop belongs to"
	}
	return "copy both" + dashboard
}

func (e *Error) words() string {
	shop := e.Shop
	if shop == "" {
		shop = "the shop"
	}
	switch e.Kind {
	case KindServer:
		return "Shopify has a fault" + e.status()
	case KindTimeout:
		if e.Unsent {
			return "no connection to " + shop + " in time"
		}
		return "Shopify did not answer in time"
	case KindNetwork:
		if e.Unsent {
			return "no connection to " + shop
		}
		return "the connection to " + shop + " broke off"
	case KindUnreadable:
		return "the answer can't be read"
	case KindThrottled:
		return "Shopify asks us to slow down"
	case KindBusy:
		return "other bulk operations are running"
	case KindToken:
		return e.tokenWords()
	case KindScope:
		if e.Scope != "" {
			return "the access scope " + e.Scope + " is missing"
		}
		return "an access scope is missing"
	case KindPartial:
		return "Shopify answered only in part"
	case KindFrozen:
		return "Shopify has frozen the shop" + e.status()
	case KindUninstalled:
		return "the app is not installed on the shop"
	case KindMoved:
		return fmt.Sprintf("the shop has another name now, %s; follow it with stockroom shop add %s, "+
			"then stockroom shop remove %s", e.Moved, e.Moved, shop)
	case KindRefused:
		if e.Status == http.StatusNotFound {
			return "there is no such shop at Shopify" + e.status()
		}
		return "Shopify refused the request"
	case KindTooDear:
		return "the query costs more than Shopify allows"
	case KindChanging:
		return "the product changed while it was read"
	case KindOpen:
		if e.RetryAt.IsZero() {
			return "calls to Shopify are held back by hand"
		}
		return "calls to Shopify failed several times"
	case KindBudget:
		switch e.Code {
		case askedToWait:
			return "Shopify asked us to wait"
		case notTold:
			return "how many calls the shop allows now is not known yet"
		}
		return "the shop's budget of points is used up"
	case KindCancelled:
		return "the call was cut short"
	case KindLocal:
		return "the call could not be made"
	}
	return "the call failed"
}

// status is the answer's HTTP status in brackets, "" when it says nothing.
func (e *Error) status() string {
	if e.Status == 0 || e.Status == http.StatusOK {
		return ""
	}
	return fmt.Sprintf(" (%d)", e.Status)
}

// tokenWords says which of the credentials is not accepted: the token of a call,
// or what a token is asked for with.
func (e *Error) tokenWords() string {
	switch {
	case e.Status == 0:
		return "the app's client id and client secret are missing"
	case e.Granted:
		return "Shopify does not accept the access that it gave the app itself"
	case e.Op != EndpointToken:
		return "Shopify does not accept the access token"
	case e.Code == "invalid_client":
		return "Shopify does not accept the app's client secret"
	case e.Code == "application_cannot_be_found":
		return "Shopify knows no app with this client id"
	case e.Code == "shop_not_permitted":
		return "Shopify gives this app no token for the shop, because they belong to different organizations"
	}
	return "Shopify does not accept the app's client id and secret"
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
