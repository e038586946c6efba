package fakeshopify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"time"
)

// bulkURL is a signed address of the result, good for a while from now.
func (s *Shop) bulkURL(op *bulkOp, now time.Time, base string) string {
	end := now.Add(s.opt.API.Bulk.URLLife)
	if last := op.completed.Add(bulkKept); end.After(last) {
		end = last
	}
	if b := s.opt.API.Bulk.BaseURL; b != "" {
		base = b
	}
	path := fmt.Sprintf("/bulk/%d/bulk-%d.jsonl", op.id, op.id)
	expires := strconv.FormatInt(end.Unix(), 10)
	return base + path + "?Expires=" + expires + "&Signature=" + s.bulkSignature(path, expires)
}

func (s *Shop) bulkSignature(path, expires string) string {
	m := hmac.New(sha256.New, strconv.AppendUint([]byte("bulk"), s.opt.Seed, 10))
	m.Write([]byte(path + "?" + expires))
	return hex.EncodeToString(m.Sum(nil))
}

func (s *Shop) serveBulk(w http.ResponseWriter, r *http.Request) {
	now := s.opt.Now()
	s.mu.Lock()
	s.api.stats.Downloads++
	if r.Header.Get("X-Shopify-Access-Token") != "" || r.Header.Get("Authorization") != "" {
		s.api.stats.TokenLeaks++
	}
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	op := s.bulkByID(id)
	s.mu.Unlock()
	refuse := func(status int, code string) {
		w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<?xml version='1.0' encoding='UTF-8'?><Error><Code>" + code + "</Code></Error>"))
	}
	expires := r.URL.Query().Get("Expires")
	end, err := strconv.ParseInt(expires, 10, 64)
	switch {
	case op == nil:
		refuse(http.StatusNotFound, "NoSuchKey")
		return
	case err != nil || !hmac.Equal([]byte(r.URL.Query().Get("Signature")), []byte(s.bulkSignature(r.URL.Path, expires))):
		refuse(http.StatusForbidden, "SignatureDoesNotMatch")
		return
	case now.Unix() >= end:
		refuse(http.StatusBadRequest, "ExpiredToken")
		return
	}
	if f := s.fault("bulk"); f != nil {
		if f.Kind == FaultTruncate || f.Kind == FaultSlow {
			w = &damagedWriter{ResponseWriter: w, r: r, fault: f, left: f.Bytes}
		} else if serveFault(w, r, f, "", func() members { return nil }) {
			return
		}
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("ETag", fmt.Sprintf("%q", strconv.FormatInt(op.id, 16)))
	http.ServeContent(w, r, "", time.Time{}, &bulkReader{s: s, op: op})
}

// bulkReader reads a result, rendering its lines again as they are needed: a
// million lines are not kept.
type bulkReader struct {
	s   *Shop
	op  *bulkOp
	off int64
}

func (b *bulkReader) size() int64 {
	if cut := b.op.fault.CutAt; cut > 0 {
		return min(cut, b.op.size)
	}
	return b.op.size
}

func (b *bulkReader) Seek(offset int64, whence int) (int64, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += b.off
	case io.SeekEnd:
		offset += b.size()
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	b.off = offset
	return offset, nil
}

func (b *bulkReader) Read(p []byte) (int, error) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	op := b.op
	end := b.size()
	if b.off >= end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), end-b.off)]
	n := 0
	i := sort.Search(len(op.lines), func(i int) bool { return op.lines[i].offset > b.off }) - 1
	for ; n < len(p) && i < len(op.lines); i++ {
		text := op.text(op.lines[i])
		k := copy(p[n:], text[b.off-op.lines[i].offset:])
		n += k
		b.off += int64(k)
	}
	return n, nil
}

// text renders a line, keeping the roots of the last few hundred.
func (op *bulkOp) text(l bulkLine) []byte {
	got, ok := op.cache[l.root]
	if !ok {
		if len(op.cache) >= 256 {
			clear(op.cache)
		} else if op.cache == nil {
			op.cache = make(map[int32][][]byte)
		}
		for _, x := range op.exec.lines(op.roots[l.root], op.nodeSet) {
			got = append(got, x.text)
		}
		op.cache[l.root] = got
	}
	return got[l.line]
}
