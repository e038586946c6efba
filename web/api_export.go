package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/datadir"
	"stockroom/store"
)

// exportPage is how many products are listed at a time.
const exportPage = 200

// copiesAtOnce is how many sqlite exports copy the catalogue at once.
const copiesAtOnce = 4

// ExportedHeader says how many products an export holds: a trailer, which comes
// behind what is streamed, or a header of an sqlite export.
const ExportedHeader = "Stockroom-Products"

// apiExport streams the whole catalogue, or one shop of it. Each product is
// read with its variants in one transaction; the list as a whole may hold
// products changed while it was read. The header Stockroom-Seq holds the newest
// number of the change feed when it began: whoever follows the feed from there
// misses nothing.
func (s *Server) apiExport(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	q := r.URL.Query()
	shop, format := q.Get("shop"), q.Get("format")
	form := csvForm{old: q.Get("columns") == "old"}
	if columns := q.Get("columns"); columns != "" && columns != "new" && !form.old {
		return answer.Refuse(http.StatusBadRequest, "Unknown columns", "columns is new or old: which names the columns of a csv have.")
	}
	var err error
	if form.raw, err = yesOrNo(r, "raw"); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Stockroom-Seq", strconv.FormatInt(s.o.Store.LastSeq(), 10))
	var kind string
	switch format {
	case "", "ndjson":
		format, kind = "ndjson", "application/x-ndjson"
	case "json":
		kind = "application/json"
	case "csv":
		kind = "text/csv; charset=utf-8"
	case "sqlite":
		if shop != "" {
			return answer.Refuse(http.StatusBadRequest, "One shop only is not possible", "An sqlite export holds every shop; leave shop out.")
		}
		return s.exportSQLite(w, r)
	default:
		return answer.Refuse(http.StatusBadRequest, "Unknown format", "format is ndjson, csv, json or sqlite.")
	}

	next, stop := s.products(r.Context(), shop)
	defer stop()
	// The first product is read before the answer begins, so that a catalogue
	// that can't be read is an error and not an empty file.
	first, err := next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="products.`+format+`"`)
	out := bufio.NewWriterSize(w, 32<<10)
	var n int64
	var put func(*store.ProductRow) error
	var end func() error
	switch format {
	case "csv":
		put, end = csvProducts(out, form)
	case "json":
		put, end = jsonProducts(out)
	default:
		enc := json.NewEncoder(out)
		put, end = func(p *store.ProductRow) error { return enc.Encode(p) }, func() error { return nil }
	}
	for row := first; err == nil; row, err = next() {
		if err = put(row); err != nil {
			break
		}
		n++
	}
	if errors.Is(err, io.EOF) {
		err = end()
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		if r.Context().Err() == nil {
			s.log.Error("an export broke off", "format", format, "error", err.Error())
		}
		// The answer has begun: only a broken connection tells that it is not whole.
		panic(http.ErrAbortHandler)
	}
	_ = http.NewResponseController(w).Flush() // a short answer that is not sent in pieces has no trailer
	h.Set(http.TrailerPrefix+ExportedHeader, strconv.FormatInt(n, 10))
	return nil
}

// products returns a function that gives one product after the other with its
// variants, and io.EOF at the end.
func (s *Server) products(ctx context.Context, shop string) (next func() (*store.ProductRow, error), stop func()) {
	ctx, stop = context.WithCancel(ctx)
	var page []store.ProductKey
	var after store.ProductKey
	last := false
	return func() (*store.ProductRow, error) {
		for {
			if len(page) == 0 {
				if last {
					return nil, io.EOF
				}
				var err error
				page, err = s.o.Store.Keys(ctx, shop, after, exportPage)
				if err != nil {
					return nil, err
				}
				last = len(page) < exportPage
				if len(page) == 0 {
					return nil, io.EOF
				}
				after = page[len(page)-1]
			}
			head := page[0]
			page = page[1:]
			row, err := s.o.Store.Product(ctx, head.Shop, head.ExternalID)
			if errors.Is(err, store.ErrNotFound) {
				continue // deleted meanwhile
			}
			return &row, err
		}
	}, stop
}

// jsonProducts writes one JSON array.
func jsonProducts(out io.Writer) (put func(*store.ProductRow) error, end func() error) {
	enc := json.NewEncoder(out)
	separator := "[\n"
	put = func(p *store.ProductRow) error {
		if _, err := io.WriteString(out, separator); err != nil {
			return err
		}
		separator = ","
		return enc.Encode(p)
	}
	end = func() error {
		tail := "]\n"
		if separator != "," {
			tail = "[]\n"
		}
		_, err := io.WriteString(out, tail)
		return err
	}
	return put, end
}

// exportSQLite copies products.db into the data dir, and streams and removes the
// copy. Its place is free for another once the copy is made: who reads slowly, or
// not at all, keeps nobody waiting.
func (s *Server) exportSQLite(w http.ResponseWriter, r *http.Request) error {
	work, err := datadir.MakeWork(s.o.Folder)
	if err != nil {
		return err
	}
	defer func() {
		if err := work.End(); err != nil {
			s.log.Warn("an export's temporary folder stays until the next start", "error", err.Error())
		}
	}()
	n, err := s.copyCatalogue(r.Context(), work.File(datadir.ProductsFile))
	if err != nil {
		return err
	}
	f, err := work.Open(datadir.ProductsFile, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	_ = work.End() // where the system allows it: a process that is killed from here on leaves nothing
	h := w.Header()
	h.Set("Content-Type", "application/vnd.sqlite3")
	h.Set("Content-Disposition", `attachment; filename="products.db"`)
	h.Set(ExportedHeader, strconv.FormatInt(n, 10))
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// copyCatalogue makes a copy for an export when there is a place and room for it.
func (s *Server) copyCatalogue(ctx context.Context, path string) (products int64, err error) {
	select {
	case s.copies <- struct{}{}:
		defer func() { <-s.copies }()
	default:
		return 0, &answer.Refusal{Status: http.StatusServiceUnavailable, Title: "Other exports are under way",
			RetryAfter: 10,
			Detail:     fmt.Sprintf("%d sqlite exports are copied at a time; try again in a few seconds.", copiesAtOnce)}
	}
	if s.o.DiskFree != nil {
		free, err := s.o.DiskFree()
		// Each of the others may need as much again. A disk that tells nothing is
		// found to be full while it is written.
		size := s.o.Store.Size()
		if err == nil && free < int64(len(s.copies))*size+datadir.SpaceNeeded {
			s.log.Warn("no room for an export's copy of the catalogue", "free", free, "size", size)
			return 0, answer.Refuse(http.StatusInsufficientStorage, "No room for the copy", fmt.Sprintf(
				"An sqlite export first makes a copy of the catalogue in the data dir, up to %d MB, and %d MB have to stay free for deliveries; %d MB are free. "+
					"Make room on that disk, or export ndjson, json or csv, which need none.", size>>20+1, datadir.SpaceNeeded>>20, free>>20))
		}
	}
	return s.o.Store.CopyTo(ctx, path)
}
