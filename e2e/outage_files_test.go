//go:build unix

package e2e_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What a person, or a program, does to a file while the server uses it.
const (
	fileRemoved = "removed"
	fileGarbage = "replaced by garbage"
	fileSound   = "replaced by another sound file"
	fileLink    = "replaced by a link to another file"
	fileMoved   = "moved out and linked to" // as for more room
	filePipe    = "replaced by a pipe"
	fileEmptied = "cut to nothing"
	fileHalved  = "cut to half"
)

var (
	takenFiles = []string{"products.db", "products.db-wal", "products.db-shm", "queue.db", "state.db", "ballast", "admin.json"}
	// In three classes, of which each has as many trials.
	takenDeeds = [][]string{{fileRemoved}, {fileGarbage, fileSound, fileLink, fileMoved, filePipe}, {fileEmptied, fileHalved}}
)

// TestFilesTakenFromUnderTheServer removes, replaces and cuts one file of the data
// dir under load. It is said within five seconds, deliveries go on into what is
// left, and after a restart nothing is lost but what was in that file, which is
// said.
func TestFilesTakenFromUnderTheServer(t *testing.T) {
	t.Parallel()
	seed := campaignSeed(t)
	binary(t)
	short := 12
	if raceEnabled { // the server itself is built without the detector
		short = 3
	}
	trials, end := campaignTrials(t, short, 300)
	plan := make([][2]string, trials)
	rng := rand.New(rand.NewPCG(seed, 80))
	// Each file with each deed of a class before any of them again.
	for class, deeds := range takenDeeds {
		var pairs [][2]string
		for _, n := range rng.Perm(len(takenFiles) * len(deeds)) {
			pairs = append(pairs, [2]string{takenFiles[n%len(takenFiles)], deeds[n/len(takenFiles)]})
		}
		for n := class; n < trials; n += len(takenDeeds) {
			plan[n] = pairs[n/len(takenDeeds)%len(pairs)]
		}
	}
	c := &fileCampaign{other: filepath.Join(t.TempDir(), "other"), total: &ledger{refused: map[int]int{}}, seen: map[string]int{}}
	c.makeOther(t, rng)
	done := lanes(t, trials, end, func(t *testing.T, n int) {
		file, deed := plan[n][0], plan[n][1]
		t.Run(fmt.Sprintf("%d %s %s", n, file, deed), func(t *testing.T) {
			f := &fileTrial{c: c, rng: rand.New(rand.NewPCG(seed, uint64(8000+n))), file: file, deed: deed}
			f.run(t)
		})
	})
	var parts []string
	for what, n := range c.seen {
		parts = append(parts, fmt.Sprintf("%d %s", n, what))
	}
	sort.Strings(parts)
	line := fmt.Sprintf("files taken away: %d trials, %s; %s; longest: %v; seed %d", done, strings.Join(parts, ", "), c.total.summary(), c.took.of, seed)
	t.Log(line)
	progress("%s", line)
}

type fileCampaign struct {
	other string // a dir with a sound file of each name
	mu    sync.Mutex
	total *ledger
	seen  map[string]int
	took  longest
}

func (c *fileCampaign) makeOther(t *testing.T, rng *rand.Rand) {
	s := startServer(t, serveOptions{Dir: c.other})
	l := newLedger(rng)
	for range 50 {
		s.post(l.next().delivery())
	}
	s.kill() // with its log and its admin.json
}

func (c *fileCampaign) saw(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what]++
}

// fileTrial is one file and what is done to it.
type fileTrial struct {
	c          *fileCampaign
	rng        *rand.Rand
	file, deed string

	top, dir, path string
	w              *witness
	locked         bool      // products.db is held by another program meanwhile
	before, after  time.Time // the deed
	told           time.Time // when it was said
	silent         bool      // nothing was said, so nothing may be lost
	gracefully     bool      // how the process ended
	aside          string    // another file that must stay as it is
	asideSum       string
}

// ours are the files that only serve us: nothing of a shop is in them.
func (f *fileTrial) ours() bool { return f.file == "ballast" || f.file == "admin.json" }

func (f *fileTrial) cut() bool { return f.deed == fileEmptied || f.deed == fileHalved }

// harmless: SQLite makes the index of its log again from the log, so nothing need be
// said of one that is cut.
func (f *fileTrial) harmless() bool { return f.file == "products.db-shm" && f.cut() }

// mayBeLost reports whether what an answer promised may have gone with the file.
func (f *fileTrial) mayBeLost(a answer) bool {
	switch {
	case f.silent, f.deed == fileMoved:
		return false // it is put back
	case f.file == "queue.db" && f.deed == fileRemoved:
		return false // it is put back
	case f.file == "queue.db" && a.e.poison: // which is kept there only, and answered from the journal when it comes again
		return !a.e.at.After(f.after)
	case f.file == "queue.db" && !a.queued:
		return false
	case f.file == "products.db-wal" && f.deed == fileRemoved && f.gracefully:
		return false // SQLite still has it open and copies what is in it
	case f.file != "products.db" && f.file != "products.db-wal" && f.file != "queue.db":
		return false
	case f.cut():
		return !a.sent.After(f.told) // it went into the file that is cut
	}
	return !a.sent.After(f.after)
}

func (f *fileTrial) run(t *testing.T) {
	f.top = t.TempDir()
	f.dir = filepath.Join(f.top, "data")
	f.path = filepath.Join(f.dir, f.file)
	s := startServer(t, serveOptions{Dir: f.dir})
	f.w = &witness{l: newLedger(f.rng)}
	// At a bearable pace: the checks compare each delivery with each row of the feed.
	stop := f.w.load(t, s, 8, 20*time.Millisecond)
	defer stop()
	began := time.Now()
	await(t, "some deliveries", func() bool { return f.w.acked(began) > 50 })
	if f.rng.IntN(4) == 0 {
		<-time.After(5200 * time.Millisecond) // the watermark is noted every five seconds
	}
	<-time.After(time.Duration(f.rng.IntN(700)) * time.Millisecond)
	quiet := s.complaints(t)
	if strings.Contains(quiet, f.named()) {
		t.Fatalf("%s is complained about before anything happened: %s", f.named(), quiet)
	}
	release := func() {}
	if f.locked = (f.file == "queue.db" || f.file == "state.db") && f.rng.IntN(2) == 0; f.locked {
		lock := lockCatalogue(t, f.dir)
		release = func() { lock.release(t) }
		from := f.w.l.queuedCount()
		await(t, "a backlog", func() bool { return f.w.l.queuedCount() > from+30 })
	}
	snapshot := f.snapshot(t)

	f.before = time.Now()
	f.do(t)
	f.after = time.Now()
	snapshotSum := fileSum(t, snapshot)

	said := f.awaitTold(t, s)
	f.told = time.Now()
	release()
	if !s.over() {
		<-time.After(time.Duration(300+f.rng.IntN(700)) * time.Millisecond) // into what is left
		if f.w.acked(f.told) == 0 && !f.refusalsAllowed() {
			t.Error("no delivery was acknowledged after that")
		}
		await(t, "the server is ready", func() bool {
			status, _, err := s.ask(t, "/readyz")
			return err == nil && status == http.StatusOK // a lock that is gone is noticed within half a second
		})
		s.requireProbes(t)
	}
	f.end(t, s)
	stop()
	allowed := []int{http.StatusOK}
	if f.refusalsAllowed() {
		allowed = append(allowed, http.StatusServiceUnavailable)
	}
	f.requireAnswers(t, allowed)

	again := f.restart(t)
	if !t.Failed() {
		f.check(t, again)
	}
	if !again.over() {
		again.stop()
	}
	if fileSum(t, snapshot) != snapshotSum {
		t.Error("the ballast was written through another name of it, as a snapshot by hard links has")
	}
	if f.aside != "" && fileSum(t, f.aside) != f.asideSum {
		t.Errorf("the file that %s was linked to was changed", f.file)
	}
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.c.total.add(f.w.l)
	if t.Failed() {
		t.Logf("%s %s, locked %v, gracefully %v, said: %s", f.file, f.deed, f.locked, f.gracefully, said)
	}
}

// refusalsAllowed: neither file takes a delivery.
func (f *fileTrial) refusalsAllowed() bool { return f.locked && f.file == "queue.db" }

// requireAnswers: until the process was ended, each delivery got an answer that
// is allowed.
func (f *fileTrial) requireAnswers(t *testing.T, allowed []int) {
	t.Helper()
	w := &witness{l: f.w.l}
	f.w.each(func(a answer) {
		// Without a queue nobody keeps what makes no sense.
		if a.status != 0 && !(a.e.poison && a.status == http.StatusServiceUnavailable && f.file == "queue.db") {
			w.answers = append(w.answers, a)
		}
	})
	w.requirePrompt(t, time.Time{}, allowed...)
}

// snapshot gives the ballast a second name, as `cp -al` does with all files.
func (f *fileTrial) snapshot(t *testing.T) (ballast string) {
	if f.rng.IntN(3) > 0 {
		return ""
	}
	ballast = filepath.Join(f.top, "snapshot-of-ballast")
	must(t, os.Link(filepath.Join(f.dir, "ballast"), ballast))
	return ballast
}

// do is the deed.
func (f *fileTrial) do(t *testing.T) {
	t.Helper()
	size := int64(0)
	if f.cut() {
		await(t, f.file+" with something in it", func() bool {
			info, err := os.Lstat(f.path)
			if err == nil {
				size = info.Size()
			}
			return size > 1
		})
	}
	made := filepath.Join(f.top, "made")
	switch f.deed {
	case fileRemoved:
		must(t, os.Remove(f.path))
		return
	case fileEmptied:
		must(t, os.Truncate(f.path, 0))
		return
	case fileHalved:
		must(t, os.Truncate(f.path, size/2))
		return
	case fileGarbage:
		text := make([]byte, 1+f.rng.IntN(100_000))
		for i := range text {
			text[i] = byte(f.rng.Uint32())
		}
		must(t, os.WriteFile(made, text, 0o600))
	case fileSound:
		copyFile(t, filepath.Join(f.c.other, f.file), made)
	case fileLink, fileMoved:
		f.aside = filepath.Join(f.top, "elsewhere")
		must(t, os.Symlink(f.aside, made))
		if f.deed == fileMoved {
			must(t, os.Rename(f.path, f.aside))
			f.aside = "" // it stays ours, and open
			break
		}
		copyFile(t, filepath.Join(f.c.other, f.file), f.aside)
		f.asideSum = fileSum(t, f.aside)
	case filePipe:
		must(t, syscall.Mkfifo(made, 0o600))
	}
	must(t, os.Rename(made, f.path))
}

// named is how the file has to be called.
func (f *fileTrial) named() string {
	name, _, _ := strings.Cut(f.file, "-")
	return name
}

// awaitTold waits until the server says what happened, or has put it right where
// that is all there is to it.
func (f *fileTrial) awaitTold(t *testing.T, s *server) (said string) {
	t.Helper()
	mended := false
	within := toldWithin
	if f.harmless() {
		within = time.Second - busyMachine // and that is looked at, no more
	}
	took, ok := awaitWithin(within, f.after, func() bool {
		if s.over() {
			return true
		}
		all := s.complaints(t)
		if strings.Contains(all, f.named()) || f.ours() && strings.Contains(warnings(s), f.named()) {
			said = orElse(all, "a warning")
			return true
		}
		mended = f.mended(s)
		return mended
	})
	f.c.took.note("until it was said, "+f.file+" "+f.deed, took)
	switch {
	case s.over():
		t.Errorf("it ended with code %d:\n%s", s.code, tail(s.log.String(), 20))
	case !ok && f.harmless():
		f.c.saw("without any effect")
	case !ok && (f.deed == fileHalved || f.deed == fileEmptied && f.file == "products.db-wal"):
		f.silent = true // what was cut off was of no use: pages never used, frames copied into the database
		f.c.saw("without any effect")
	case !ok:
		t.Errorf("nothing says within %v that %s was %s; what is said: %q", took, f.file, f.deed, s.complaints(t))
	case mended:
		f.c.saw("put right at once")
	default:
		f.c.saw("said")
	}
	return said
}

// warnings are the log's lines of that level.
func warnings(s *server) (lines string) {
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, `"level":"WARN"`) {
			lines += line
		}
	}
	return lines
}

// mended: the file is there again as it has to be, and nothing is lost.
func (f *fileTrial) mended(s *server) bool {
	info, err := os.Lstat(f.path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	switch f.file {
	case "ballast":
		whole, err := os.Stat(filepath.Join(f.c.other, "ballast"))
		return err == nil && info.Size() == whole.Size()
	case "admin.json":
		text, err := os.ReadFile(f.path)
		var admin struct{ PID int }
		return err == nil && json.Unmarshal(text, &admin) == nil && admin.PID == s.PID
	case "queue.db", "state.db":
		return f.deed == fileRemoved // put back from the open file
	}
	return false
}

// end ends the process, by a signal that lets it finish or by one that does not.
func (f *fileTrial) end(t *testing.T, s *server) {
	t.Helper()
	switch {
	case s.over():
	case f.rng.IntN(3) == 0:
		s.kill()
	default:
		f.gracefully = true
		f.c.took.note("until the stop", s.stopsInTime(t, stopSignal(f.rng), 0, f.lostCode()))
	}
	s.client.CloseIdleConnections()
}

// lostCode is how a stop may end besides 0: 4 when the last notes of the process
// could not be written, since another file has taken the place of theirs.
func (f *fileTrial) lostCode() int {
	lost := (f.file == "state.db" || f.file == "queue.db") && f.deed != fileRemoved || f.file == "products.db"
	if lost && !f.cut() {
		return 4
	}
	return 0
}

// restart starts on what is there now. A file that is none of ours may be refused
// in words that name it; then a person takes it away.
func (f *fileTrial) restart(t *testing.T) *server {
	t.Helper()
	info, err := os.Lstat(f.path)
	strange := err == nil && !info.Mode().IsRegular()
	s := launch(t, serveOptions{Dir: f.dir})
	select {
	case line := <-s.log.wait(`"serving"`):
		if strange && f.ours() { // a warning says it; a person may need admin.json
			if !f.regular() && !strings.Contains(s.log.String(), f.file) {
				t.Errorf("nothing says that %s is no file of ours:\n%s", f.file, s.log)
			}
			s.kill()
			break
		}
		if s.announced(line); strange {
			t.Errorf("it started though %s was %s", f.file, f.deed)
		}
		return s
	case <-s.done:
		if log := s.log.String(); !strange || f.ours() || s.code != 4 || !strings.Contains(log, f.file) {
			t.Fatalf("the start ended with code %d:\n%s", s.code, log)
		}
		f.c.saw("with a start refused")
	case <-time.After(patience):
		t.Fatalf("it does not start:\n%s", s.log)
	}
	if !f.regular() {
		f.putRight(t)
	}
	return startServer(t, serveOptions{Dir: f.dir})
}

func (f *fileTrial) regular() bool {
	info, err := os.Lstat(f.path)
	return err == nil && info.Mode().IsRegular()
}

func (f *fileTrial) putRight(t *testing.T) {
	t.Helper()
	_ = os.Remove(f.path)
	if f.deed == fileMoved && !f.ours() {
		must(t, os.Rename(filepath.Join(f.top, "elsewhere"), f.path))
	}
}

// check looks at what the new process makes of it.
func (f *fileTrial) check(t *testing.T, s *server) {
	t.Helper()
	firm := f.w.promised(f.mayBeLost)
	firm.requireKept(t, s, 0)
	awaitQuiet(t, s)
	if !t.Failed() {
		firm.requireKept(t, s, 0)
	}
	requireOnlyPoisonDead(t, s)
	all := f.w.promised(func(answer) bool { return false })
	if len(firm.ackedOpen()) == len(all.ackedOpen()) {
		f.c.saw("without a loss")
		f.w.l.settle(t, s, &marks{})
		return
	}
	whole, kept := &damageCampaign{image: image{l: all}}, &damageCampaign{image: image{l: firm}}
	if n, odd := kept.compare(t, f.dir); n > 0 || odd > 0 {
		t.Errorf("%d products are older than what was acknowledged after it or beside it, %d are no version as it was sent", n, odd)
	}
	lost, _ := whole.compare(t, f.dir)
	jobs := whole.lostJobs(t, s)
	switch {
	case lost == 0 && jobs == 0:
		f.c.saw("with all of it kept")
	case f.file == "queue.db" && f.deed == fileSound:
		// Nothing tells afterwards a sound queue from the one that was there.
		f.c.saw("with a loss that was said before")
	case !strings.Contains(s.complaints(t), "loss: ") && !strings.Contains(degraded(t, s), "notice"):
		t.Errorf("%d products and %d queued deliveries were lost, and after the start nothing says so: %q", lost, jobs, s.complaints(t))
	default:
		f.c.saw("with a loss that was said")
	}
	kept.heals(t, s)
}

// fileSum is of a file's content, "" for none.
func fileSum(t *testing.T, path string) string {
	t.Helper()
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	must(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(text))
}
