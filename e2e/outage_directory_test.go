//go:build unix

package e2e_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lanes runs the trials of a campaign, two at a time. Each trial draws from its
// own numbers, so that one alone can be replayed. It returns how many there were.
func lanes(t *testing.T, trials int, end time.Time, trial func(t *testing.T, n int)) (done int) {
	t.Helper()
	var mu sync.Mutex
	t.Run("trials", func(t *testing.T) {
		for lane := range 2 {
			t.Run(fmt.Sprintf("lane %d", lane+1), func(t *testing.T) {
				t.Parallel()
				for n := lane; n < trials && !over(end); n += 2 {
					trial(t, n)
					mu.Lock()
					if done++; done%50 == 0 {
						progress("%s: %d trials", t.Name(), done)
					}
					mu.Unlock()
				}
			})
		}
	})
	return done
}

// longest keeps the longest of some times, by what they are of.
type longest struct {
	mu sync.Mutex
	of map[string]time.Duration
}

func (l *longest) note(what string, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]time.Duration{}
	}
	l.of[what] = max(l.of[what], d.Round(time.Millisecond))
}

// What a person does to a data dir while a server runs on it.
const (
	dirSecond   = "moved, a second server on its path"
	dirRemoved  = "removed"
	dirOther    = "moved, another folder on its path"
	dirLinked   = "moved, a link to it on its path"
	dirRelinked = "the link to it leads to another folder"
	dirBack     = "moved and moved back"
	lockRemoved = "its lock file removed"
	lockOther   = "its lock file replaced"
)

// TestTheDirectoryIsTakenFromUnderTheServer moves, removes and replaces the data
// dir or its lock under load. The server leaves what is there now alone, refuses
// deliveries and ends with code 4; nothing acknowledged is lost but by the removal.
func TestTheDirectoryIsTakenFromUnderTheServer(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	binary(t)
	others := []string{dirRemoved, dirOther, dirRelinked, lockRemoved, lockOther, dirLinked, dirBack}
	trials, end := campaignTrials(t, 1+len(others), 100+10*len(others))
	var deeds []string
	for n := range trials {
		deed := dirSecond // the first one, or 100 of them
		if n > 0 && !torture() || n >= 100 {
			deed = others[n%len(others)]
		}
		deeds = append(deeds, deed)
	}
	rand.New(rand.NewPCG(seed, 7)).Shuffle(trials, func(i, j int) { deeds[i], deeds[j] = deeds[j], deeds[i] })
	c := &dirCampaign{total: &ledger{refused: map[int]int{}}}
	done := lanes(t, trials, end, func(t *testing.T, n int) {
		t.Run(fmt.Sprintf("%d %s", n, deeds[n]), func(t *testing.T) {
			c.trial(t, rand.New(rand.NewPCG(seed, uint64(7000+n))), deeds[n])
		})
	})
	line := fmt.Sprintf("dir taken away: %d trials, %s; longest: %v; seed %d", done, c.total.summary(), c.took.of, seed)
	t.Log(line)
	progress("%s", line)
}

type dirCampaign struct {
	mu    sync.Mutex
	total *ledger
	took  longest
}

func (c *dirCampaign) trial(t *testing.T, rng *rand.Rand, deed string) {
	top := t.TempDir()
	dir, old := filepath.Join(top, "data"), filepath.Join(top, "data.old")
	if deed == dirRelinked {
		old = filepath.Join(top, "real")
		must(t, os.Mkdir(old, 0o700))
		must(t, os.Symlink(old, dir))
	}
	a := startServer(t, serveOptions{Dir: dir})
	w := &witness{l: newLedger(rng)}
	stop := w.load(t, a, 8, 2*time.Millisecond)
	defer stop()
	began := time.Now()
	await(t, "some deliveries", func() bool { return w.acked(began) > 20 })
	<-time.After(time.Duration(rng.IntN(700)) * time.Millisecond)
	release := func() {}
	if rng.IntN(3) == 0 { // with a backlog in the queue
		lock := lockCatalogue(t, dir)
		release = func() { lock.release(t) }
		from := w.l.queuedCount()
		await(t, "a backlog", func() bool { return w.l.queuedCount() > from+30 })
		if rng.IntN(2) == 0 {
			release()
		}
	}

	var b *server
	var bw *witness
	bStop, bLock := func() {}, func() {}
	var bFiles, theirs map[string]string
	before := time.Now()
	var after time.Time
	ends := true
	switch deed {
	case dirSecond:
		must(t, os.Rename(dir, old))
		after = time.Now()
		b = startServer(t, serveOptions{Dir: dir})
		bw = &witness{l: newLedger(rng)}
		bFiles = inodes(t, dir)
		bStop = bw.load(t, b, 4, 2*time.Millisecond)
		defer bStop()
		if rng.IntN(2) == 0 { // what A would take for damage
			lock := lockCatalogue(t, dir)
			bLock = func() { lock.release(t) }
		}
	case dirRemoved:
		await(t, "rm -rf", func() bool {
			_ = os.RemoveAll(dir) // a person tries again when the server makes files meanwhile
			_, err := os.Lstat(dir)
			return errors.Is(err, fs.ErrNotExist)
		})
		after = time.Now()
	case dirOther, dirRelinked:
		other := filepath.Join(top, "other")
		must(t, os.Mkdir(other, 0o700))
		for _, name := range []string{"products.db", "products.db-wal", "queue.db", "state.db", "admin.json", "ballast", "lock", "open.html", "holiday.jpg"} {
			must(t, os.WriteFile(filepath.Join(other, name), fmt.Appendf(nil, "%s of a person %d", name, rng.Uint64()), 0o600))
		}
		theirs = contents(t, other)
		if deed == dirRelinked {
			must(t, os.Symlink(other, dir+".new"))
			must(t, os.Rename(dir+".new", dir))
		} else {
			must(t, os.Rename(dir, old))
			must(t, os.Rename(other, dir))
		}
		after = time.Now()
	case dirLinked, dirBack:
		ends = false // it may: for a moment the path leads nowhere
		must(t, os.Rename(dir, old))
		<-time.After(time.Duration(rng.IntN(2)*rng.IntN(1500)) * time.Millisecond)
		if deed == dirLinked {
			must(t, os.Symlink(old, dir))
		} else {
			must(t, os.Rename(old, dir))
			old = dir
		}
		after = time.Now()
	case lockRemoved, lockOther:
		old = dir
		name := filepath.Join(dir, "lock")
		if deed == lockOther {
			must(t, os.WriteFile(name+".new", nil, 0o600))
			must(t, os.Rename(name+".new", name))
		} else {
			must(t, os.Remove(name))
		}
		after = time.Now()
	}

	if ends {
		c.endsByItself(t, a, deed, after)
	} else {
		<-time.After(time.Duration(rng.IntN(2500)) * time.Millisecond)
	}
	stop()
	release()
	c.judge(t, w, deed, before, after)
	switch {
	case a.over() && a.code != 4:
		t.Errorf("exit code %d, want 4", a.code)
	case !a.over():
		a.requireProbes(t)
		a.stopsInTime(t, stopSignal(rng), 0)
	}
	if ends || a.code == 4 {
		n := 0
		for line := range strings.Lines(a.log.String()) {
			if !strings.Contains(line, `"level":"ERROR"`) {
				continue
			}
			if strings.Contains(line, "it stops") && strings.Contains(line, dir) {
				n++
			} else if n > 0 {
				t.Errorf("a further line at ERROR: %s", line)
			}
		}
		if n != 1 {
			t.Errorf("%d lines at ERROR say what happened, want one", n)
		}
	}

	if b != nil { // the second server has not noticed anything
		<-time.After(300 * time.Millisecond)
		for name, id := range inodes(t, dir) {
			if was, ok := bFiles[name]; ok && was != id {
				t.Errorf("%s of the second server is another file", name)
			}
			delete(bFiles, name)
		}
		for name := range bFiles {
			t.Errorf("%s of the second server is gone", name)
		}
		bLock()
		bStop()
		bw.requirePrompt(t, after, http.StatusOK)
		bw.l.settle(t, b, &marks{})
		requireNothingSetAside(t, b)
		b.stop()
	}
	if theirs != nil {
		now := contents(t, dir)
		for name, text := range theirs {
			if now[name] != text {
				t.Errorf("%s in the other folder was changed or removed", name)
			}
			delete(now, name)
		}
		for name := range now {
			t.Errorf("%s was put into the other folder", name)
		}
	}
	if deed == dirRemoved {
		if _, err := os.Lstat(dir); err == nil {
			t.Error("the server made the removed dir again")
		}
		s := startServer(t, serveOptions{Dir: dir})
		if r := s.post(delivery{WebhookID: "first", Body: campaignBody(1, 1)}); r.Status != http.StatusOK {
			t.Errorf("on a new dir: %s", r)
		}
		s.stop()
	} else if !t.Failed() {
		s := startServer(t, serveOptions{Dir: old})
		w.l.settle(t, s, &marks{})
		requireOnlyPoisonDead(t, s)
		requireNothingSetAside(t, s)
		s.stop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.add(w.l)
	if bw != nil {
		c.total.add(bw.l)
	}
}

// endsByItself expects the end of a server that has lost its dir.
func (c *dirCampaign) endsByItself(t *testing.T, a *server, deed string, since time.Time) {
	t.Helper()
	took, ok := awaitWithin(toldWithin, since, a.over)
	c.took.note("until the end, "+deed, took)
	if !ok {
		status, body, err := a.ask(t, "/readyz")
		t.Fatalf("it still runs %v after the dir was %s; /readyz: %d %s %v", took, deed, status, body, err)
	}
}

// judge looks at how the first server answered.
func (c *dirCampaign) judge(t *testing.T, w *witness, deed string, before, after time.Time) {
	t.Helper()
	last, n := time.Duration(0), 0
	w.each(func(a answer) {
		switch {
		case a.status/100 == 2:
			if a.came.After(after) {
				last = max(last, a.came.Sub(after))
			}
			// The commit came after the removal, and the look at the dir after that.
			if deed == dirRemoved && a.sent.After(after) {
				n++
			}
		case a.status != 0 && a.status != http.StatusServiceUnavailable || a.came.Before(before):
			t.Errorf("answered %d", a.status)
		case a.status != 0 && a.came.Sub(a.sent) > stoppedWithin:
			t.Errorf("answered after %v", a.came.Sub(a.sent))
		}
	})
	if n > 0 {
		t.Errorf("%d deliveries were sent after the dir was removed and acknowledged", n)
	}
	if deed != dirBack && deed != dirLinked {
		c.took.note("until the last acknowledgement, "+deed, last)
		if last > toldWithin+busyMachine {
			t.Errorf("acknowledged %v after the dir was %s", last, deed)
		}
	}
}

// over reports whether the process has ended.
func (s *server) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// add sums up.
func (l *ledger) add(other *ledger) {
	l.counts.acked += other.counts.acked
	l.counts.queued += other.counts.queued
	l.counts.redelivered += other.counts.redelivered
	for status, n := range other.refused {
		l.refused[status] += n
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inodes tells which file each name in a dir leads to.
func inodes(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	ids := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		ids[e.Name()] = fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino)
	}
	return ids
}

// contents are the sums of the files in a dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	sums := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		sums[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(text))
	}
	return sums
}
