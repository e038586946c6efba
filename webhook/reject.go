package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"stockroom/internal/answer"
	"stockroom/queue"
)

// Reason is why a request was refused, from a closed set that serves as a
// metric label.
type Reason string

// The reasons.
const (
	ReasonMethod        Reason = "method"
	ReasonTooLarge      Reason = "too_large"
	ReasonEncoded       Reason = "encoded"
	ReasonMissingHeader Reason = "missing_header"
	ReasonNoHMAC        Reason = "no_hmac"
	ReasonMalformedHMAC Reason = "malformed_hmac"
	ReasonWrongSecret   Reason = "wrong_secret"
	ReasonOldSecret     Reason = "old_secret"
	ReasonOtherShop     Reason = "other_shops_secret"
	ReasonBodyChanged   Reason = "body_changed"
	ReasonTruncated     Reason = "truncated_body"
	ReasonAborted       Reason = "aborted"
	ReasonTooMany       Reason = "too_many_wrong_signatures"
	ReasonUnknownShop   Reason = "unknown_shop"
	ReasonNoSecret      Reason = "no_secret"
	ReasonBusy          Reason = "busy"
	ReasonStoresFailed  Reason = "stores_failed"
)

// wrongSignature is what an answer says in place of the likely cause, which is for
// the operator: it would tell a stranger which shops and secrets there are.
const wrongSignature Reason = "wrong_signature"

// Reasons are all that are counted.
func Reasons() []Reason {
	return []Reason{
		ReasonMethod, ReasonTooLarge, ReasonEncoded, ReasonMissingHeader, ReasonNoHMAC, ReasonMalformedHMAC,
		ReasonWrongSecret, ReasonOldSecret, ReasonOtherShop, ReasonBodyChanged, ReasonTruncated, ReasonAborted, ReasonTooMany,
		ReasonUnknownShop, ReasonNoSecret, ReasonBusy, ReasonStoresFailed,
	}
}

// rejection is a refusal with what a person needs to mend it.
type rejection struct {
	status     int
	reason     Reason
	title      string
	detail     string
	retryAfter int // seconds, 0 for none
	// cause is what the operator is told in place of reason and detail, nil for
	// the same.
	cause *cause
}

// cause is why a signature probably does not fit.
type cause struct {
	reason Reason
	detail string
	found  bool // it was looked for
}

// Rejected is one refused request as the status page shows it. It never holds
// a body, a signature or a secret.
type Rejected struct {
	At      time.Time `json:"at"`
	Reason  Reason    `json:"reason"`
	Status  int       `json:"status"`
	Detail  string    `json:"detail"`
	Address string    `json:"address"`
	Shop    string    `json:"shop,omitempty"`  // as the header claims
	Topic   string    `json:"topic,omitempty"` // as the header claims
}

const rejectedKept = 100

// rejectedList keeps the newest refusals in memory.
type rejectedList struct {
	mu  sync.Mutex
	all []Rejected // the newest last
}

func (l *rejectedList) add(r Rejected) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
	l.all = slices.Delete(l.all, 0, max(0, len(l.all)-rejectedKept))
}

// list returns the refusals, newest first.
func (l *rejectedList) list() []Rejected {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.all)
	slices.Reverse(list)
	return list
}

// clip bounds text from a header before it is logged or shown.
func clip(s string) string { return queue.Clip(s, 100) }

// write answers with problem+json.
func (r *rejection) write(w http.ResponseWriter) {
	(&answer.Refusal{
		Status: r.status, Title: r.title, Detail: r.detail, RetryAfter: r.retryAfter, More: map[string]any{"reason": r.reason},
	}).Write(w)
}

// lookedAt is how many bytes of a refused body are looked at.
const lookedAt = 64 << 10

// look says which cause of a wrong signature is likely. It is called at most once a
// second, while the memory of the body is accounted for, and its work is bounded
// whatever the body and the number of shops.
func (in *Intake) look(d *Directory, req *request, named string, body, sum []byte, tried []*verifier) cause {
	var old, other, own *verifier
	if len(body) <= lookedAt {
		old = matching(d.retired, body, sum)
		other = matching(in.lately.of(d, latelyKept), body, sum)
		sent := bytes.TrimPrefix(bytes.TrimRight(body, "\r\n"), []byte("\xef\xbb\xbf"))
		own = matching(tried, sent, sum)
	}
	switch _, known := d.shops[named]; {
	case old != nil:
		return cause{ReasonOldSecret, "The body is signed with a client secret that was replaced here. " +
			"If Shopify still uses it, configure it as the previous secret.", true}
	case other != nil:
		if !known && named != "" {
			in.refusals.stranger(clip(named), other, req.arrived)
		}
		return cause{ReasonOtherShop, "The body is signed with the secret of another shop than the one that it is for.", true}
	case own != nil:
		return cause{ReasonBodyChanged, "The body was changed on the way: " +
			"a line end or a byte order mark was added. Pass the raw bytes through.", true}
	case endsEarly(body):
		return cause{ReasonTruncated, "The body ends in the middle of its JSON: " +
			"something on the way cut it off. Look for a size limit in a proxy.", true}
	case looksRewritten(body[:min(len(body), lookedAt)]):
		return cause{ReasonBodyChanged, "The body is not written the way Shopify writes JSON, so something on the way " +
			"has probably read it and written it again. Pass the raw bytes through.", true}
	case strings.HasPrefix(req.http.UserAgent(), "Shopify-Captain-Hook"):
		return cause{ReasonWrongSecret, "The body is signed with another secret. Compare the client secret with the app's; " +
			"webhooks made under Settings, Notifications are signed with a secret of their own, " +
			"which --signing-secret-file takes.", true}
	}
	return cause{ReasonWrongSecret, "The body is signed with another secret, or not by Shopify at all.", true}
}

// endsEarly reports whether a JSON text breaks off. A long one is not parsed: its
// last bytes decide.
func endsEarly(body []byte) bool {
	if len(body) > lookedAt {
		last := bytes.TrimRight(body[len(body)-64:], " \r\n\t")
		return body[0] == '{' && !bytes.HasSuffix(last, []byte("}"))
	}
	if len(body) == 0 {
		return false
	}
	var raw json.RawMessage
	err := json.Unmarshal(body, &raw)
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	return ok && syntax.Offset >= int64(len(body))
}

// looksRewritten: Shopify writes gids with \/ and puts no blank after a colon.
func looksRewritten(body []byte) bool {
	return bytes.Contains(body, []byte("gid://shopify/")) || bytes.Contains(body, []byte(`": `))
}

// decodeHMAC returns the 32 bytes of a signature header.
func decodeHMAC(header string) ([]byte, bool) {
	sum, err := base64.StdEncoding.DecodeString(header)
	return sum, err == nil && len(sum) == 32
}
