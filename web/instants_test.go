package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
)

// named is a member that is an instant.
var named = regexp.MustCompile(`(^|_)(at|until|since|as_of|now)$`)

var oneForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$`)

// otherTimes returns the members of an answer that show an instant in any form
// but the one. data, the body of a webhook, is as Shopify sent it.
func otherTimes(v any, at string) (wrong []string) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			wrong = append(wrong, otherTimes(one, at+"[]")...)
		}
	case map[string]any:
		for name, value := range v {
			_, number := value.(float64)
			switch {
			case name == "data":
			case number && named.MatchString(name):
				wrong = append(wrong, fmt.Sprintf("%s.%s is the number %v", at, name, value))
			default:
				wrong = append(wrong, otherTimes(value, at+"."+name)...)
			}
		}
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil && !oneForm.MatchString(v) {
			wrong = append(wrong, at+" is "+v)
		}
	}
	return wrong
}

// checkTimes holds every JSON value of an answer to the one form of time: the
// only one, one a line, or one an event.
func checkTimes(t *testing.T, kind, of, body string) {
	t.Helper()
	values := []string{body}
	if kind != "application/json" && kind != "application/problem+json" {
		values = strings.Split(body, "\n")
	}
	checked := 0
	for _, text := range values {
		text = strings.TrimPrefix(text, "data: ")
		var v any
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
			continue // the name of an event, or nothing
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Errorf("%s: %v", of, err)
		}
		checked++
		for _, wrong := range otherTimes(v, "") {
			t.Errorf("%s: %s, want RFC 3339 in UTC with at most milliseconds", of, wrong)
		}
	}
	if checked == 0 && body != "" {
		t.Errorf("%s: no JSON in %q", of, body)
	}
}

// TestEveryTimeIsDescribedAsATime holds the document to it, also where no answer
// of a test has the member.
func TestEveryTimeIsDescribedAsATime(t *testing.T) {
	var doc any
	if err := json.Unmarshal([]byte(newRig(t, nil).admin(200, "GET", "/api/v1/openapi.json", "")), &doc); err != nil {
		t.Fatal(err)
	}
	found := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			properties, _ := v["properties"].(map[string]any)
			for name, p := range properties {
				schema, _ := p.(map[string]any)
				if !named.MatchString(name) || schema["type"] == "boolean" {
					continue
				}
				if found++; schema["format"] != "date-time" {
					t.Errorf("%s is described as %v", name, schema)
				}
			}
			for _, one := range v {
				walk(one)
			}
		}
	}
	walk(doc)
	if found < 50 {
		t.Errorf("only %d times were found", found)
	}
}

func TestTheStreamsAndExportsShowTimesInTheOneForm(t *testing.T) {
	r := newRig(t, nil)
	r.product(1, "Shirt", `,"published_at":"2026-11-29T15:12:05.1234567-05:00","created_at":"2026-01-01T00:00:00+02:00"`)
	r.deliver(catalog.ProductsDelete, `{"id":2}`)
	for _, path := range []string{"changes?after=0", "products-export?format=json", "products-export?format=ndjson"} {
		w := serve(r.Admin(), request("GET", "/api/v1/"+path, "", "Authorization", "Bearer "+testToken))
		kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
		checkTimes(t, kind, path, w.Body.String())
		const published = `"published_at":"2026-11-29T20:12:05.123Z"`
		if strings.HasPrefix(path, "products") && !strings.Contains(w.Body.String(), published) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	srv := r.listen()
	e, _ := follow(t, 200, srv+"/api/v1/changes?after=0").next()
	checkTimes(t, eventStreamTyp, "the event stream", "data: "+e.data)
}

func TestAnAnswersTimesArePutInOneFormAndTheValuesOfOthersStay(t *testing.T) {
	type inner struct {
		At  time.Time  `json:"at"`
		Not time.Time  `json:"not,omitzero"`
		Ptr *time.Time `json:"ptr"`
	}
	type outer struct {
		inner
		Of    []inner          `json:"of"`
		By    map[string]inner `json:"by"`
		Any   any              `json:"any"`
		One   *inner           `json:"one"`
		Nil   *inner           `json:"nil"`
		None  []inner          `json:"none"`
		Texts []string         `json:"texts"`
		Raw   json.RawMessage  `json:"raw"`
		own   time.Time
		Quiet time.Time `json:"-"`
	}
	at := time.Date(2026, 11, 29, 21, 12, 5, 123_456_789, time.FixedZone("", 3600))
	one := inner{At: at, Ptr: &at}
	v := &outer{
		inner: one, Of: []inner{one}, By: map[string]inner{"a": one}, Any: map[string]any{"b": []any{at, nil}}, One: &one,
		Raw: json.RawMessage(`{"at":1}`), own: at, Quiet: at,
	}
	got, err := answer.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	const form = `"2026-11-29T20:12:05.123Z"`
	const members = `"at":` + form + `,"ptr":` + form
	const want = "{" + members + `,"of":[{` + members + `}],"by":{"a":{` + members + `}},"any":{"b":[` + form +
		`,null]},"one":{` + members + `},"nil":null,"none":[],"texts":[],"raw":{"at":1}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if v.At != at || *v.Ptr != at || v.Of[0].At != at || v.By["a"].At != at || v.One.At != at || v.own != at {
		t.Errorf("a value that others hold was changed: %+v", v)
	}
}
