package answer

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// Refusal is an error that a person caused and can mend; its Detail is one
// plain sentence with what to do next.
type Refusal struct {
	Status int    `json:"status"` // HTTP status, 400 to 599
	Title  string `json:"title"`  // a few words, the same for every occurrence; "" for the status text
	Detail string `json:"detail"`
	// Code names the kind of refusal for programs, which must not read titles; ""
	// where the status says enough.
	Code string `json:"code"`
	// RetryAfter is a number of seconds, 0 for none.
	RetryAfter int `json:"-"`
	// More are further members of the answer.
	More map[string]any `json:"-"`
}

// Refuse returns a refusal without a code.
func Refuse(status int, title, detail string) *Refusal {
	return &Refusal{Status: status, Title: title, Detail: detail}
}

// Error returns the detail.
func (r *Refusal) Error() string { return cmp.Or(r.Detail, r.Title) }

// Read returns the refusal that an answer is, with the field that is wrong; of another
// server's, what its status says.
func Read(res *http.Response) *Refusal {
	r := &Refusal{Status: res.StatusCode, Title: res.Status}
	if strings.HasPrefix(res.Header.Get("Content-Type"), problemType) {
		read := struct {
			*Refusal
			Field string `json:"field"`
		}{Refusal: r}
		if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&read); err != nil {
			r.Detail = res.Status
		}
		r.More = map[string]any{"field": read.Field}
	}
	return r
}

const problemType = "application/problem+json"

// Write answers with problem+json.
func (r *Refusal) Write(w http.ResponseWriter) {
	members := map[string]any{
		"type": "about:blank", "title": cmp.Or(r.Title, http.StatusText(r.Status)), "status": r.Status, "detail": r.Detail,
	}
	if r.Code != "" {
		members["code"] = r.Code
	}
	maps.Copy(members, r.More)
	body, err := json.Marshal(members)
	if err != nil {
		body = []byte(`{"type":"about:blank","title":"Something went wrong here","status":500}`)
	}
	h := w.Header()
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Disposition")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(append(body, '\n')) // a client that left needs no answer
}

// Codes of refusals that a program may have to tell apart. They do not change.
const (
	CodeDeclared        = "declared-by-environment"
	CodeNoPublicAddress = "no-public-address"
	CodeCredentials     = "credentials" // one is missing, or is not what it was given as
	CodeCallback        = "callback"    // an address that is not the answer of a shop's owner
	CodeRefused         = "shopify-refused"
	CodeUnreachable     = "shopify-unreachable"
	CodeNotNow          = "not-now"
	CodeUnknownShop     = "unknown-shop"
	CodeSyncRuns        = "sync-runs"      // another one, which has to end first
	CodeSyncNotBegun    = "sync-not-begun" // it was asked for, and begins later
	CodeNothingWorks    = "nothing-works"  // no server works on the data dir
)
