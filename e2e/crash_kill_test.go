package e2e_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// TestKillNineUnderLoadLosesNothingAcknowledged kills the process at random
// moments under load, with and without a backlog in the queue, and at times
// again while it starts.
func TestKillNineUnderLoadLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	binary(t)
	// Two dirs side by side: one waits for a lock while the other works.
	kills, end := campaignTrials(t, 50, 1000)
	for lane := range 2 {
		t.Run(fmt.Sprintf("dir %d", lane+1), func(t *testing.T) {
			t.Parallel()
			c := &killCampaign{rng: rand.New(rand.NewPCG(seed, uint64(lane)))}
			for c.kills < kills/2 && !over(end) {
				c.fresh(t)
				for first := c.kills; c.kills < kills/2 && c.kills < first+killsPerDir && !over(end); {
					c.round(t)
				}
				c.settle(t)
				c.done(t)
			}
			line := fmt.Sprintf("kill -9, dir %d: %d kills under load (%d of them with the catalogue locked) and %d during a start, %s; start %v at most, first queued delivery applied %v after the start at most, backlog of up to %d gone after %v at most; seed %d",
				lane+1, c.kills, c.locked, c.early, c.summary(), c.slowStart.Round(time.Millisecond), c.resumed.Round(time.Millisecond), c.backlog, c.drained.Round(time.Millisecond), seed)
			t.Log(line)
			progress("%s", line)
		})
	}
}

// killsPerDir bounds the journal, which every check reads.
const killsPerDir = 25

type killCampaign struct {
	rng    *rand.Rand
	dir    string
	l      *ledger
	m      marks
	s      *server
	totals []*ledger

	kills, locked, early, backlog int
	slowStart, resumed, drained   time.Duration
}

func (c *killCampaign) fresh(t *testing.T) {
	c.dir = filepath.Join(t.TempDir(), "data")
	c.l, c.m = newLedger(c.rng), marks{}
	c.totals = append(c.totals, c.l)
	c.start(t)
}

func (c *killCampaign) start(t *testing.T) {
	c.s = startServer(t, serveOptions{Dir: c.dir})
	c.slowStart = max(c.slowStart, c.s.Ready)
}

// done ends the dir's last process.
func (c *killCampaign) done(t *testing.T) {
	requireNothingSetAside(t, c.s)
	c.s.kill()
	c.drop()
	progress("kill -9: %d kills", c.kills)
}

// drop lets go of what a dead server holds.
func (c *killCampaign) drop() {
	c.s.client.CloseIdleConnections()
	if !c.s.tb.Failed() {
		c.s.log.mu.Lock()
		c.s.log.text.Reset()
		c.s.log.mu.Unlock()
	}
}

// round settles what the last kill left, loads, and kills.
func (c *killCampaign) round(t *testing.T) {
	c.settle(t)
	if c.kills%10 == 4 {
		c.killWithBacklog(t)
	} else {
		c.l.loadUntil(t, c.s, 16, func() {
			<-time.After(time.Duration(c.rng.IntN(250)) * time.Millisecond)
			c.s.kill()
		})
		c.kills++
	}
	c.drop()
	for c.rng.IntN(4) == 0 { // and again while it starts
		c.s = launch(t, serveOptions{Dir: c.dir})
		<-time.After(time.Duration(c.rng.IntN(60)) * time.Millisecond)
		c.s.kill()
		c.drop()
		c.early++
	}
	c.restart(t)
}

// restart starts the process again and, when deliveries were queued, measures
// how soon they move.
func (c *killCampaign) restart(t *testing.T) {
	queued := map[string]bool{}
	for _, e := range c.l.open {
		if e.queued {
			queued[e.id] = true
		}
	}
	applied := func() (n int) {
		withCatalogue(t, c.dir, func(db *sql.DB) {
			eachRow(t, db, `SELECT DISTINCT webhook_id FROM deliveries WHERE id > ? AND webhook_id IS NOT NULL`, []any{c.m.delivery}, func(scan func(...any) error) error {
				var id string
				err := scan(&id)
				if queued[id] {
					n++
				}
				return err
			})
		})
		return n
	}
	if len(queued) == 0 {
		c.start(t)
		return
	}
	before := applied()
	c.start(t)
	if before == len(queued) {
		return
	}
	began := time.Now()
	await(t, "a queued delivery applied after the start", func() bool { return applied() > before })
	first := time.Since(began)
	// Whatever the machine is busy with, sooner than after the backoff of 60 s.
	if first > 45*time.Second {
		t.Errorf("the first queued delivery was applied %v after the start", first)
	}
	c.resumed = max(c.resumed, first)
	c.backlog = max(c.backlog, len(queued)-before)
	drained(t, c.s)
	c.drained = max(c.drained, time.Since(began))
}

// killWithBacklog locks the catalogue from outside until deliveries wait in the
// queue, and kills while they wait or while they are worked off.
func (c *killCampaign) killWithBacklog(t *testing.T) {
	l := lockCatalogue(t, c.dir)
	c.l.loadUntil(t, c.s, 16, func() {
		await(t, "deliveries in the queue", func() bool {
			c.l.mu.Lock()
			defer c.l.mu.Unlock()
			n := 0
			for _, e := range c.l.open {
				if e.queued {
					n++
				}
			}
			return n >= 60
		})
		if c.rng.IntN(2) == 0 {
			l.release(t)
			<-time.After(time.Duration(300+c.rng.IntN(400)) * time.Millisecond) // a probe comes every half second
		} else {
			<-time.After(time.Duration(c.rng.IntN(100)) * time.Millisecond)
		}
		c.s.kill()
	})
	c.kills++
	c.locked++
	l.release(t)
}

// settle checks everything, with no fault about.
func (c *killCampaign) settle(t *testing.T) { c.l.settle(t, c.s, &c.m) }

func (c *killCampaign) summary() string {
	sum := &ledger{refused: map[int]int{}}
	for _, l := range c.totals {
		sum.counts.acked += l.counts.acked
		sum.counts.queued += l.counts.queued
		sum.counts.redelivered += l.counts.redelivered
		for status, n := range l.refused {
			sum.refused[status] += n
		}
	}
	return sum.summary()
}

// catalogueLock is another program that holds products.db for writing.
type catalogueLock struct {
	db   *sql.DB
	conn *sql.Conn
}

func lockCatalogue(tb testing.TB, dir string) *catalogueLock {
	tb.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db")+"?mode=rw&_pragma=busy_timeout(10000)")
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := db.Conn(tb.Context())
	if err == nil {
		_, err = conn.ExecContext(tb.Context(), `BEGIN EXCLUSIVE`)
	}
	if err != nil {
		tb.Fatalf("lock products.db: %v", err)
	}
	l := &catalogueLock{db, conn}
	tb.Cleanup(func() { l.release(tb) })
	return l
}

// release gives the lock back; a second call does nothing.
func (l *catalogueLock) release(tb testing.TB) {
	tb.Helper()
	if l.conn == nil {
		return
	}
	if _, err := l.conn.ExecContext(tb.Context(), `ROLLBACK`); err != nil && tb.Context().Err() == nil {
		tb.Errorf("unlock products.db: %v", err)
	}
	_ = l.conn.Close()
	_ = l.db.Close()
	l.conn = nil
}
