package e2e_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// requireOnlyPoisonDead checks that no delivery became a dead letter because of
// an outage.
func requireOnlyPoisonDead(tb testing.TB, s *server) {
	tb.Helper()
	for _, j := range s.pagedJobs("dead") {
		if j.Class != "poison" {
			tb.Errorf("%s became a dead letter: class %s, %s", j.WebhookID, j.Class, j.LastError)
		}
	}
}

// pagedJobs lists every job of a state, payloads left out.
func (s *server) pagedJobs(state string) []queuedJob {
	s.tb.Helper()
	var all []queuedJob
	after := ""
	for {
		r := s.admin(http.MethodGet, "/api/v1/jobs?limit=1000&state="+state+after, "")
		if r.Status != http.StatusOK {
			s.tb.Fatalf("jobs: %s", r)
		}
		var doc struct {
			Jobs []queuedJob
			Next *string
		}
		if err := json.Unmarshal([]byte(r.Body), &doc); err != nil {
			s.tb.Fatal(err)
		}
		all = append(all, doc.Jobs...)
		if doc.Next == nil {
			return all
		}
		after = "&after=" + *doc.Next
	}
}

// kept is what is known of deliveries: outcomes by webhook id, and the ids in
// the queue by state.
type kept struct {
	journal map[string][]string
	jobs    map[string]string
}

// keptDeliveries reads the queue first: a job that ends meanwhile is in the
// journal by then.
func keptDeliveries(tb testing.TB, s *server, from int64) kept {
	tb.Helper()
	k := kept{journal: map[string][]string{}, jobs: map[string]string{}}
	for _, j := range s.pagedJobs("") {
		if j.Kind == "webhook" {
			k.jobs[j.WebhookID] = j.State
		}
	}
	withCatalogue(tb, s.Dir, func(db *sql.DB) {
		eachRow(tb, db, `SELECT coalesce(webhook_id, ''), outcome FROM deliveries WHERE id > ?`, []any{from}, func(scan func(...any) error) error {
			var id, outcome string
			err := scan(&id, &outcome)
			k.journal[id] = append(k.journal[id], outcome)
			return err
		})
	})
	return k
}

// withCatalogue opens products.db for the time of fn only: a reader that stays
// would spare the next process the recovery that a test is about.
func withCatalogue(tb testing.TB, dir string, fn func(db *sql.DB)) {
	tb.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db")+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	fn(db)
}

// querier is a database or a transaction on it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func eachRow(tb testing.TB, db querier, query string, args []any, fn func(scan func(...any) error) error) {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query, args...)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			tb.Fatalf("%s: %v", query, err)
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
}

// requireKept checks I1: what was answered 2xx is in the journal, in the queue
// or a dead letter.
func (l *ledger) requireKept(tb testing.TB, s *server, from int64) (waiting int) {
	tb.Helper()
	k := keptDeliveries(tb, s, from)
	lost := 0
	for _, e := range l.open {
		state, inQueue := k.jobs[e.id]
		if inQueue && state != "dead" {
			waiting++
		}
		if !e.acked || len(k.journal[e.id]) > 0 && !e.poison || inQueue && (state == "dead") == e.poison {
			continue
		}
		if lost++; lost <= 5 {
			tb.Errorf("I1: %s (%s, product %d v%d, answered queued: %v) is nowhere: journal %q, queue %q", e.id, e.topic, e.product, e.version, e.queued, k.journal[e.id], state)
		}
	}
	if lost > 5 {
		tb.Errorf("I1: %d acknowledged deliveries are nowhere", lost)
	}
	return waiting
}

// drained waits until no delivery waits in the queue and returns how long that
// took.
func drained(tb testing.TB, s *server) time.Duration {
	tb.Helper()
	began := time.Now()
	for deliveriesInQueue(s) > 0 {
		if time.Since(began) > patience {
			tb.Fatalf("deliveries still wait after %v, the first of them: %.600s", patience, s.admin(http.MethodGet, "/api/v1/jobs?limit=1&kind=webhook&state=waiting", ""))
		}
		<-time.After(10 * time.Millisecond)
	}
	return time.Since(began)
}

func deliveriesInQueue(s *server) int {
	n := 0
	for _, j := range s.pagedJobs("") { // in one list, since a job goes to and fro
		if j.Kind == "webhook" && j.State != "dead" {
			n++
		}
	}
	return n
}

// row is a stored product with what its variants say.
type row struct {
	title           string
	version         int64 // of updated_at, in seconds since version 0
	variants        int
	lowest, highest int64 // inventory of the variants, which is the version
	hash            string
	known           bool
}

func (l *ledger) rows(tb testing.TB, db *sql.DB) map[int64]row {
	tb.Helper()
	rows := map[int64]row{}
	zero := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	eachRow(tb, db, `
		SELECT p.external_id, coalesce(p.title, ''), coalesce(p.shopify_updated_at, 0), p.content_hash,
		       count(v.id), coalesce(min(v.inventory_quantity), -1), coalesce(max(v.inventory_quantity), -1)
		FROM products p LEFT JOIN variants v ON v.product_id = p.id
		WHERE p.external_id >= ? GROUP BY p.id`, []any{l.base}, func(scan func(...any) error) error {
		var id, at int64
		var r row
		err := scan(&id, &r.title, &at, &r.hash, &r.variants, &r.lowest, &r.highest)
		r.version, r.known = (at-zero)/1000, true
		rows[id] = r
		return err
	})
	return rows
}

// whole reports whether a row is one version with all of its variants (I4).
func (r row) whole(id int64) bool {
	v := int(r.version)
	return r.title == fmt.Sprintf("Product %d v%d", id, v) && r.variants == variantsOf(id, v) && r.lowest == r.version && r.highest == r.version
}

// requireState checks I3 and I4. Before everything was redelivered a product
// may stand at any version not older than the newest acknowledged one; after it
// at the newest exactly.
func (l *ledger) requireState(tb testing.TB, db *sql.DB, settled bool) {
	tb.Helper()
	acked, gone, maybeGone := map[int64]int{}, map[int64]bool{}, map[int64]bool{}
	for _, e := range l.open {
		switch {
		case e.poison:
		case e.version == 0:
			gone[e.product] = gone[e.product] || e.acked
			maybeGone[e.product] = true
		case e.acked:
			acked[e.product] = max(acked[e.product], e.version)
		}
	}
	rows := l.rows(tb, db)
	for _, h := range l.products {
		r := rows[h.id]
		if h.deleted && !maybeGone[h.id] {
			gone[h.id] = true // settled in an earlier round
		}
		switch {
		case gone[h.id]:
			if r.known {
				tb.Errorf("I3: product %d was deleted and is at v%d", h.id, r.version)
			}
		case !r.known:
			if !maybeGone[h.id] && (acked[h.id] > 0 || settled && h.version > 0) {
				tb.Errorf("I3: product %d is missing, newest acknowledged v%d", h.id, acked[h.id])
			}
		case !r.whole(h.id):
			tb.Errorf("I4: product %d is no version as it was sent: %+v", h.id, r)
		case int(r.version) > h.version || int(r.version) < acked[h.id] || settled && int(r.version) != h.version:
			tb.Errorf("I3: product %d is at v%d, newest acknowledged v%d, newest sent v%d", h.id, r.version, acked[h.id], h.version)
		}
	}
}

// requireOnce checks that nothing took effect twice: one journal row that is no
// duplicate per delivery, one feed row per version, a feed without gaps.
func requireOnce(tb testing.TB, db *sql.DB, delivery, seq int64) {
	tb.Helper()
	for what, query := range map[string]string{
		"deliveries with more than one effect": `
			SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE outcome IN ('applied', 'stale', 'ignored') AND id > ?1
			GROUP BY webhook_id, dedupe HAVING count(*) > 1)`,
		"versions with more than one feed row": `
			SELECT count(*) FROM (SELECT 1 FROM changes c JOIN deliveries d ON d.id = CAST(substr(c.cause, 10) AS INTEGER)
			WHERE c.seq > ?2 AND d.id > ?1 GROUP BY c.external_id, coalesce(d.version_at, 0) HAVING count(*) > 1)`,
		"applied deliveries without a feed row": `
			SELECT count(*) FROM deliveries d WHERE d.id > ?1 AND d.outcome = 'applied' AND d.version_at IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.external_id = d.external_id AND c.seq > ?2 AND c.cause = 'delivery:' || d.id)`,
		"gaps in the feed":       `SELECT coalesce(max(seq) - ?2 - count(*), 0) + 0 * ?1 FROM changes WHERE seq > ?2`,
		"rows of other variants": `SELECT count(*) + 0 * ?1 * ?2 FROM variants v WHERE NOT EXISTS (SELECT 1 FROM products p WHERE p.id = v.product_id)`,
	} {
		var n int
		if err := db.QueryRowContext(tb.Context(), query, delivery, seq).Scan(&n); err != nil {
			tb.Errorf("%s: %v", what, err)
		}
		if n != 0 {
			tb.Errorf("%d %s", n, what)
		}
	}
}

func requireIntegrity(tb testing.TB, db *sql.DB) {
	tb.Helper()
	eachRow(tb, db, `PRAGMA integrity_check`, nil, func(scan func(...any) error) error {
		var text string
		err := scan(&text)
		if text != "ok" {
			tb.Errorf("integrity_check: %s", text)
		}
		return err
	})
}

// bounds are the newest rows of journal and feed, from where the next round
// looks.
func bounds(tb testing.TB, db *sql.DB) (delivery, seq int64) {
	tb.Helper()
	if err := db.QueryRowContext(tb.Context(), `SELECT coalesce((SELECT max(id) FROM deliveries), 0), coalesce((SELECT max(seq) FROM changes), 0)`).Scan(&delivery, &seq); err != nil {
		tb.Fatal(err)
	}
	return delivery, seq
}

// requireNothingSetAside checks that no file was found damaged.
func requireNothingSetAside(tb testing.TB, s *server) {
	tb.Helper()
	for _, name := range asideFiles(tb, s.Dir) {
		tb.Errorf("I9: %s was set aside", name)
	}
	if notices := degraded(tb, s); strings.Contains(notices, "notice") {
		tb.Errorf("I9: the page shows a notice: %s", notices)
	}
}

func asideFiles(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.Contains(e.Name(), ".damaged-") {
			names = append(names, e.Name())
		}
	}
	return names
}

// degraded is what /readyz says is not as it should be, "" for nothing.
func degraded(tb testing.TB, s *server) string {
	tb.Helper()
	_, text := readyz(tb, s)
	return text
}

func readyz(tb testing.TB, s *server) (status int, notOK string) {
	tb.Helper()
	r := s.admin(http.MethodGet, "/readyz", "")
	var doc struct {
		Status string
		Checks []struct {
			Name, Reason, Next string
			OK                 bool
		}
	}
	if err := json.Unmarshal([]byte(r.Body), &doc); err != nil {
		tb.Fatalf("/readyz: %v: %s", err, r)
	}
	var parts []string
	for _, c := range doc.Checks {
		if !c.OK {
			parts = append(parts, c.Name+": "+c.Reason)
		}
	}
	if (doc.Status == "ready") != (len(parts) == 0) {
		tb.Errorf("/readyz says %s with %d failing checks", doc.Status, len(parts))
	}
	return r.Status, strings.Join(parts, "; ")
}

// settle checks everything after a restart and leaves the ledger with nothing
// open: I1 at once, then I3 and I4 with the queue worked off, then I2 by sending
// the rest again, then the exact state.
func (l *ledger) settle(tb testing.TB, s *server, m *marks) {
	tb.Helper()
	l.requireKept(tb, s, m.delivery)
	drained(tb, s)
	withCatalogue(tb, s.Dir, func(db *sql.DB) { l.requireState(tb, db, false) })
	l.redeliver(tb, s)
	drained(tb, s)
	l.requireKept(tb, s, m.delivery)
	withCatalogue(tb, s.Dir, func(db *sql.DB) {
		l.requireState(tb, db, true)
		requireOnce(tb, db, m.delivery, m.seq)
		requireIntegrity(tb, db)
		m.delivery, m.seq = bounds(tb, db)
	})
	if tb.Failed() {
		tb.FailNow()
	}
	l.open = nil
}

// marks are where the rows of the present round begin.
type marks struct{ delivery, seq int64 }

func (l *ledger) summary() string {
	var refused []string
	for status, n := range l.refused {
		refused = append(refused, strconv.Itoa(n)+" answered "+strconv.Itoa(status))
	}
	return fmt.Sprintf("%d deliveries acknowledged (%d of them queued), %d sent again, %s", l.counts.acked, l.counts.queued, l.counts.redelivered,
		orElse(strings.Join(refused, ", "), "none refused"))
}
