package e2e_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// I1, I9: backups under load, the command or the server killed at random moments. A
// file that has its name is always whole, and holds all that was acknowledged before the
// backup began.
func TestABackupThatIsKilledIsNeverTakenForAGoodOne(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	rng := rand.New(rand.NewPCG(seed, 3))
	trials, end := campaignTrials(t, 6, 100)
	dir, work := filepath.Join(t.TempDir(), "data"), t.TempDir()
	l, m := newLedger(rng), marks{}
	s := startServer(t, serveOptions{Dir: dir})
	good, killed := 0, 0
	for n := 0; n < trials && !over(end); n++ {
		file := filepath.Join(work, fmt.Sprintf("%d.tar.gz", n))
		var before []string
		var err error
		l.loadUntil(t, s, 16, func() {
			<-time.After(50 * time.Millisecond)
			before = l.storedIDs()
			cmd := exec.Command(binary(t), "backup", file, "--data", dir)
			cmd.Env = cleanEnv()
			if err = cmd.Start(); err != nil {
				return
			}
			<-time.After(time.Duration(rng.IntN(90)) * time.Millisecond)
			switch n % 3 {
			case 0:
				_ = cmd.Process.Kill()
			case 1:
				s.kill()
			}
			err = cmd.Wait()
		})
		if _, lost := os.Stat(file); lost != nil {
			if killed++; err == nil {
				t.Error("a backup is reported that is not there")
			}
		} else {
			good++
			requireHeld(t, file, before)
		}
		if s.gone() {
			s = startServer(t, serveOptions{Dir: dir})
			if left, _ := filepath.Glob(filepath.Join(dir, ".export-*")); len(left) > 0 {
				t.Errorf("copies are left: %q", left)
			}
		}
		progress("backup %d: %v", n, err)
	}
	l.settle(t, s, &m)
	t.Logf("%d backups were good, %d were killed; seed %d", good, killed, seed)
	s.stop()
}

// storedIDs are the deliveries that were acknowledged as stored.
func (l *ledger) storedIDs() (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.open {
		if e.acked && !e.queued && !e.poison {
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

// requireHeld restores a backup and looks for deliveries in it.
func requireHeld(t *testing.T, file string, ids []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	if r := runCLI(t, cleanEnv(), "", "restore", file, "--data", dir); r.Code != 0 || !strings.Contains(r.Stderr, "Restored the backup") {
		t.Fatalf("%d: %s", r.Code, r.Stderr)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "products.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	held := map[string]bool{}
	eachRow(t, db, `SELECT DISTINCT webhook_id FROM deliveries WHERE webhook_id IS NOT NULL`, nil, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		held[id] = true
		return err
	})
	for _, id := range ids {
		if !held[id] {
			t.Errorf("%s was acknowledged before the backup and is not in it", id)
		}
	}
	requireIntegrity(t, db)
}
