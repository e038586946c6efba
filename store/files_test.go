package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/folder"
)

// harm is what somebody does to the files of an open store.
type harm struct {
	name string
	do   func(b *bench)
	// lost: the store has to say so and to take nothing more. Otherwise a fresh
	// file takes the place of a damaged one.
	lost bool
	// left is where the catalogue is afterwards with all that was acknowledged; nil:
	// what was acknowledged before went with the file.
	left func(b *bench) (path string)
	kept int64 // so many of the first products are taken over all the same
}

const checkpointed = 10 // of the products when the log is copied

// stranger is somebody else's file.
var stranger = []byte(strings.Repeat("somebody else's ", 4096))

func harms() (list []harm) {
	inPlace := func(b *bench) string { return b.path }
	aside := func(suffix string) func(b *bench) string {
		return func(b *bench) string {
			b.must(os.Rename(b.path+suffix, b.path+suffix+".stranger"))
			return b.path
		}
	}
	for _, suffix := range suffixes {
		removed := harm{suffix + " removed", func(b *bench) { b.must(os.Remove(b.path + suffix)) }, true, inPlace, 0}
		replaced := harm{suffix + " replaced", func(b *bench) {
			b.must(os.WriteFile(b.path+".other", stranger, 0o600))
			b.must(os.Rename(b.path+".other", b.path+suffix))
		}, true, aside(suffix), 0}
		if suffix == "" {
			removed.left, replaced.left = nil, nil
		}
		list = append(list, removed, replaced)
	}
	// The index is mapped into memory: who cuts it ends the process, as kill -9 does.
	for i, suffix := range suffixes[:2] {
		kept := int64(i * checkpointed) // a log that was cut must not be copied
		list = append(list, harm{suffix + " cut to nothing", func(b *bench) { b.must(os.Truncate(b.path+suffix, 0)) }, false, nil, kept},
			harm{suffix + " cut short", func(b *bench) { b.must(os.Truncate(b.path+suffix, logHeader+10*frameBytes)) }, false, nil, kept})
	}
	move := func(b *bench) {
		b.must(os.Rename(filepath.Dir(b.path), filepath.Dir(b.path)+".old"))
	}
	moved := func(b *bench) string { return filepath.Join(filepath.Dir(b.path)+".old", "products.db") }
	return append(list, harm{"folder moved", move, true, moved, 0}, harm{"folder moved, another in its place", func(b *bench) {
		move(b)
		b.must(os.Mkdir(filepath.Dir(b.path), 0o700))
		for _, suffix := range suffixes {
			b.must(os.WriteFile(b.path+suffix, stranger, 0o600))
		}
	}, true, moved, 0})
}

func (b *bench) must(err error) {
	if err != nil {
		b.t.Error(err) // also in the writer
	}
}

// tryPut stores a product, which was acknowledged when there is no error.
func (b *bench) tryPut(id int64) error {
	c := upsertOf(product(id, "v1", 10_000, "1", "2"))
	_, err := b.s.Apply(context.Background(), Delivery{Shop: testShop, Topic: string(c.Topic), Dedupe: 1<<40 + id}, c)
	return err
}

// TestWhatWasAcknowledgedIsLeftOrSaidToBeLost removes, replaces and cuts each file
// of an open store, and moves its folder, while nothing is written, under writes and
// within a commit.
func TestWhatWasAcknowledgedIsLeftOrSaidToBeLost(t *testing.T) {
	for _, h := range harms() {
		for _, mode := range []string{"under writes", "idle", "within a commit", wrapped} {
			if testing.Short() && mode != "under writes" {
				break
			}
			t.Run(h.name+", "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { suffer(t, h, mode) })
			})
		}
	}
}

// wrapped: within a commit, while SQLite writes at the start of a log that is longer
// than what is in use of it.
const wrapped = "within a commit into a log that was begun again"

func suffer(t *testing.T, h harm, mode string) {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "data", "products.db")}
	b.must(os.Mkdir(filepath.Dir(b.path), 0o700))
	b.reopen()
	var mu sync.Mutex
	acknowledged := map[int64]bool{}
	var harmed atomic.Bool
	apply := func(id int64) error {
		after := harmed.Load()
		err := b.tryPut(id)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			acknowledged[id] = true
			if h.lost && after {
				t.Errorf("product %d was acknowledged after the files were gone", id)
			}
		case !errors.Is(err, ErrUnavailable):
			t.Errorf("product %d: %v", id, err)
		}
		return err
	}
	for id := range int64(40) { // the first are in the database, the others in the log
		if id == checkpointed {
			b.must(b.s.checkpoint(patience, `PRAGMA wal_checkpoint(PASSIVE)`))
		}
		b.must(apply(id + 1))
	}
	if mode == wrapped {
		for id := int64(601); id <= 800; id++ {
			b.must(b.tryPut(id))
		}
		for id := int64(601); id <= 800; id++ { // pages that are used again, so that the database is long enough
			b.want(deleteOf(id), Applied)
		}
		b.must(b.s.checkpoint(patience, `PRAGMA wal_checkpoint(PASSIVE)`))
		for id := int64(41); id <= 60; id++ {
			b.must(apply(id))
		}
	}
	b.s.readers.Load().SetMaxIdleConns(0) // the writer's connection is the last to be closed
	switch mode {
	case "idle":
		h.do(b)
		harmed.Store(true)
	case "under writes":
		var writers sync.WaitGroup
		for w := range int64(4) {
			writers.Go(func() {
				for n := range int64(100) {
					_ = apply(1000 + w*100 + n)
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		h.do(b)
		harmed.Store(true)
		writers.Wait()
	case "within a commit", wrapped:
		var once sync.Once
		b.fail(func(at string) error {
			if at == "before commit" {
				once.Do(func() { h.do(b) })
			}
			return nil
		})
		if err := apply(500); h.lost && CauseOf(err) != CauseLost {
			t.Errorf("error %v of a commit during which the files went", err)
		}
		harmed.Store(true)
	}
	before := strangers(b.path)
	time.Sleep(5 * time.Second)
	synctest.Wait()
	said := b.s.Health()
	if h.lost && said.Cause != CauseLost || !h.lost && said.Quarantined == "" {
		t.Errorf("not said within 5 seconds: %+v", said)
	}
	late := int64(5000)
	if err := apply(late); h.lost != (CauseOf(err) == CauseLost) {
		t.Errorf("a later change: %v", err)
	}
	if !h.lost {
		acknowledged = map[int64]bool{late: true}
	}
	for id := range h.kept {
		acknowledged[id+1] = true
	}
	err := b.s.Close()
	if _, gone := errors.AsType[*folder.LostError](err); gone != (h.lost && h.left == nil) || err != nil && !gone {
		t.Errorf("the end of the store says %v", err)
	}
	if h.lost && !maps.EqualFunc(before, strangers(b.path), bytes.Equal) {
		t.Errorf("files of somebody else were touched: %v before, %v after", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(strangers(b.path))))
	}
	switch {
	case !h.lost:
	case h.left == nil:
		return
	default:
		b.path = h.left(b)
	}
	b.s = nil
	b.reopen()
	if said = b.s.Health(); h.lost && (said.Quarantined != "" || said.Behind != 0) {
		t.Errorf("after a restart %+v", said)
	}
	b.must(b.s.integrity(t.Context()))
	for id := range acknowledged {
		if _, err := b.s.Product(t.Context(), testShop, id); err != nil {
			t.Errorf("product %d was acknowledged: %v", id, err)
		}
	}
	b.must(b.s.Close())
}

// strangers are the files of somebody else at path.
func strangers(path string) map[string][]byte {
	all := map[string][]byte{}
	for _, suffix := range suffixes {
		if data, err := os.ReadFile(path + suffix); err == nil && bytes.HasPrefix(data, stranger[:16]) {
			all[suffix] = data
		}
	}
	return all
}

// TestAFileThatGetsItsNameBackIsUsedAgain holds that no restart is needed then.
func TestAFileThatGetsItsNameBackIsUsedAgain(t *testing.T) {
	for _, suffix := range suffixes {
		synctest.Test(t, func(t *testing.T) {
			b := open(t)
			b.must(b.tryPut(1))
			b.must(os.Rename(b.path+suffix, b.path+".away"))
			if err := b.tryPut(2); CauseOf(err) != CauseLost {
				t.Errorf("%s: error %v", suffix, err)
			}
			b.must(os.Rename(b.path+".away", b.path+suffix))
			time.Sleep(2 * time.Second) // nothing is written but by the store itself
			synctest.Wait()
			if h := b.s.Health(); h.Cause != "" || h.Quarantined != "" {
				t.Errorf("%s: health %+v", suffix, h)
			}
			b.must(b.tryPut(3))
			b.title(3, "Shirt v1")
			b.must(b.s.Close())
		})
	}
}

// A process that has lost its data dir ends without closing the store, whose writer may
// be at work: that is no fault of the disk, and no news.
func TestAFolderThatIsClosedAtTheEndIsNoFaultOfTheDisk(t *testing.T) {
	var lines bytes.Buffer
	var dir *folder.Folder
	b := open(t, func(o *Options) {
		var err error
		if dir, err = folder.Open(filepath.Dir(o.Path)); err != nil {
			t.Fatal(err)
		}
		o.Folder, o.Logger = dir, slog.New(slog.NewTextHandler(&lines, nil))
	})
	b.must(b.tryPut(1))
	b.must(dir.Close())
	if err := b.tryPut(2); CauseOf(err) != CauseClosed {
		t.Errorf("error %v", err)
	}
	if lines.Len() > 0 {
		t.Errorf("log:\n%s", &lines)
	}
}

// TestTwoStoresOfOnePathTouchOnlyTheirOwn moves the folder of a store, opens another
// at its path, has the first meet damage, and closes it.
func TestTwoStoresOfOnePathTouchOnlyTheirOwn(t *testing.T) {
	first := &bench{t: t, path: filepath.Join(t.TempDir(), "data", "products.db")}
	dir := filepath.Dir(first.path)
	first.must(os.Mkdir(dir, 0o700))
	first.reopen()
	first.must(first.tryPut(1))
	first.must(os.Rename(dir, dir+".old"))
	first.must(os.Mkdir(dir, 0o700))
	second := &bench{t: t, path: first.path}
	second.reopen()
	second.must(second.tryPut(2))
	if err := first.s.replaceDamaged(logCutError()); CauseOf(err) != CauseLost {
		t.Errorf("the first store replaces a damaged file: %v", err)
	}
	for _, err := range []error{first.tryPut(3), first.s.checkpoint(0, `PRAGMA wal_checkpoint(TRUNCATE)`), first.s.integrity(t.Context())} {
		if CauseOf(err) != CauseLost {
			t.Errorf("the first store: %v", err)
		}
	}
	if _, err := first.s.CopyTo(t.Context(), filepath.Join(t.TempDir(), "copy.db")); CauseOf(err) != CauseLost {
		t.Errorf("a copy: %v", err)
	}
	first.must(first.s.Close())
	second.must(second.tryPut(4))
	second.reopen()
	second.title(2, "Shirt v1")
	second.title(4, "Shirt v1")
	second.absent(1)
	second.must(second.s.Close())
	first.path, first.s = filepath.Join(dir+".old", "products.db"), nil
	first.reopen()
	first.title(1, "Shirt v1")
	first.must(first.s.Close())
}

// TestWhatIsNoRegularFileIsRefused puts links and folders where the files are.
func TestWhatIsNoRegularFileIsRefused(t *testing.T) {
	for _, suffix := range suffixes {
		for name, put := range map[string]func(path string) error{
			"link":             func(path string) error { return os.Symlink("other", path) },
			"link to nothing":  func(path string) error { return os.Symlink("nothing", path) },
			"folder":           func(path string) error { return os.Mkdir(path, 0o700) },
			"link to a folder": func(path string) error { return os.Symlink(".", path) },
		} {
			dir := t.TempDir()
			path := filepath.Join(dir, "products.db")
			b := &bench{t: t, path: path}
			b.must(os.WriteFile(filepath.Join(dir, "other"), stranger, 0o600))
			if suffix != "" {
				b.reopen()
				b.must(b.s.Close())
			}
			b.must(put(path + suffix))
			before, err := os.ReadDir(dir)
			b.must(err)
			s, err := Open(t.Context(), Options{Path: path})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), path+suffix+" is not a regular file: move it away") {
				t.Errorf("%s at %s: error %v", name, suffix, err)
			}
			after, err := os.ReadDir(dir)
			b.must(err)
			text, err := os.ReadFile(filepath.Join(dir, "other"))
			if err != nil || !bytes.Equal(text, stranger) || len(before) != len(after) {
				t.Errorf("%s at %s: %v before, %v after, %v", name, suffix, before, after, err)
			}
		}
	}
}

// TestALogThatWasRemovedIsKeptInTheDatabaseAtOnce holds that a crash after it loses
// nothing.
func TestALogThatWasRemovedIsKeptInTheDatabaseAtOnce(t *testing.T) {
	b := open(t)
	b.must(b.tryPut(1))
	b.must(os.Remove(b.path + logSuffix))
	if err := b.tryPut(2); CauseOf(err) != CauseLost {
		t.Errorf("error %v", err)
	}
	b.await("the database has what was in the log", func() bool {
		_ = b.tryPut(2)                  // by then the writer is done with the first
		data, err := os.ReadFile(b.path) // SQLite's locks of this process may go: nothing else has the file
		b.must(err)
		crashed := &bench{t: t, path: filepath.Join(t.TempDir(), "products.db")}
		crashed.must(os.WriteFile(crashed.path, data, 0o600))
		crashed.reopen()
		_, err = crashed.s.Product(t.Context(), testShop, 1)
		crashed.must(crashed.s.Close())
		return err == nil
	})
}

// TestAnotherProgramMayShortenTheFiles holds what is no damage: a checkpoint that
// cuts the log, and a VACUUM.
func TestAnotherProgramMayShortenTheFiles(t *testing.T) {
	b := open(t)
	for id := range int64(50) {
		b.must(b.tryPut(id + 1))
	}
	for id := range int64(45) {
		b.want(deleteOf(id+1), Applied)
	}
	db := b.other()
	for _, sql := range []string{`PRAGMA wal_checkpoint(TRUNCATE)`, `VACUUM`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		_, err := db.Exec(sql)
		b.must(err)
		b.must(b.tryPut(100))
	}
	if h := b.s.Health(); h.Quarantined != "" || h.Cause != "" {
		t.Errorf("health %+v", h)
	}
}

// TestZerosBehindALogAreNoDamage has the log end in frames of zeros, as a power cut
// leaves them.
func TestZerosBehindALogAreNoDamage(t *testing.T) {
	b := open(t)
	b.must(b.tryPut(1))
	info, err := os.Stat(b.path + logSuffix)
	b.must(err)
	b.must(os.Truncate(b.path+logSuffix, info.Size()+50*frameBytes))
	for id := range int64(3) {
		b.must(b.tryPut(id + 2))
	}
	if h := b.s.Health(); h.Quarantined != "" || h.Cause != "" {
		t.Errorf("health %+v", h)
	}
}

// BenchmarkCheck is what the two looks of a group commit cost, once each.
func BenchmarkCheck(b *testing.B) {
	o := open(b)
	o.must(o.s.Close())
	o.reopen()
	for b.Loop() {
		if _, err := o.s.files.look(false); err != nil {
			b.Fatal(err)
		}
	}
}
