package web

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/queue"
)

// clicks are what the last click did, in words. The key and the number come from the
// address, so only these sentences are shown; ITEMS stands for the number.
var clicks = map[string]string{
	"retried":         "Retrying. It is tried again now.",
	"retried-all":     "Retrying ITEMS now.",
	"discarded":       "Discarded ITEMS.",
	"discarded-final": "Discarded ITEMS. That is too much to be kept for an undo.",
	"undone":          "Brought back ITEMS.",
	"gone":            "Nothing changed: it was done, retried or discarded already.",
	"reading":         "It is read from Shopify again; the result shows here within a minute, unless Shopify makes it wait.",
	"started":         "Started. Progress shows here.",
	"joined":          "It runs already; this is it.",
	"cancelled":       "Cancelled. What it stored until then stays.",
	"not-running":     "Nothing to cancel: it has ended already.",
	"held":            "No call is made to this shop until you allow them again.",
	"allowed":         "Calls go out again, and stop by themselves when Shopify does not answer.",
	"tried":           "The next call is tried now.",
	"connected":       "Connected.",
	"registered":      "Subscriptions were checked, and missing ones registered.",
	"acknowledged":    "The notice is taken off. What is still to be done is shown as before.",
	"checked":         "Checked.",
	"tested":          "A test message was sent to each target.",
	"same":            "It is saved like this already; nothing changed.",
	"password":        "The password is set. Every other session is over.",
	"session":         "That session is over.",
	"token":           "That token is removed. Nothing can be read with it any more.",
	"no-session":      "Nothing changed: that session is over already.",
}

// undoWords offer to take a discard back.
const undoWords = "You can bring it back for ten minutes, as long as Stockroom runs."

func saidWords(key string, n int64) string {
	return strings.Replace(clicks[key], "ITEMS", count(n, "item"), 1)
}

// said is what the last click did, and how to take it back.
func (s *Server) said(q url.Values) (string, *undoOffer) {
	n := numberOf(q, "n", 1)
	if q.Get("said") == "selected" {
		return selectedWords(n, numberOf(q, "off", 0), numberOf(q, "fetch", 0)), nil
	}
	if key := q.Get("said"); key == "removed" || key == "purged" {
		return removedWords(key, n, numberOf(q, "fetch", 0), numberOf(q, "off", 0)), nil
	}
	text := saidWords(q.Get("said"), n)
	if words := s.lastConnected.Load(); q.Get("said") == "connected" && words != nil {
		text = *words
	}
	if key := q.Get("undo"); key != "" {
		if left := s.undo.left(time.Now(), key); left > 0 {
			return "", &undoOffer{Key: key, Text: text + " " + undoWords}
		}
	}
	return text, nil
}

// numberOf reads a count of the address.
func numberOf(q url.Values, name string, otherwise int64) int64 {
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < 0 {
		return otherwise
	}
	return n
}

// jobAction is what the buttons of jobs do; they work without script, and once
// however often they are clicked.
func (s *Server) jobAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	said, err := s.act(r, p)
	if err != nil {
		return err
	}
	return sayAndGo(w, r.FormValue("back"), "/jobs", said)
}

func (s *Server) act(r *http.Request, p httprouter.Params) (url.Values, error) {
	action := p.ByName("action")
	switch p.ByName("id") {
	case "all":
		return s.actOnListed(r, action)
	case "undo":
		n, err := s.bringBack(r.Context(), action)
		return saying("undone", n), err
	}
	id, err := jobID(p)
	if err != nil {
		return nil, err
	}
	switch action {
	case "retry":
		if s.diedAgain(r.Context(), id, r.FormValue("died")) {
			return saying("retried", 0), nil
		}
		n, err := s.o.Queue.Retry(r.Context(), id)
		if n == 0 && err == nil && s.justRetried(r.Context(), id) {
			n = 1
		}
		return saying("retried", n), err
	case "discard":
		said, err := s.discard(r.Context(), id)
		if key := s.undo.keyOf(time.Now(), id); err == nil && said.Get("said") == "gone" && key != "" {
			said = url.Values{"said": {"discarded"}, "undo": {key}}
		}
		return said, err
	}
	return nil, answer.Refuse(http.StatusNotFound, "Not found", "A job can be retried or discarded.")
}

// diedAgain reports whether a job failed for good once more since the page that a
// click comes from was shown: the click had its effect, also when a restart came
// between.
func (s *Server) diedAgain(ctx context.Context, id uint64, seen string) bool {
	if seen == "" {
		return false
	}
	j, err := s.o.Queue.Get(ctx, id)
	return err == nil && j.State == queue.Dead && strconv.FormatInt(j.DiedAt.UnixNano(), 10) != seen
}

// justRetried reports whether a job was retried a moment ago: the same click came
// twice, and both are told that it is tried again.
func (s *Server) justRetried(ctx context.Context, id uint64) bool {
	j, err := s.o.Queue.Get(ctx, id)
	return err == nil && j.State != queue.Dead && time.Since(j.RetriedAt) < 5*time.Second
}

// saying is the address's part that says what n items underwent.
func saying(key string, n int) url.Values {
	if n == 0 {
		return url.Values{"said": {"gone"}}
	}
	if n == 1 {
		return url.Values{"said": {key}}
	}
	return url.Values{"said": {key}, "n": {strconv.Itoa(n)}}
}

// discard deletes jobs and keeps them for an undo where they fit.
func (s *Server) discard(ctx context.Context, ids ...uint64) (url.Values, error) {
	if len(ids) > undoJobs {
		return s.discardMany(ctx, ids)
	}
	var kept []queue.Job
	bytes, n := 0, 0
	for _, id := range ids {
		var whole *queue.Job
		if bytes <= undoSize {
			if j, err := s.o.Queue.Get(ctx, id); err == nil {
				whole, bytes = &j, bytes+len(j.Payload)
			}
		}
		done, err := s.o.Queue.Discard(ctx, id)
		if err != nil {
			return nil, err
		}
		n += done
		if done == 1 && whole != nil {
			kept = append(kept, *whole)
		}
	}
	said := saying("discarded", n)
	if n == 0 {
		return said, nil
	}
	s.audit.Info("jobs discarded on the page", "changed", n)
	key := ""
	if len(kept) == n {
		key = s.undo.add(time.Now(), kept)
	}
	if key == "" {
		return saying("discarded-final", n), nil
	}
	said.Set("undo", key)
	return said, nil
}

// discardMany deletes more jobs than an undo keeps.
func (s *Server) discardMany(ctx context.Context, ids []uint64) (url.Values, error) {
	n := 0
	for batch := range slices.Chunk(ids, 500) {
		done, err := s.o.Queue.Discard(ctx, batch...)
		if err != nil {
			return nil, err
		}
		n += done
	}
	s.audit.Info("jobs discarded on the page", "changed", n)
	return saying("discarded-final", n), nil
}

// actOnListed does something to the dead letters that the page showed: those
// whose id is at most the newest one it knew and that had died by then. What
// came since is left alone, and a second click finds nothing.
func (s *Server) actOnListed(r *http.Request, action string) (url.Values, error) {
	switch action {
	case "discard":
		ids, err := s.deadListed(r)
		if err != nil {
			return nil, err
		}
		return s.discard(r.Context(), ids...)
	case "retry":
	default:
		return nil, answer.Refuse(http.StatusNotFound, "Not found", "Jobs can be retried or discarded.")
	}
	bound, seen, err := listedUntil(r)
	if err != nil && r.FormValue("newest")+r.FormValue("seen") != "" {
		return nil, err
	}
	n, err := s.o.Queue.RetryAll(r.Context(), ofShop(r.FormValue("shop")), listed(bound, seen))
	if err != nil {
		return nil, err
	}
	s.audit.Info("dead letters retried on the page", "changed", n)
	if n == 1 {
		return saying("retried", 1), nil
	}
	return saying("retried-all", n), nil
}

// listedUntil reads what a page knew of a list: its newest id and when it was
// read. Without either it is everything until now.
func listedUntil(r *http.Request) (uint64, time.Time, error) {
	bound, err := strconv.ParseUint(r.FormValue("newest"), 10, 64)
	at, err2 := strconv.ParseInt(r.FormValue("seen"), 10, 64)
	if err != nil || err2 != nil {
		return math.MaxUint64, time.Now(), answer.Refuse(http.StatusBadRequest, "Which ones?", "The form does not say which list it belongs to; open the list again.")
	}
	return bound, time.Unix(0, at), nil
}

// listed says of a dead letter whether a page showed it that was read at an instant.
func listed(newest uint64, seen time.Time) func(queue.Job) bool {
	return func(j queue.Job) bool { return j.ID <= newest && !j.DiedAt.After(seen) }
}

// ofShop names the jobs of a shop, "" for all.
func ofShop(shop string) (f queue.Filter) {
	if shop != "" {
		f.Labels = map[string]string{queue.LabelShop: shop}
	}
	return f
}

// deadListed are the ids of the dead letters that the page showed.
func (s *Server) deadListed(r *http.Request) (ids []uint64, err error) {
	bound, seen, err := listedUntil(r)
	if err != nil {
		return nil, err
	}
	f, listed := ofShop(r.FormValue("shop")), listed(bound, seen)
	f.State, f.Limit = queue.Dead, 1000
	for {
		jobs, next, err := s.o.Queue.List(r.Context(), f)
		if err != nil {
			return nil, err
		}
		for _, j := range jobs {
			if listed(j) {
				ids = append(ids, j.ID)
			}
		}
		if next == 0 || next >= bound {
			return ids, nil
		}
		f.After = next
	}
}

// What was discarded can be brought back for a while, as long as it fits here.
// It is in memory only and says so: a stop of Stockroom ends it.
const (
	undoFor  = 10 * time.Minute
	undoMost = 16      // clicks
	undoJobs = 500     // jobs of all clicks
	undoSize = 8 << 20 // bytes of their payloads
)

// undoList holds what the last clicks discarded. The zero value is empty.
type undoList struct {
	mu   sync.Mutex
	list []undoEntry // oldest first
	// saving is held while a selection is compared and saved.
	saving sync.Mutex
}

type undoEntry struct {
	key  string
	at   time.Time
	jobs []queue.Job // with their payloads
}

func (e undoEntry) size() (bytes int) {
	for _, j := range e.jobs {
		bytes += len(j.Payload)
	}
	return bytes
}

// add keeps discarded jobs and returns the key to bring them back with, "" when
// they do not fit.
func (u *undoList) add(now time.Time, jobs []queue.Job) string {
	e := undoEntry{key: rand.Text(), at: now, jobs: jobs}
	if len(jobs) == 0 || len(jobs) > undoJobs || e.size() > undoSize {
		return ""
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.list = append(u.list, e)
	u.trim(now)
	return e.key
}

// trim drops what is too old, and the oldest of what is too much.
func (u *undoList) trim(now time.Time) {
	jobs, bytes := 0, 0
	keep := len(u.list)
	for i := len(u.list) - 1; i >= 0; i-- {
		e := u.list[i]
		jobs, bytes = jobs+len(e.jobs), bytes+e.size()
		if now.Sub(e.at) > undoFor || len(u.list)-i > undoMost || jobs > undoJobs || bytes > undoSize {
			break
		}
		keep = i
	}
	clear(u.list[:keep]) // else their payloads stay in memory
	u.list = u.list[keep:]
}

// left is how many jobs a key brings back, 0 when it is unknown or too old.
func (u *undoList) left(now time.Time, key string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trim(now)
	for _, e := range u.list {
		if e.key == key {
			return len(e.jobs)
		}
	}
	return 0
}

// keyOf is the key under which a job is kept, "" when it is not: the answer to a
// second click on the same button is that to the first.
func (u *undoList) keyOf(now time.Time, id uint64) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trim(now)
	for _, e := range u.list {
		if len(e.jobs) == 1 && e.jobs[0].ID == id {
			return e.key
		}
	}
	return ""
}

// take removes an entry: of two clicks one gets it.
func (u *undoList) take(now time.Time, key string) (undoEntry, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.trim(now)
	for i, e := range u.list {
		if e.key == key {
			u.list = append(u.list[:i:i], u.list[i+1:]...)
			return e, true
		}
	}
	return undoEntry{}, false
}

// putBack returns what could not be brought back.
func (u *undoList) putBack(e undoEntry, jobs []queue.Job) {
	if len(jobs) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	e.jobs = jobs
	u.list = append([]undoEntry{e}, u.list...)
}

// bringBack puts what a click discarded into the queue again: a dead letter as a
// dead letter with its last error, a waiting job with the due time it had. They
// get new ids. It returns how many.
func (s *Server) bringBack(ctx context.Context, key string) (int, error) {
	e, ok := s.undo.take(time.Now(), key)
	if !ok {
		return 0, nil
	}
	for i, j := range e.jobs {
		again := queue.NewJob{Kind: j.Kind, Key: j.Key, Labels: j.Labels, Payload: j.Payload, NotBefore: j.DueAt}
		var err error
		if j.State == queue.Dead {
			_, err = s.o.Queue.Bury(ctx, again, j.Class, errors.New(j.LastError))
		} else {
			_, _, err = s.o.Queue.Enqueue(ctx, again)
		}
		if err != nil {
			s.undo.putBack(e, e.jobs[i:])
			return i, err
		}
	}
	return len(e.jobs), nil
}
