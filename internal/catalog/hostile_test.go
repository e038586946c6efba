package catalog

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestABodyCutAnywhereIsMalformed(t *testing.T) {
	body := bodySpec{id: 7, variants: 2, images: 1, words: 20}.bytes()
	for n := range body {
		if _, err := Decode(ProductsUpdate, body[:n:n]); !isMalformed(err) {
			t.Fatalf("cut at byte %d of %d: %v", n, len(body), err)
		}
	}
}

// TestAnyByteMayBeWrong puts meaningful bytes at every place; with
// STOCKROOM_TORTURE set, every kind of them.
func TestAnyByteMayBeWrong(t *testing.T) {
	wrong := `"\}`
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		wrong = `"\{}[]:,0-.n` + "\x00\n\xff"
	}
	body := bodySpec{id: 7, variants: 1, images: 1, words: 3}.bytes()
	for i, was := range body {
		for _, c := range []byte(wrong) {
			body[i] = c
			change, err := Decode(ProductsUpdate, body)
			switch {
			case err == nil:
				checkProduct(t, change.Product)
				compareWithLibrary(t, change.Product, body)
			default:
				checkRefusal(t, ProductsUpdate, body, change, err)
			}
		}
		body[i] = was
	}
}

func TestMemoryStaysInProportionToTheBody(t *testing.T) {
	const size = 1 << 20
	fill := func(before, part, after string) []byte {
		return []byte(before + strings.Repeat(part, size/len(part)) + after)
	}
	var ids strings.Builder
	for i := range size / 20 {
		ids.WriteString(`{"id":1000` + strconv.Itoa(i) + `},`)
	}
	for name, body := range map[string][]byte{
		"variants that are only ids": []byte(`{"id":1,"variants":[` + ids.String() + `{"id":1}]}`),
		"empty variants":             fill(`{"id":1,"variants":[`, `{},`, `{}]}`),
		"empty images":               fill(`{"id":1,"images":[`, `{},`, `{}]}`),
		"empty options":              fill(`{"id":1,"options":[`, `{},`, `{}]}`),
		"variants named by number":   fill(`{"id":1,"variant_ids":[`, `1,`, `1]}`),
		"empty option values":        fill(`{"id":1,"options":[{"values":[`, `"",`, `""]}]}`),
		"one option after the next":  fill(`{"id":1,`, `"options":[{"values":["a","b"]}],`, `"title":"t"}`),
		"tags of one letter":         fill(`{"id":1,"tags":"`, `a,`, `"}`),
		"commas":                     fill(`{"id":1,"tags":"`, `,`, `"}`),
		"opening brackets":           fill(``, `[`, ``),
		"opening braces":             fill(``, `{"a":`, ``),
		"one long text":              fill(`{"id":1,"title":"`, `a`, `"}`),
		"one text of escapes":        fill(`{"id":1,"title":"`, `\u003c`, `"}`),
		"one text of backslashes":    fill(`{"id":1,"title":"`, `\\`, `"}`),
		"one text of quotes":         fill(`{"id":1,"title":"`, `\"`, `"}`),
		"texts of four kilobytes":    fill(`{"id":1,"options":[{"values":[`, `"`+strings.Repeat("a", 4200)+`",`, `""]}]}`),
		"digits":                     fill(`{"id":`, `1`, `}`),
		"a long price":               fill(`{"id":1,"variants":[{"id":5,"price":`, `1`, `}]}`),
		"one name after the other":   fill(`{`, `"id":1,`, `"title":"t"}`),
		"blanks":                     fill(`{"id":1,`, ` `, `"title":"t"}`),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(ProductsUpdate, body)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*size {
				t.Errorf("%d bytes for a body of %d (%v)", used, len(body), err)
			}
			if err != nil {
				if _, ok := errors.AsType[*MismatchError](err); !ok && !isMalformed(err) {
					t.Error(err)
				}
			}
		})
	}
}
