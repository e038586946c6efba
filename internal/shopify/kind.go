package shopify

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

// kindNames are the names of the kinds in logs and metrics.
var kindNames = map[Kind]string{
	KindServer: "server", KindTimeout: "timeout", KindNetwork: "network", KindUnreadable: "unreadable", KindThrottled: "throttled",
	KindBusy: "busy", KindToken: "token", KindScope: "scope", KindPartial: "partial", KindFrozen: "frozen",
	KindUninstalled: "uninstalled", KindMoved: "moved", KindRefused: "refused", KindTooDear: "too-dear", KindChanging: "changing", KindOpen: "open",
	KindBudget: "budget", KindCancelled: "cancelled", KindLocal: "local",
}

// String names the kind.
func (k Kind) String() string { return kindNames[k] }
