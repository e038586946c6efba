package bulk

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestALineSaysItsIDAndItsParent(t *testing.T) {
	for _, tt := range []struct {
		name, line, id, parent string
		ok                     bool
	}{
		{"a root", `{"id":"a"}`, "a", "", true},
		{"a child", `{"id":"a","__parentId":"b"}`, "a", "b", true},
		{"in any order, with blanks", " {\t\"__parentId\" : \"b\" , \"x\":1 , \"id\":\"a\" } ", "a", "b", true},
		{"ids further in are not its own", `{"x":{"id":"no","__parentId":"no"},"y":[{"id":"no"}],"id":"a"}`, "a", "", true},
		{"texts are no fields", `{"t":"\"id\":\"no\",\"__parentId\":\"no\"","id":"a"}`, "a", "", true},
		{"escaped slashes", `{"id":"gid:\/\/shopify\/Product\/1"}`, `gid://shopify/Product/1`, "", true},
		{"other escapes", `{"id":"gid:\u002f\/shopify\/Product\/1"}`, `gid://shopify/Product/1`, "", true},
		{"no id", `{"x":1}`, "", "", false},
		{"an empty id", `{"id":""}`, "", "", false},
		{"an id twice", `{"id":"a","id":"b"}`, "", "", false},
		{"an id that is a number", `{"id":1}`, "", "", false},
		{"a parent that is null", `{"id":"a","__parentId":null}`, "", "", false},
		{"a list", `[{"id":"a"}]`, "", "", false},
		{"two objects", `{"id":"a"}{"id":"b"}`, "", "", false},
		{"a comma too many", `{"id":"a",}`, "", "", false},
		{"cut off", `{"id":"a"`, "", "", false},
		{"cut off in an escape", `{"id":"a\`, "", "", false},
		{"cut off in a \\u escape", `{"id":"a\u00`, "", "", false},
		{"a control character", "{\"id\":\"a\x01\"}", "", "", false},
		{"a false number", `{"id":"a","n":01}`, "", "", false},
		{"a false word", `{"id":"a","n":nul}`, "", "", false},
		{"too deep", `{"id":"a","n":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "", "", false},
		{"deep", `{"id":"a","n":` + strings.Repeat("[", 90) + strings.Repeat("]", 90) + `}`, "a", "", true},
	} {
		id, parent, ok := scanLine([]byte(tt.line))
		if ok != tt.ok || ok && (string(plainID(id, nil)) != tt.id || string(parent) != tt.parent) {
			t.Errorf("%s: %q, %q, %v", tt.name, id, parent, ok)
		}
	}
}

func TestOnlyIDsOfTheAskedKindHaveANumber(t *testing.T) {
	for id, want := range map[string]int64{
		prefix + "1": 1, prefix + "9223372036854775807": 9223372036854775807, prefix + "12?x=y": 12,
		prefix: 0, prefix + "0": 0, prefix + "-1": 0, prefix + "+1": 0, prefix + "9223372036854775808": 0, prefix + "1a": 0, prefix + "?x": 0,
		"gid://shopify/ProductVariant/1": 0, "1": 0, "": 0,
	} {
		if n, ok := number([]byte(id), prefix); n != want && ok || ok != (want > 0) {
			t.Errorf("%s: %d, %v", id, n, ok)
		}
	}
}

// FuzzScanLine compares the scanner with encoding/json, and feeds the line to a
// joiner in two parts.
func FuzzScanLine(f *testing.F) {
	for _, s := range []string{
		`{"id":"gid:\/\/shopify\/Product\/1","count":0}`, `{"id":"gid://shopify/ProductVariant/5","price":"1.00","__parentId":"gid:\/\/shopify\/Product\/1"}`,
		`{"id":"a","n":[1.5e-3,true,false,null,{"x":{}}],"s":"\u00e4\ud83d\ude00\\\""}`, `{"id":"a"`, `{"id":1}`, "", "{}", `{"id":"a",}`,
	} {
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, line []byte, cut int) {
		id, parent, ok := scanLine(line)
		var want struct {
			ID     *string `json:"id"`
			Parent *string `json:"__parentId"`
		}
		if ok {
			if !json.Valid(line) {
				t.Fatalf("%q is no JSON", line)
			}
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(line, &fields); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if err := json.Unmarshal(fields["id"], &want.ID); err != nil || string(plainID(id, nil)) != *want.ID {
				t.Fatalf("%q: id %q, %v", line, id, err)
			}
			if raw, has := fields["__parentId"]; has != (parent != nil) {
				t.Fatalf("%q: parent %q of %s", line, parent, raw)
			}
		} else if json.Valid(line) && utf8.Valid(line) && bytes.Count(line, []byte("[")) < deepest && bytes.Count(line, []byte("{")) < deepest {
			// What it refuses is no object with one id that is a text.
			var fields map[string]json.RawMessage
			if json.Unmarshal(line, &fields) == nil && json.Unmarshal(fields["id"], &want.ID) == nil && want.ID != nil && *want.ID != "" &&
				bytes.Count(line, []byte("id")) == 1 && bytes.Count(line, []byte("__parentId")) == 0 && bytes.Count(line, []byte(`\u`)) == 0 {
				t.Fatalf("%q is refused", line)
			}
		}
		dir := fastFolder(t)
		j, err := NewJoiner(Options{Folder: dir, File: "sorted", Children: counted})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		n := 0
		drain := func() {
			for {
				_, more, err := j.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					return
				}
				n++
			}
		}
		cut = min(max(cut, 0), len(line))
		for _, part := range [][]byte{line[:cut], line[cut:]} {
			if err := j.Feed(part); err != nil {
				t.Fatal(err)
			}
			drain()
		}
		j.End()
		drain()
		if s := j.Stats(); s.Bytes != int64(len(line)) || int64(n) > s.Lines || s.Roots > s.Objects || s.Objects > s.Lines {
			t.Fatalf("%q: %+v", line, s)
		}
	})
}
