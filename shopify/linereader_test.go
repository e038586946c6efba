package shopify

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var errNoObject = errors.New("a line is an object")

// sameAsLibrary reads a line as a product and as a child, with our reader and by
// the JSON library, which must agree: on the line being sound, and on all of it.
func sameAsLibrary(t *testing.T, line []byte) {
	t.Helper()
	type readings struct {
		product, root bulkRootNode
		child         bulkChildNode
	}
	var got, want readings
	options := []json.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	var r lineReader
	for _, tt := range []struct {
		name      string
		got, want any
		read      func()
	}{
		{"product", &got.product, &want.product, func() { r.product(&got.product) }},
		{"child", &got.child, &want.child, func() { r.child(&got.child) }},
	} {
		ours := r.read(line, tt.read)
		theirs := json.Unmarshal(line, tt.want, options...)
		if strings.Trim(string(line), " \t\r\n") == "null" {
			theirs = errNoObject // for the library an empty object
		}
		if (ours == nil) != (theirs == nil) {
			t.Errorf("%s %q: %v, the library says %v", tt.name, line, ours, theirs)
		} else if ours == nil && !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s %q:\n%+v, the library says\n%+v", tt.name, line, tt.got, tt.want)
		}
	}
	if r.read(line, func() { r.root(&got.root) }) == nil && want.product.ID != "" &&
		(got.root.ID != want.product.ID || got.root.children() != want.product.children()) {
		t.Errorf("root %q: %q with %d children, the library says %q with %d", line, got.root.ID, got.root.children(), want.product.ID, want.product.children())
	}
}

var oddLines = []string{
	rootLine, variantLine, imageLine, videoLine,
	`{}`, ` { } `, ``, ` `, `null`, ` null `, `[]`, `7`, `"id"`, `{`, `{"id"}`, `{"id":}`, `{"id":"a",}`, `{,"id":"a"}`, `{"id":"a"}}`, `{"id":"a"} x`, `{"id" : "a" , "title" : "b"}`,
	`{"id":null,"title":null,"tags":null,"options":null,"publishedAt":null,"createdAt":null,"variantsCount":null,"image":null,"position":null,"taxable":null,"inventoryItem":null}`,
	`{"tags":[],"options":[],"selectedOptions":[]}`, `{"tags":[null,"a"],"options":[null,{"values":null}],"selectedOptions":[null]}`, `{"tags":["a",]}`, `{"tags":["a" "b"]}`, `{"tags":"a"}`, `{"tags":{}}`,
	`{"id":"a","id":"b"}`, `{"\u0069d":"a"}`, `{"ID":"a"}`, `{"title":"\ud83d\ude00 \n\t\/\\\" \u00e9 é"}`, `{"title":"\ud83d"}`, `{"title":"\x"}`, `{"title":"\u12"}`, `{"x":"\u12"}`, `{"x\q":1}`,
	"{\"title\":\"a\xffb\"}", "{\"title\":\"\\/a\xff\"}", "{\"x\xff\":1}", "{\"title\":\"a\x01\"}", "{\"title\":\"a\nb\"}", `{"title":"a`, `{"title":"a\`,
	`{"position":1}`, `{"position":-0}`, `{"position":01}`, `{"position":+1}`, `{"position":1.0}`, `{"position":1e2}`, `{"position":9223372036854775808}`, `{"position":"1"}`, `{"position":-}`, `{"position":- 1}`,
	`{"x":01}`, `{"x":1.}`, `{"x":.5}`, `{"x":1.5e-7}`, `{"x":--1}`, `{"x":1-1}`, `{"x":-01}`, `{"x":nul}`, `{"x":tru}`, `{"x":False}`, `{"x":[{"y":[1,{"z":"\n"}]},null,true,false]}`, `{"x":[1,]}`, `{"x":{"a":1,}}`,
	`{"taxable":true}`, `{"taxable":1}`, `{"createdAt":"2026-01-01T00:00:00+02:00"}`, `{"createdAt":"2026-01-01"}`, `{"createdAt":"2026-01-01T00:00:00\u005a"}`, `{"createdAt":7}`,
	`{"inventoryItem":{"id":"a","measurement":{"weight":{"unit":"GRAMS","value":2.5}}}}`, `{"inventoryItem":{"measurement":null}}`, `{"inventoryItem":{"measurement":{"weight":{"value":1e400}}}}`, `{"inventoryItem":[]}`,
	`{"variantsCount":{"count":3,"precision":"EXACT","more":[]},"mediaCount":{}}`, `{"variantsCount":{"count":1.5}}`, `{"image":{"url":"u","width":1,"height":null,"x":{}}}`, `{"alt":""}`,
	`{"inventoryQuantity":0}`, `{"sku":"","barcode":"1","compareAtPrice":"2.00"}`, "\ufeff{}", `{"x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`,
}

func TestALineIsReadAsTheJSONLibraryReadsIt(t *testing.T) {
	for _, line := range oddLines {
		sameAsLibrary(t, []byte(line))
	}
}

func TestALineThatIsTooDeepIsRefused(t *testing.T) {
	var r lineReader
	var n bulkRootNode
	line := `{"x":` + strings.Repeat(`[`, 1_000_000) + strings.Repeat(`]`, 1_000_000) + `}`
	if r.read([]byte(line), func() { r.product(&n) }) == nil {
		t.Error("it was taken")
	}
}

// FuzzLine changes sound lines a little and reads them in both ways.
func FuzzLine(f *testing.F) {
	for _, line := range oddLines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if strings.Count(string(line), "[")+strings.Count(string(line), "{") < deepestLine/2 {
			sameAsLibrary(t, line)
		}
	})
}
