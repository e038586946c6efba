package webhook

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/catalog"
	"stockroom/queue"
	"stockroom/store"
)

// noJournal is a catalogue whose journal can't be written.
type noJournal struct{ *catalogue }

func (noJournal) Record(context.Context, store.Delivery, int64, store.Outcome, string, *store.Wanted) (*store.Wanted, error) {
	return nil, errDisk
}

// Whatever a stranger sends, or sends again, and however often: the log has a few
// lines of it and how many there were. What is applied has a line each.
func TestTenThousandRequestsOfAKindMakeAFewLines(t *testing.T) {
	const sent = 10_000
	repeated := func(o store.Outcome) func(*bench) {
		return func(b *bench) {
			b.catalogue.set(func(int) (store.Result, error) { return store.Result{Outcome: o}, nil }, nil)
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	misfit := header("X-Shopify-Topic", "bulk_operations/finish")
	cutOff := func(r *http.Request) { r.Body = http.MaxBytesReader(nil, brokenOff{}, 1) }
	for name, test := range map[string]struct {
		status int
		before func(*bench)
		change func(*http.Request)
		says   string
	}{
		"wrong method": {405, nil, func(r *http.Request) { r.Method = strings.Repeat("X", 9000) }, "webhook refused"},
		"too large":    {413, nil, func(r *http.Request) { r.ContentLength = 1 << 40 }, "webhook refused"},
		"encoded":      {415, nil, header("Content-Encoding", strings.Repeat("z", 9000)), "webhook refused"},
		"no signature": {401, nil, func(r *http.Request) {
			r.Header = http.Header{"X-Shopify-Topic": {strings.Repeat("t", 9000)}}
		}, "webhook refused"},
		"an odd signature":    {401, nil, header("X-Shopify-Hmac-Sha256", "AAAA"), "webhook refused"},
		"a wrong signature":   {401, nil, header("X-Shopify-Hmac-Sha256", mac("wrong", nil)), "webhook refused"},
		"a shop unknown":      {404, nil, header("X-Shopify-Shop-Domain", strings.Repeat("s", 9000)), "webhook refused"},
		"a topic unknown":     {200, nil, header("X-Shopify-Topic", strings.Repeat("t", 9000)), "outcome=ignored"},
		"a body broken off":   {400, nil, cutOff, "webhook refused"},
		"a duplicate":         {200, repeated(store.Duplicate), nil, "outcome=duplicate"},
		"stale":               {200, repeated(store.Stale), nil, "outcome=stale"},
		"another shop's":      {200, func(b *bench) { b.opt.Catalogue = otherShops{&b.catalogue} }, nil, "outcome=mismatch"},
		"no sense":            {200, nil, func(r *http.Request) { *r = *signed([]byte("no")) }, "outcome=dead"},
		"no journal":          {200, func(b *bench) { b.opt.Catalogue = noJournal{&b.catalogue} }, misfit, "journal lacks"},
		"no store":            {503, noStore, nil, "neither the catalogue nor the queue"},
		"no store for a dead": {503, noStore, misfit, "dead letter is not confirmed"},
		"applied":             {200, nil, nil, "outcome=applied"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(nil)
			if test.before != nil {
				test.before(b)
			}
			for i := range sent {
				r := signed(update(1))
				r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)
				if test.change != nil {
					test.change(r)
				}
				if w := b.send(r); i == 0 && w.Code != test.status {
					t.Fatalf("%s: %d %s", name, w.Code, w.Body)
				}
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			lines, size := bytes.Count(b.log.Bytes(), []byte("\n")), b.log.Len()
			if name == "applied" {
				if lines != sent {
					t.Errorf("%d lines for %d applied deliveries", lines, sent)
				}
				return
			}
			if lines > 35 || size > 16<<10 || !strings.Contains(b.log.String(), test.says) ||
				!strings.Contains(b.log.String(), fmt.Sprintf("not_listed_before=%d", sent-10)) {
				t.Errorf("%s: %d lines of %d bytes:\n%.2000s", name, lines, size, &b.log)
			}
		})
	}
}

func noStore(b *bench) {
	b.catalogue.set(func(int) (store.Result, error) { return store.Result{}, store.ErrUnavailable }, nil)
	b.queue.fail = func() error { return queue.ErrUnavailable }
	b.gate.cause = nil
}

// otherShops is a catalogue in which each product is another shop's.
type otherShops struct{ *catalogue }

func (otherShops) Apply(context.Context, store.Delivery, catalog.Change) (store.Result, error) {
	return store.Result{}, store.ErrOtherShop
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, context.Canceled }
func (brokenOff) Close() error             { return nil }
