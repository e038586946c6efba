package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"stockroom/internal/catalog"
	"stockroom/store"
)

// atFirst takes an answer and calls a function when its first bytes come.
type atFirst struct {
	h    http.Header
	body bytes.Buffer
	call func()
}

func (w *atFirst) Header() http.Header { return w.h }
func (w *atFirst) WriteHeader(int)     {}
func (w *atFirst) Write(b []byte) (int, error) {
	if w.call != nil {
		call := w.call
		w.call = nil
		call()
	}
	return w.body.Write(b)
}

// What is deleted once the first bytes are out must not come later in them: an
// export that had read it by then holds the whole catalogue in memory.
func TestTheFirstBytesOfAnExportAreOutBeforeTheLastProductIsRead(t *testing.T) {
	for _, format := range []string{"ndjson", "json", "csv"} {
		t.Run(format, func(t *testing.T) {
			r := newRig(t, nil)
			const products = 3 * exportPage
			fillProducts(t, r.file(), products, 2000)
			w := &atFirst{h: http.Header{}, call: func() {
				d := r.deliver(catalog.ProductsDelete, fmt.Sprintf(`{"id":%d}`, 7_000_000+products))
				if d.Outcome != store.Applied {
					t.Errorf("the delete was %s", d.Outcome)
				}
			}}
			r.Admin().ServeHTTP(w, request("GET", "/api/v1/products-export?format="+format, ""))
			got := w.body.String()
			for n, want := range map[int]bool{1: true, products - 1: true, products: false} {
				if held := strings.Contains(got, fmt.Sprintf(`Washed linen shirt with long sleeves %d%c`, n, map[bool]rune{true: ',', false: '"'}[format == "csv"])); held != want {
					t.Errorf("product %d of %d: in the export %v, want %v", n, products, held, want)
				}
			}
		})
	}
}
