package shopify

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind says what became of a call that did not succeed. The set is closed.
type Kind uint8

// The kinds, with what Shopify sends for each (shopify.dev/docs/api/usage/response-codes
// and shopify.dev/docs/api/admin-graphql, status and error codes).
const (
	KindServer      Kind = iota + 1 // 5xx, 408, INTERNAL_SERVER_ERROR
	KindTimeout                     // no whole answer within Options.Timeout
	KindNetwork                     // refused, reset, no such host, TLS
	KindUnreadable                  // HTML, broken or unexpected JSON, a body above Options.MaxBody
	KindThrottled                   // THROTTLED with status 200, 429, 430
	KindBusy                        // OPERATION_IN_PROGRESS: too many bulk operations at once
	KindToken                       // 401, or the token endpoint refuses the credentials
	KindScope                       // 403, ACCESS_DENIED
	KindPartial                     // data beside errors of another kind
	KindFrozen                      // 402, 423, SHOP_INACTIVE
	KindUninstalled                 // the token endpoint says that the app is not installed
	KindMoved                       // a redirect to another shop's name: the shop was renamed
	KindRefused                     // userErrors, other 4xx and redirects, errors of the document
	KindTooDear                     // MAX_COST_EXCEEDED
	KindChanging                    // the product kept changing while its pages were read
	KindOpen                        // not sent: the circuit is open
	KindBudget                      // not sent: the points are not there in time
	KindCancelled                   // the caller's context ended
	KindLocal                       // not sent: our own state can't be used
)

// kinds are the names of the kinds in logs and metrics, and what each says to a
// person where that does not depend on the call.
var kinds = map[Kind]struct{ name, words string }{
	KindServer:      {"server", "Shopify has a fault"},
	KindTimeout:     {"timeout", "Shopify did not answer in time"},
	KindNetwork:     {"network", ""},
	KindUnreadable:  {"unreadable", "the answer can't be read"},
	KindThrottled:   {"throttled", "Shopify asks us to slow down"},
	KindBusy:        {"busy", "other bulk operations are running"},
	KindToken:       {"token", ""},
	KindScope:       {"scope", "an access scope is missing"},
	KindPartial:     {"partial", "Shopify answered only in part"},
	KindFrozen:      {"frozen", "Shopify has frozen the shop"},
	KindUninstalled: {"uninstalled", "the app is not installed on the shop"},
	KindMoved:       {"moved", ""},
	KindRefused:     {"refused", "Shopify refused the request"},
	KindTooDear:     {"too-dear", "the query costs more than Shopify allows"},
	KindChanging:    {"changing", "the product changed while it was read"},
	KindOpen:        {"open", "calls to Shopify failed several times"},
	KindBudget:      {"budget", "the shop's budget of points is used up"},
	KindCancelled:   {"cancelled", "the call was cut short"},
	KindLocal:       {"local", "the call could not be made"},
}

// String names the kind.
func (k Kind) String() string { return kinds[k].name }

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
	Consented  bool   // of KindToken: the token is of the shop owner's consent
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
	s, known := e.words(), e.refusal()
	switch {
	case e.Message == "", e.Granted, e.Consented, known != nil && known.says != "": // it says no more
	case e.Message == e.Code && e.step() != "" && (known != nil || e.Kind != KindToken):
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
const addScope = "add it to the app where that was made, in Shopify's Dev Dashboard (and release that version) or in the shop's admin, " +
	"then approve it in the shop"

// tokenRefusal is what Shopify says of credentials, or of a question to a shop's owner,
// and what to do about it.
type tokenRefusal struct {
	code, says  string // its code, and where that is not enough a part of its text
	words, step string
}

// Codes of tokenRefusals that have other names at Shopify, or none.
const (
	codeRefused = "invalid_grant" // RFC 6749's name for what Shopify calls invalid_request there
	tokenEnds   = "token_ends"
)

var tokenRefusals = []tokenRefusal{
	{"invalid_client", "", "Shopify does not accept the app's client secret", "copy the client secret" + fromDashboard},
	{"application_cannot_be_found", "", "Shopify knows no app with this client id", "copy the client id" + fromDashboard},
	{"shop_not_permitted", "", "Shopify gives this app no token for the shop, because they belong to " +
		"different organizations", "let the shop's owner approve the app with stockroom shop connect SHOP, " +
		"or make the app in the organization that the shop belongs to"},
	{codeRefused, "", "Shopify does not take the code of its consent page, which is good once and for a short time",
		"begin again with stockroom shop connect SHOP"},
	{tokenEnds, "", "Shopify gives this app only tokens that end, as it does for public apps",
		"choose custom distribution for the app in Shopify's Dev Dashboard, then begin again with stockroom " +
			"shop connect SHOP"},
	{"invalid_request", "redirect_uri is not whitelisted",
		"the app's released version does not name the redirect URL " + RedirectURL,
		"add exactly that in Shopify's Dev Dashboard, release that version, and open the address again"},
	{"invalid_request", "matching hosts", "the app's App URL and its redirect URL are on different hosts",
		"set the App URL to " + strings.TrimSuffix(RedirectURL, "/callback") + " in Shopify's Dev Dashboard, " +
			"release that version, and open the address again"},
}

// refusal is what is known of a refusal by the token endpoint, nil for nothing.
func (e *Error) refusal() *tokenRefusal {
	for i, r := range tokenRefusals {
		if r.code == e.Code && strings.Contains(e.Message, r.says) {
			return &tokenRefusals[i]
		}
	}
	return nil
}

// refused notes what Shopify says of a grant. One that is not known is shown as it is.
func (e *Error) refused(code, message string) {
	e.Code, e.Message = clip(code), clip(message)
	switch {
	case message == "":
		e.Message = e.Code
	case code != "" && e.Kind == KindToken && e.refusal() == nil:
		e.Message = clip(code + ": " + message)
	}
}

const fromDashboard = " again from the app's settings in Shopify's Dev Dashboard"

// step is what a person has to do, a part of a sentence, where Shopify lets the
// app in only after it; "" elsewhere.
func (e *Error) step() string {
	switch {
	case e.Kind == KindUninstalled, e.Granted:
		return "release a version of the app in Shopify's Dev Dashboard and install it on the shop"
	case e.Kind == KindScope:
		return addScope
	case e.Kind != KindToken:
		return ""
	case e.Status == 0:
		return "give them with stockroom shop add " + e.Shop + " --api-key CLIENT_ID"
	case e.Consented:
		return "connect the shop again with stockroom shop connect " + e.Shop
	case e.Op != EndpointToken:
		return "copy it again from the app's page in the shop's admin"
	}
	if known := e.refusal(); known != nil {
		return strings.ReplaceAll(known.step, "SHOP", e.Shop)
	}
	if e.Code != "" {
		return "check the client id and the client secret in the app's settings in Shopify's Dev Dashboard, " +
			"and that a version of the app is released and installed on the shop"
	}
	return "copy both" + fromDashboard
}

func (e *Error) words() string {
	shop, words := cmp.Or(e.Shop, "the shop"), kinds[e.Kind].words
	switch {
	case e.Kind == KindServer, e.Kind == KindFrozen:
		return words + e.status()
	case e.Kind == KindTimeout && e.Unsent:
		return "no connection to " + shop + " in time"
	case e.Kind == KindNetwork && e.Unsent:
		return "no connection to " + shop
	case e.Kind == KindNetwork:
		return "the connection to " + shop + " broke off"
	case e.Kind == KindToken:
		return e.tokenWords()
	case e.Kind == KindScope && e.Scope != "":
		return "the access scope " + e.Scope + " is missing"
	case e.Kind == KindMoved:
		return fmt.Sprintf("the shop has another name now, %s; follow it with stockroom shop add %s, "+
			"then stockroom shop remove %s", e.Moved, e.Moved, shop)
	case e.Kind == KindRefused && e.Status == http.StatusNotFound:
		return "there is no such shop at Shopify" + e.status()
	case e.Kind == KindOpen && e.RetryAt.IsZero():
		return "calls to Shopify are held back by hand"
	case e.Kind == KindBudget && e.Code == askedToWait:
		return "Shopify asked us to wait"
	case e.Kind == KindBudget && e.Code == notTold:
		return "how many calls the shop allows now is not known yet"
	}
	return cmp.Or(words, "the call failed")
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
	case e.Consented:
		return "Shopify no longer accepts the access that the shop's owner gave, as after the app was uninstalled " +
			"or its client secret replaced"
	case e.Op != EndpointToken:
		return "Shopify does not accept the access token"
	}
	if known := e.refusal(); known != nil {
		return known.words
	}
	if e.Code != "" {
		return "Shopify gives the app no access"
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
