package e2e_test

import (
	"database/sql"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// I1, I9: backups under load, the command or the server killed at random moments. A
// file that has its name is always whole, holds all that was acknowledged before the
// backup began, and is what the source was at its moment. The long form sends 1,000
// deliveries a second, and kills in two trials of three: 100 of 150.
func TestABackupThatIsKilledIsNeverTakenForAGoodOne(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	trials, end := campaignTrials(t, 6, 150)
	connections, settled, most := 16, 50*time.Millisecond, 90
	dir, work := filepath.Join(t.TempDir(), "data"), t.TempDir()
	l, m := newLedger(rng), marks{}
	if torture() {
		l.rate, connections, settled, most = 1000, 64, 300*time.Millisecond, 600
	}
	s := startServer(t, serveOptions{Dir: dir})
	good, killed, servers, sent, loaded := 0, 0, 0, 0, time.Duration(0)
	for n := 0; n < trials && !over(end); n++ {
		file := filepath.Join(work, fmt.Sprintf("backup-%d.tar.gz", n))
		var before []string
		var err error
		began, had := time.Now(), l.answeredCount()
		l.loadUntil(t, s, connections, func() {
			<-time.After(settled)
			before = l.ackedIDs()
			cmd := exec.Command(binary(t), "backup", file, "--data", dir)
			cmd.Env = cleanEnv()
			if err = cmd.Start(); err != nil {
				return
			}
			for range 2000 { // in half of the trials the moment is in the writing, however slow the machine
				written, _ := filepath.Glob(filepath.Join(work, fmt.Sprintf("*backup-%d.tar.gz*", n)))
				if n%2 == 1 || len(written) > 0 {
					break
				}
				<-time.After(5 * time.Millisecond)
			}
			<-time.After(time.Duration(rng.IntN(most)) * time.Millisecond)
			switch n % 3 {
			case 0:
				_ = cmd.Process.Kill()
			case 1:
				sent, loaded = sent+l.answeredCount()-had, loaded+time.Since(began)
				servers++
				s.kill()
			}
			if err = cmd.Wait(); n%3 != 1 {
				sent, loaded = sent+l.answeredCount()-had, loaded+time.Since(began)
			}
		})
		_, lost := os.Stat(file)
		if lost != nil {
			if killed++; err == nil {
				t.Error("a backup is reported that is not there")
			}
		}
		if s.gone() {
			s = startServer(t, serveOptions{Dir: dir})
			if left, _ := filepath.Glob(filepath.Join(dir, ".export-*")); len(left) > 0 {
				t.Errorf("copies are left: %q", left)
			}
		}
		if lost == nil {
			good++
			l.requireHeld(t, file, before, s)
			_ = os.Remove(file)
		}
		progress("backup %d: %v", n, err)
	}
	l.settle(t, s, &m)
	t.Logf("%d backups were good, %d were not; the server was killed in %d trials; "+
		"%.0f deliveries a second answered 2xx; seed %d",
		good, killed, servers, float64(sent)/loaded.Seconds(), seed)
	s.stop()
}

func (l *ledger) answeredCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts.answered
}

// ackedIDs are the deliveries that were acknowledged and have a place: the catalogue or the
// retry queue.
func (l *ledger) ackedIDs() (list []string) {
	for _, e := range l.ackedOpen() {
		if !e.poison {
			list = append(list, e.id)
		}
	}
	return list
}

// gone reports whether the process has ended.
func (s *server) gone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// requireHeld restores a backup, looks for deliveries in it, and compares its products with
// what the source says that they were then: the newest version that one of the deliveries
// up to the last in the backup brought, whole, and none that one of them deleted.
func (l *ledger) requireHeld(t *testing.T, file string, ids []string, source *server) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	r := runCLI(t, cleanEnv(), "", "restore", file, "--data", dir)
	if r.Code != 0 || !strings.Contains(r.Stderr, "Restored the backup") {
		t.Fatalf("%d: %s", r.Code, r.Stderr)
	}
	type entry struct {
		id                        int64
		webhookID, topic, outcome string
		product, version          int64
	}
	journal := func(db *sql.DB, to int64) (list []entry) {
		eachRow(t, db, `SELECT id, coalesce(webhook_id, ''), topic, outcome, coalesce(external_id, 0), coalesce(version_at, 0)
			FROM deliveries WHERE id <= ? ORDER BY id`, []any{to}, func(scan func(...any) error) error {
			var r entry
			err := scan(&r.id, &r.webhookID, &r.topic, &r.outcome, &r.product, &r.version)
			list = append(list, r)
			return err
		})
		return list
	}
	var then, now []entry
	var restored map[int64]int64
	withCatalogue(t, dir, func(db *sql.DB) {
		requireIntegrity(t, db)
		then, restored = journal(db, math.MaxInt64), map[int64]int64{}
		for id, r := range l.rows(t, db) {
			if restored[id] = r.version; !r.whole(id) {
				t.Errorf("I4: product %d of the backup is no version as it was sent: %+v", id, r)
			}
		}
	})
	last := int64(0)
	if len(then) > 0 {
		last = then[len(then)-1].id
	}
	withCatalogue(t, source.Dir, func(db *sql.DB) { now = journal(db, last) })
	if !slices.Equal(then, now) {
		t.Errorf("the backup has %d rows of the journal up to %d, the source %d, or others", len(then), last, len(now))
	}
	held, want, zero := map[string]bool{}, map[int64]int64{}, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for _, r := range now {
		switch held[r.webhookID] = true; {
		case r.outcome != "applied":
		case r.topic == "products/delete":
			delete(want, r.product)
		default:
			want[r.product] = max(want[r.product], (r.version-zero)/1000)
		}
	}
	if !maps.Equal(restored, want) {
		t.Errorf("the backup's products are at %v, those of the source were at %v", restored, want)
	}
	waiting := runCLI(t, cleanEnv(), "", "queue", "list", "--json", "--limit", "1000", "--data", dir)
	if waiting.Code != 0 {
		t.Fatalf("%d: %s", waiting.Code, waiting.Stderr)
	}
	for _, id := range ids {
		if !held[id] && !strings.Contains(waiting.Stdout, `"`+id+`"`) {
			t.Errorf("%s was acknowledged before the backup and is not in it", id)
		}
	}
}
