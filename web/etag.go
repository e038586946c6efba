package web

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// conditional is the writer of a GET of the API. writeJSON finds in it what the
// client has already.
type conditional struct {
	http.ResponseWriter
	have string // If-None-Match
}

// Unwrap lets http.ResponseController reach the connection.
func (c *conditional) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// withConditions makes GETs of the API carry an ETag and answers 304 for what
// the client has.
func withConditions(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !strings.HasPrefix(r.URL.Path, apiRoot) {
		return w
	}
	return &conditional{ResponseWriter: w, have: strings.Join(r.Header.Values("If-None-Match"), ",")}
}

const apiRoot = "/api/v1/"

// notModified sets the tag of a body and answers 304 when the client has it. The
// tag is weak: a proxy may compress the body and keep it.
func notModified(w http.ResponseWriter, status int, body []byte) bool {
	c, ok := w.(*conditional)
	if !ok || status != http.StatusOK {
		return false
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	c.Header().Set("ETag", "W/"+tag)
	if !tagListed(c.have, tag) {
		return false
	}
	c.Header().Del("Content-Type")
	c.WriteHeader(http.StatusNotModified)
	return true
}

// tagListed compares weakly (RFC 9110, 13.1.2). A tag of ours holds no comma.
func tagListed(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}
