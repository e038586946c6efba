package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"stockroom/internal/bulk"
	"stockroom/internal/catalog"
	"stockroom/internal/shopify"
	"stockroom/store"
)

const (
	batchProducts = 200
	batchVariants = 2000
	// chunk is how many bytes of a result are taken at a time.
	chunk = 256 << 10
	// batchBytes is how many bytes of lines are put together at most.
	batchBytes = 4 << 20
	// mostAgain is how many bytes are read again after a crash at most, where
	// no product is whole for so long.
	mostAgain = 16 << 20
	// bytesPerLine is what a line of a result takes at most, on average, where
	// Shopify does not tell the size of the file.
	bytesPerLine = 1 << 20
	// linesBeyond is how many more lines than twice those that Shopify counts a
	// result may have: it does not count one that it sent twice.
	linesBeyond = 1000
)

// resultMark is what the reading of a result needs to go on after a restart. It
// is saved with the products that it speaks of.
type resultMark struct {
	Bulk bulk.Mark `json:"bulk"`
	// Doubtful are roots that the result does not show whole; they were handed
	// out and not stored.
	Doubtful []int64 `json:"doubtful,omitempty"`
}

// reader stores a bulk result while it is downloaded.
type reader struct {
	r       *run
	j       *bulk.Joiner
	partial bool // of an operation that failed: what is not whole means nothing
	read    store.Read
	at      int64 // bytes that were fed
	mark    resultMark
	batch   []*catalog.Product
	marks   []handedOut // one for each of the batch
	rows    int
	size    int         // bytes of the batch's lines
	storing chan stored // the batch before, while it is stored; nil for none
}

// stored is what became of a batch.
type stored struct {
	products []*catalog.Product
	results  []store.Result
	err      error
}

// handedOut is how far the result is when a product has been handed out.
type handedOut struct {
	mark     bulk.Mark
	doubtful int // of resultMark.Doubtful
}

// readResult downloads a result from where the run is, joins its lines and
// stores the products. It returns the counts of the whole result and the
// products that it does not show whole.
func (r *run) readResult(ctx context.Context, op shopify.BulkOperation, url string) (bulk.Stats, []int64, error) {
	d := &reader{r: r, partial: op.Status != "COMPLETED"}
	d.read = r.read(r.started) // an operation may read a product at any time since
	d.read.Source, d.read.Ref = "bulk", op.ID
	if err := d.open(ctx); err != nil {
		return bulk.Stats{}, d.mark.Doubtful, err
	}
	defer func() { _ = d.j.Close() }() // it only reads from now on
	defer func() {
		if d.storing != nil { // after an error, which is told
			<-d.storing
		}
	}()
	if url != "" {
		if err := d.download(ctx, op, url); err != nil {
			return bulk.Stats{}, d.mark.Doubtful, err
		}
	}
	d.j.End()
	if err := d.drain(ctx); err != nil {
		return bulk.Stats{}, d.mark.Doubtful, err
	}
	if err := d.flush(ctx); err != nil {
		return bulk.Stats{}, d.mark.Doubtful, err
	}
	if err := d.settle(); err != nil {
		return bulk.Stats{}, d.mark.Doubtful, err
	}
	return d.j.Stats(), d.mark.Doubtful, nil
}

// open makes the joiner, where the run was.
func (d *reader) open(ctx context.Context) error {
	r := d.r
	var seen []int64
	if r.row.Mark != "" {
		if err := d.mark.parse(r.row.Mark); err != nil {
			return err
		}
		err := r.ask(ctx, func(ctx context.Context) (err error) {
			seen, err = r.s.o.Store.SeenIDs(ctx, r.row.ID)
			return err
		})
		if err != nil {
			return err
		}
		seen = append(seen, d.mark.Doubtful...)
	}
	var err error
	d.j, err = bulk.NewJoiner(bulk.Options{
		Folder: r.s.o.Folder, File: sortPrefix + strconv.FormatInt(r.row.ID, 10) + ".db", Resume: d.mark.Bulk, Seen: seen,
		Children: func(root []byte) (int, error) {
			n, _, err := shopify.BulkRoot(root)
			return n, err
		},
	})
	d.at = d.mark.Bulk.Offset
	return err
}

// drain takes the groups that are ready.
func (d *reader) drain(ctx context.Context) error {
	for {
		g, ok, err := d.j.Next()
		if err != nil || !ok {
			return err
		}
		if err := d.take(g); err != nil {
			return err
		}
		if len(d.batch) >= batchProducts || d.rows >= batchVariants || d.size >= batchBytes {
			if err := d.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// take adds a group to the batch, or to what is doubtful.
func (d *reader) take(g bulk.Group) error {
	if g.Root != nil && !g.Late {
		ordered := g.Contiguous && d.r.grouped()
		b, err := shopify.ProductOfLines(g.Root, g.Children, ordered)
		if err == nil && b.Whole && b.Product.ID == g.ID {
			d.batch = append(d.batch, b.Product)
			d.marks = append(d.marks, handedOut{d.j.Mark(), len(d.mark.Doubtful)})
			d.rows += 1 + len(b.Product.Variants.Value())
			d.size += g.Size()
			return nil
		}
	}
	return d.doubt(g.ID)
}

// doubt notes a product that has to be read by itself.
func (d *reader) doubt(id int64) error {
	if d.partial {
		return nil
	}
	d.mark.Doubtful = append(d.mark.Doubtful, id)
	if len(d.mark.Doubtful) > mostDoubtful {
		return fmt.Errorf("%w: it does not show more than %d products whole; nothing was removed", errUnproven, mostDoubtful)
	}
	return nil
}

// flush has the batch stored and, with it, how far the result is read. Meanwhile
// the next one is put together; it waits for its turn.
func (d *reader) flush(ctx context.Context) error {
	if err := d.settle(); err != nil {
		return err
	}
	r := d.r
	d.mark.Bulk = d.j.Mark()
	if err := d.j.Commit(); err != nil {
		return err
	}
	now, err := d.mark.progress()
	if err != nil {
		return err
	}
	bytes := d.j.Stats().Bytes
	r.show(func(row *store.SyncRun) {
		row.Offset, row.Mark = now.Offset, now.Mark
		row.Read, row.Objects, row.Bytes = now.Read, now.Objects, bytes
	})
	read, row, marks, doubtful := d.read, r.now(), d.marks, d.mark.Doubtful
	read.Progress = func(n int) (store.SyncRun, error) {
		at := marks[n-1]
		return resultMark{at.mark, doubtful[:at.doubtful]}.progress()
	}
	done, batch := make(chan stored, 1), d.batch
	go func() {
		out := stored{products: batch}
		out.err = r.ask(ctx, func(ctx context.Context) (err error) {
			out.results, err = r.s.o.Store.PutBulk(ctx, read, row, batch...)
			return err
		})
		done <- out
	}()
	d.storing, d.batch, d.marks, d.rows, d.size = done, nil, nil, 0, 0
	return nil
}

// settle waits until the batch before is stored.
func (d *reader) settle() error {
	if d.storing == nil {
		return nil
	}
	out := <-d.storing
	d.storing = nil
	if out.err != nil {
		return fmt.Errorf("store products of the bulk result: %w", out.err)
	}
	for i, res := range out.results {
		if res.Err == nil {
			continue
		}
		if err := d.doubt(out.products[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// parse reads a mark. One of a version that kept other fields is of no use, nor is
// the file that it speaks of.
func (m *resultMark) parse(text string) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return fmt.Errorf("read the run's mark: %w: %w", bulk.ErrSortFile, err)
	}
	return nil
}

// progress is the mark in the fields of a run's row.
func (m resultMark) progress() (store.SyncRun, error) {
	text, err := json.Marshal(m)
	return store.SyncRun{
		Offset: m.Bulk.Offset, Mark: string(text), Read: m.Bulk.Roots, Objects: m.Bulk.Objects, Bytes: m.Bulk.Offset,
	}, err
}

// download feeds the result to the joiner, over broken connections and expired
// addresses.
func (d *reader) download(ctx context.Context, op shopify.BulkOperation, url string) error {
	for tries := 0; ; {
		before := d.at
		err := d.downloadOnce(ctx, op, url)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var e *shopify.DownloadError
		if !errors.As(err, &e) {
			return err
		}
		if d.at-before >= shopify.LeastRead {
			tries = 0
		}
		if tries++; tries >= mostTries {
			return err
		}
		if tries > 1 || e.Kind == shopify.DownloadBroken {
			if err := d.r.wait(ctx, "the bulk result can't be read", causeDownload, time.Now().Add(firstWait<<(tries-1))); err != nil {
				return err
			}
		}
		switch e.Kind {
		case shopify.DownloadExpired:
			if op, err = d.r.lookAt(ctx); err != nil {
				return err
			}
			if url = op.URL; d.partial {
				url = op.PartialURL
			}
			if url == "" {
				return errExpired
			}
		case shopify.DownloadBroken:
		case shopify.DownloadChanged:
			return fmt.Errorf("%w: %w", errUnproven, err)
		default:
			return err
		}
	}
}

var errExpired = errors.New("the bulk result is not kept by Shopify any more")

// downloadOnce feeds the joiner until the connection ends. The error of a
// connection is a *shopify.DownloadError.
func (d *reader) downloadOnce(ctx context.Context, op shopify.BulkOperation, url string) error {
	size := sizeOf(op)
	told := size >= 0
	if !told {
		size = (min(op.Objects, 1<<20) + 1) * bytesPerLine
	}
	// What is still to come may all have to go to the disk, and in the sort file
	// a line takes somewhat more.
	room := func() error {
		if !told {
			return d.r.room(chunk)
		}
		return d.r.room(max(size-d.at, 0) * 3 / 2)
	}
	if err := room(); err != nil {
		return err
	}
	from, err := d.r.s.o.API.Download(ctx, d.r.shop, url, d.at, size)
	if err != nil {
		return err
	}
	defer from.Body.Close()
	if from.Total >= 0 {
		d.r.show(func(row *store.SyncRun) { row.BytesTotal = from.Total })
	}
	buf := make([]byte, chunk)
	for {
		n, err := from.Body.Read(buf)
		d.at += int64(n)
		if err := room(); err != nil {
			return err
		}
		if err := d.j.Feed(buf[:n]); err != nil {
			return err
		}
		if err := d.drain(ctx); err != nil {
			return err
		}
		if st := d.j.Stats(); st.Lines > 2*op.Objects+linesBeyond || st.Roots > shopify.MostProducts {
			return &shopify.DownloadError{Kind: shopify.DownloadTooLarge,
				Err: fmt.Errorf("it has more than %d lines where Shopify counts %d", st.Lines, op.Objects)}
		}
		if d.at-d.mark.Bulk.Offset > mostAgain {
			// Mixed lines may be long in the sort file before a product is whole.
			if err := d.flush(ctx); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}
