package web

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
