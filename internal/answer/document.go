package answer

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// JSON answers with v as JSON, which no cache keeps.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := Encode(v)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	Document(w, status, append(body, '\n'))
	return nil
}

// Encode writes v as every answer shows it: as encoding/json does, but instants are in
// UTC and in milliseconds, whatever clock they were read from, and a list without
// members is empty and never null.
func Encode(v any) ([]byte, error) {
	instants := json.MarshalFunc(func(t time.Time) ([]byte, error) {
		return t.UTC().Truncate(time.Millisecond).MarshalJSON()
	})
	return json.Marshal(v, jsonv1.DefaultOptionsV1(), json.FormatNilSliceAsNull(false), json.WithMarshalers(instants))
}

// Document answers with a JSON document, or with 304 when the client has it.
func Document(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	if c, ok := w.(*conditional); ok && status == http.StatusOK && c.has(body) {
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// conditional is the writer of a GET. Document finds in it what the client has
// already.
type conditional struct {
	http.ResponseWriter
	have string // If-None-Match
}

// Unwrap lets http.ResponseController reach the connection.
func (c *conditional) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Conditional makes the document of a GET carry an ETag.
func Conditional(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return w
	}
	return &conditional{ResponseWriter: w, have: strings.Join(r.Header.Values("If-None-Match"), ",")}
}

// has sets the tag of a body and reports whether the client has it. The tag is
// weak: a proxy may compress the body and keep it.
func (c *conditional) has(body []byte) bool {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	c.Header().Set("ETag", "W/"+tag)
	return tagListed(c.have, tag)
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
