package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"stockroom/internal/catalog"
	"stockroom/limiter"
)

// exchange sends a request and reads the whole answer, at most most bytes of
// it. ctx is the caller's; the request has its own, which ends earlier.
func (c *Client) exchange(ctx context.Context, req *http.Request, shop, op string, most int64) (*http.Response, []byte, error) {
	way := &connecting{}
	fail := func(err error) error {
		if ctx.Err() != nil {
			e := cancelled(shop, op, ctx)
			e.Unsent = way.unsent()
			return e
		}
		e := &Error{Kind: KindNetwork, Shop: shop, Op: op, Message: networkReason(err), Unsent: way.unsent(), Err: err}
		var n net.Error
		if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout() {
			e.Kind, e.Message = KindTimeout, ""
		}
		return e
	}
	req.Header.Set("User-Agent", "stockroom")
	res, err := c.http.Do(way.watch(req))
	if err != nil {
		return nil, nil, fail(err)
	}
	defer func() { _ = res.Body.Close() }() // what was read is all that counts
	body, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return nil, nil, fail(err)
	}
	if int64(len(body)) > most {
		return nil, nil, &Error{Kind: KindUnreadable, Shop: shop, Op: op, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"),
			Message: fmt.Sprintf("it is longer than %d bytes", most)}
	}
	return res, body, nil
}

// costBlock is extensions.cost of an answer. Shopify writes the numbers as
// integers or as floats; actual is null when the call was throttled.
type costBlock struct {
	requested int // 0 when not told
	actual    int // limiter.Unknown when not told
	throttle  *limiter.ThrottleStatus
}

// readExtensions reads what stands beside the data: what the call cost, and what
// Shopify did not understand of a search. What does not fit is as if not told.
func readExtensions(text json.RawMessage) (cost costBlock, warning string) {
	var ext struct {
		Cost struct {
			Requested float64 `json:"requestedQueryCost"`
			Actual    float64 `json:"actualQueryCost"`
			Throttle  struct {
				Maximum   float64 `json:"maximumAvailable"`
				Available float64 `json:"currentlyAvailable"`
				Restore   float64 `json:"restoreRate"`
			} `json:"throttleStatus"`
		} `json:"cost"`
		Search []struct {
			Warnings []struct {
				Field   string `json:"field"`
				Message string `json:"message"`
			} `json:"warnings"`
		} `json:"search"`
	}
	ext.Cost.Actual, ext.Cost.Throttle.Available = math.NaN(), math.NaN()
	_ = json.Unmarshal(text, &ext) // a member of another type stays as it is, the others are read
	cost.actual = limiter.Unknown
	if n := ext.Cost.Requested; n >= 0 && n < math.MaxInt32 {
		cost.requested = int(math.Ceil(n))
	}
	if n := ext.Cost.Actual; n >= 0 && n < math.MaxInt32 {
		cost.actual = int(math.Ceil(n))
	}
	if st := ext.Cost.Throttle; !math.IsNaN(st.Available) && st.Maximum > 0 && st.Restore > 0 {
		cost.throttle = &limiter.ThrottleStatus{MaximumAvailable: st.Maximum, CurrentlyAvailable: st.Available, RestoreRate: st.Restore}
	}
	for _, search := range ext.Search {
		for _, w := range search.Warnings {
			return cost, clip(w.Field + " " + w.Message)
		}
	}
	return cost, ""
}

// graphError is one entry of errors.
type graphError struct {
	Message    string `json:"message"`
	Extensions struct {
		Code           string  `json:"code"`
		RequestID      string  `json:"requestId"`
		RequiredAccess string  `json:"requiredAccess"`
		Cost           float64 `json:"cost"`
	} `json:"extensions"`
}

// badSearch is the Code of an answer to a search that was not understood.
const badSearch = "BAD_SEARCH"

// readAnswer turns an answer into out, or says what is wrong with it. Whatever
// goes wrong, out must not be used.
func readAnswer(shop string, res *http.Response, body []byte, out any, now time.Time) (costBlock, *Error) {
	e := &Error{Shop: shop, Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), RetryAfter: parseRetryAfter(res.Header, now)}
	var in struct {
		Data       json.RawMessage `json:"data"`
		Errors     json.RawMessage `json:"errors"`
		Extensions json.RawMessage `json:"extensions"`
	}
	jsonErr := errCrowded
	if !crowded(body) {
		jsonErr = json.Unmarshal(body, &in)
	}
	cost, warning := readExtensions(in.Extensions)
	if res.StatusCode != http.StatusOK {
		if res.StatusCode/100 == 3 {
			redirected(e, res.Header.Get("Location"))
			return cost, e
		}
		if jsonErr == nil {
			e.Message = messageOf(in.Errors)
		}
		if e.Kind = kindOfStatus(res.StatusCode); e.Kind == KindScope {
			e.Scope = scopeIn(e.Message)
		}
		return cost, e
	}
	if jsonErr != nil {
		if e.Kind, e.Message = KindUnreadable, unreadable(res, body); jsonErr == errCrowded {
			e.Message = errCrowded.Error()
		}
		return cost, e
	}
	if len(in.Errors) > 0 && !isNull(in.Errors) {
		var list []graphError
		if json.Unmarshal(in.Errors, &list) != nil || len(list) == 0 {
			e.Kind, e.Message = KindUnreadable, "its errors are no list"
			return cost, e
		}
		judgeErrors(e, list, hasData(in.Data))
		if e.Kind == KindThrottled && cost.throttle != nil && e.RetryAfter == 0 {
			short := float64(cost.requested) - cost.throttle.CurrentlyAvailable
			wait := math.Min(math.Max(short/cost.throttle.RestoreRate, 1), LongestAsked.Seconds())
			e.RetryAfter = time.Duration(wait * float64(time.Second))
		}
		return cost, e
	}
	if warning != "" {
		e.Kind, e.Code, e.Message = KindRefused, badSearch, "it did not understand the search: "+warning
		return cost, e
	}
	reflect.ValueOf(out).Elem().SetZero() // of an earlier try nothing may stay
	if isNull(in.Data) || json.Unmarshal(in.Data, out) != nil {
		e.Kind, e.Message = KindUnreadable, "its data have another shape than was asked for"
		return cost, e
	}
	return cost, nil
}

// errCrowded: small text can become large structs in memory.
var errCrowded = errors.New("there is more in it than was asked for")

// crowded reports whether a text in JSON has a list or an object with more members,
// or of more levels, than any that we ask for.
func crowded(body []byte) bool {
	const most, deepest = largestVariantPage + 500, 64
	var members []int // of what is open
	for i := 0; i < len(body); i++ {
		switch open := len(members); body[i] {
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if members = append(members, 1); open == deepest {
				return true
			}
		case ']', '}':
			members = members[:max(open-1, 0)]
		case ',':
			if open == 0 {
				return false // it is no JSON
			}
			if members[open-1]++; members[open-1] > most {
				return true
			}
		}
	}
	return false
}

// judgeErrors picks what counts of several errors: the one that says most about
// what to do.
func judgeErrors(e *Error, list []graphError, data bool) {
	rank := 0
	for _, g := range list {
		kind, weight := kindOfCode(g.Extensions.Code, data)
		if weight <= rank {
			continue
		}
		rank = weight
		e.Kind, e.Code, e.Message = kind, clip(g.Extensions.Code), clip(g.Message)
		e.Cost = int(g.Extensions.Cost)
		if e.RequestID == "" {
			e.RequestID = clip(g.Extensions.RequestID)
		}
		if kind == KindScope {
			e.Scope = scopeIn(g.Extensions.RequiredAccess)
			if e.Scope == "" {
				e.Scope = scopeIn(g.Message)
			}
		}
	}
}

// kindOfCode sorts the codes of errors in an answer with status 200.
func kindOfCode(code string, data bool) (kind Kind, weight int) {
	switch code {
	case "SHOP_INACTIVE":
		return KindFrozen, 9
	case "THROTTLED":
		return KindThrottled, 8
	case "MAX_COST_EXCEEDED":
		return KindTooDear, 7
	case "ACCESS_DENIED":
		return KindScope, 6
	case "INTERNAL_SERVER_ERROR", "TIMEOUT":
		return KindServer, 5
	case "OPERATION_IN_PROGRESS":
		return KindBusy, 4
	case "":
		// Nobody has recorded an error without code. It is not ours to say that
		// the request was wrong.
		if !data {
			return KindServer, 3
		}
	}
	if data {
		return KindPartial, 2
	}
	return KindRefused, 1
}

// kindOfStatus sorts the answers that are not 200
// (shopify.dev/docs/api/usage/response-codes).
func kindOfStatus(status int) Kind {
	switch status {
	case http.StatusUnauthorized:
		return KindToken
	case http.StatusForbidden:
		return KindScope
	case http.StatusPaymentRequired, http.StatusLocked:
		return KindFrozen
	case http.StatusTooManyRequests, 430: // 430: Shopify's own "security rejection"
		return KindThrottled
	case http.StatusRequestTimeout:
		return KindServer
	}
	switch {
	case status >= 500:
		return KindServer
	case status >= 400:
		return KindRefused
	}
	return KindUnreadable
}

// messageOf is the text of errors in an answer that is not 200: a string, a
// list or an object.
func messageOf(errs json.RawMessage) string {
	var s string
	if json.Unmarshal(errs, &s) == nil {
		return clip(s)
	}
	var list []graphError
	if json.Unmarshal(errs, &list) == nil && len(list) > 0 {
		return clip(list[0].Message)
	}
	var object map[string]any
	if json.Unmarshal(errs, &object) == nil && len(object) > 0 {
		return clip(string(errs))
	}
	return ""
}

var scopePattern = regexp.MustCompile(`\b(?:unauthenticated_)?(?:read|write)_[a-z_]+\b`)

func scopeIn(s string) string { return scopePattern.FindString(s) }

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// hasData reports whether any of the fields asked for was answered.
func hasData(data json.RawMessage) bool {
	var fields map[string]json.RawMessage
	if isNull(data) || json.Unmarshal(data, &fields) != nil {
		return false
	}
	for _, v := range fields {
		if !isNull(v) {
			return true
		}
	}
	return false
}

func unreadable(res *http.Response, body []byte) string {
	if t := res.Header.Get("Content-Type"); strings.HasPrefix(t, "text/html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return "it is a web page"
	}
	return "it is no whole JSON"
}

// redirected sorts an answer that points elsewhere. It is never followed: the
// next request would carry the token, or the client's secret, to another host.
func redirected(e *Error, location string) {
	host := strings.ToLower(hostOf(location))
	if shop, err := catalog.ParseShop(host); err == nil && shop != e.Shop {
		e.Kind, e.Moved = KindMoved, shop
		return
	}
	e.Kind, e.Message = KindRefused, "it redirects to "+clip(host)
}

func hostOf(location string) string {
	if _, rest, ok := strings.Cut(location, "://"); ok {
		location = rest
	}
	host, _, _ := strings.Cut(location, "/")
	return host
}

// LongestAsked caps what the other side asks us to wait: a bucket of points fills
// within a minute, and Shopify's own faults are over, or asked about again, within
// minutes. A larger number is a mistake, and would keep us away for as long.
const LongestAsked = 15 * time.Minute

// parseRetryAfter reads Retry-After: seconds, with decimals as Shopify writes
// them ("4.0"), or a date, LongestAsked at most. 0 when there is none that makes
// sense.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	if s == "" {
		return 0
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if !(f > 0) || math.IsInf(f, 0) {
			return 0
		}
		return time.Duration(math.Min(f, LongestAsked.Seconds()) * float64(time.Second))
	}
	if t, err := http.ParseTime(s); err == nil {
		return min(max(t.Sub(now), 0), LongestAsked)
	}
	return 0
}

func retryAfterOf(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

const (
	slowDownFor  = time.Second      // after THROTTLED, as Shopify recommends
	securityWait = time.Minute      // after 430, which comes without a time
	busyWait     = 30 * time.Second // while other bulk operations run
)

// setRetryAt says when another try makes sense.
func setRetryAt(e *Error, now time.Time) {
	switch {
	case e.RetryAfter > 0:
	case e.Status == 430:
		e.RetryAfter = securityWait
	case e.Kind == KindThrottled:
		e.RetryAfter = slowDownFor
	case e.Kind == KindBusy:
		e.RetryAfter = busyWait
	default:
		return
	}
	e.RetryAt = now.Add(e.RetryAfter)
}
