package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"
)

// other opens the file as another program would.
func (b *bench) other() *sql.DB {
	b.t.Helper()
	db, err := sql.Open("sqlite", "file:"+b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.t.Cleanup(func() { db.Close() })
	return db
}

func TestALockedFileIsATransientCause(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	db := b.other()
	if _, err := db.Exec(`BEGIN EXCLUSIVE`); err != nil {
		t.Fatal(err)
	}
	c := upsertOf(product(1, "v2", 20_000, "1"))
	_, err := b.s.Apply(context.Background(), b.delivery(c), c)
	var u *UnavailableError
	if !errors.As(err, &u) || u.Cause != CauseLocked || !u.Transient || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("error %v, want locked and transient", err)
	}
	if h := b.s.Health(); h.Cause != CauseLocked || h.Since.IsZero() {
		t.Errorf("health %+v", h)
	}
	if _, err := db.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	b.want(c, Applied)
	if h := b.s.Health(); h.Cause != "" {
		t.Errorf("health %+v after it healed", h)
	}
}

func TestAnotherProgramReadsWhileWeWrite(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	var title, check string
	db := b.other()
	if err := db.QueryRow(`SELECT title FROM products`).Scan(&title); err != nil || title != "Shirt v1" {
		t.Errorf("title %q, %v", title, err)
	}
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity %q, %v", check, err)
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
}

func TestTheFilesArePrivate(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(b.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("products.db%s has mode %o", suffix, info.Mode().Perm())
		}
	}
}

func TestDamageIsMovedAsideAndSoundProductsAreTakenOver(t *testing.T) {
	for name, damage := range map[string]func(data []byte) []byte{
		"header":      func(d []byte) []byte { copy(d, strings.Repeat("\x00", 100)); return d },
		"empty":       func([]byte) []byte { return nil },
		"garbage":     func(d []byte) []byte { return []byte(strings.Repeat("not a database ", 1000)) },
		"schema page": func(d []byte) []byte { copy(d[100:], strings.Repeat("\xff", 900)); return d },
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
			seq := b.s.LastSeq()
			if err := b.s.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(b.path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(b.path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			b.reopen(func(o *Options) { o.Watermark = seq })
			h := b.s.Health()
			if h.Quarantined == "" || h.Behind == 0 {
				t.Fatalf("health %+v, want a quarantine and the missing changes", h)
			}
			if _, err := os.Stat(h.Quarantined); err != nil {
				t.Errorf("the damaged file is gone: %v", err)
			}
			b.want(upsertOf(product(2, "v1", 10_000, "1")), Applied)
			if b.s.LastSeq() <= seq {
				t.Errorf("seq %d after %d: the feed went back", b.s.LastSeq(), seq)
			}
		})
	}
}

func TestDamageFoundWhileRunningKeepsEverySoundProduct(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 120; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1", "2")), Applied)
	}
	b.want(deleteOf(120), Applied)
	if err := b.s.PutShop(t.Context(), Shop{Shop: testShop, MerchantID: "m1"}); err != nil {
		t.Fatal(err)
	}
	b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{500}})
	// The writer meets the damage in the middle of a change.
	b.fail(func(at string) error {
		if at == "before journal" {
			return &UnavailableError{Cause: CauseDamaged, Err: errors.New("malformed")}
		}
		return nil
	})
	c := upsertOf(product(1, "v2", 20_000, "1"))
	d := b.delivery(c)
	if _, err := b.s.Apply(context.Background(), d, c); CauseOf(err) != CauseDamaged {
		t.Fatalf("error %v, want damaged", err)
	}
	b.fail(nil)
	b.deliver(d, c)
	<-b.s.salvaged
	if h := b.s.Health(); h.Quarantined == "" || h.Salvaged != 118 && h.Salvaged != 119 {
		t.Errorf("health %+v, want 118 products taken over", h)
	}
	b.title(1, "Shirt v2")
	b.title(77, "Shirt v1")
	b.want(upsertOf(product(120, "v9", 90_000, "1")), Stale)
	b.want(upsertOf(product(500, "v1", 10_000, "1")), Ignored)
	if !slices.ContainsFunc(b.wanted(), func(w Wanted) bool { return w.Kind == WantSync }) {
		t.Errorf("no full sync is wanted: %v", b.wanted())
	}
}

// On a full disk, for example, the fresh file can only be made later. What was
// in force and what was sound must not be forgotten until then.
func TestAReplacementThatCannotBeMadeYetIsMadeLater(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 5; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1")), Applied)
	}
	if err := b.s.PutShop(t.Context(), Shop{Shop: testShop}); err != nil {
		t.Fatal(err)
	}
	b.selection(catalog.Selection{Mode: catalog.SelectAll, Exclude: []int64{500}})
	obstacle := filepath.Join(b.path+".new", "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	b.fail(func(at string) error {
		if at == "before journal" {
			return &UnavailableError{Cause: CauseDamaged, Err: errors.New("malformed")}
		}
		return nil
	})
	c := upsertOf(product(1, "v2", 20_000, "1"))
	d := b.delivery(c)
	if _, err := b.s.Apply(t.Context(), d, c); CauseOf(err) != CauseDamaged {
		t.Fatalf("error %v, want damaged", err)
	}
	b.fail(nil)
	if _, err := b.s.Apply(t.Context(), d, c); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("error %v, want unavailable while no file can be made", err)
	}
	if err := os.RemoveAll(b.path + ".new"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		_, err := b.s.Apply(t.Context(), d, c)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	<-b.s.salvaged
	b.title(5, "Shirt v1")
	b.want(upsertOf(product(500, "v1", 10_000, "1")), Ignored)
}

func TestAFileOfANewerVersionIsRefused(t *testing.T) {
	b := open(t)
	if err := b.s.Note(t.Context(), `{"version":"9.8.7"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.other().Exec(`PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), Options{Path: b.path})
	if _, ok := errors.AsType[*folder.NewerError](err); !ok || !strings.Contains(err.Error(), "products.db was written by Stockroom 9.8.7") {
		t.Errorf("error %v", err)
	}
}

func TestAStoreBehindItsWatermarkSaysSo(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	b.reopen(func(o *Options) { o.Watermark = 5 })
	if h := b.s.Health(); h.Behind != 4 {
		t.Errorf("behind %d, want 4", h.Behind)
	}
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	if b.s.LastSeq() != 6 {
		t.Errorf("seq %d, want one after the watermark", b.s.LastSeq())
	}
}

func TestACopyIsWholeWhileWritesGoOn(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 50; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1", "2")), Applied)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	done := make(chan error, 1)
	var told int64
	go func() {
		var err error
		told, err = b.s.CopyTo(context.Background(), path)
		done <- err
	}()
	for id := int64(51); id <= 80; id++ {
		b.want(upsertOf(product(id, "v1", 10_000, "1", "2")), Applied)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var products, variants int
	var check string
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM products), (SELECT count(*) FROM variants)`).Scan(&products, &variants); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRow(`PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
		t.Errorf("integrity %q, %v", check, err)
	}
	if products < 50 || variants != 2*products || told != int64(products) {
		t.Errorf("%d products with %d variants, %d told", products, variants, told)
	}
	if _, err := b.s.CopyTo(context.Background(), path); err == nil {
		t.Error("a copy overwrote an existing file")
	}
}

func TestOldRowsAreDroppedAndTheNewestStays(t *testing.T) {
	b := open(t)
	for id := int64(1); id <= 700; id++ {
		b.want(deleteOf(id), Applied)
	}
	b.want(upsertOf(product(1000, "v1", 10_000, "1")), Applied)
	n, err := b.s.Prune(context.Background(), time.Now().Add(1000*time.Hour))
	if err != nil || n != 700 {
		t.Fatalf("pruned %d (%v), want all journal rows but the newest", n, err)
	}
	b.reopen()
	b.want(upsertOf(product(1000, "v2", 20_000, "1")), Applied)
	rows, err := b.s.Deliveries(context.Background(), "", 0, 10)
	if err != nil || len(rows) != 2 || rows[0].ID != 702 {
		t.Errorf("journal %v, %v", rows, err)
	}
}

func TestExplainTellsWhoWroteAProductAndWhatWasIgnored(t *testing.T) {
	b := open(t)
	b.want(upsertOf(product(1, "v2", 20_000, "1")), Applied)
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Stale)
	e, err := b.s.Explain(context.Background(), testShop, 1)
	if err != nil {
		t.Fatal(err)
	}
	if e.WrittenBy == nil || e.WrittenBy.Outcome != Applied || len(e.Deliveries) != 2 || e.Deliveries[0].Error == nil {
		t.Errorf("explanation %+v", e)
	}
	if _, err := b.s.Explain(context.Background(), testShop, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown product: %v", err)
	}
}

func TestAClosedStoreRefusesAndDoesNotHang(t *testing.T) {
	b := open(t)
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	c := upsertOf(product(1, "v1", 10_000, "1"))
	if _, err := b.s.Apply(context.Background(), b.delivery(c), c); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if _, err := b.s.Product(context.Background(), testShop, 1); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read error %v", err)
	}
}

// The file is an older one when it is opened again, as after its log was replaced
// while no connection was open. The watermark need not have been noted yet, so a kill
// right after that must not hide it.
func TestChangesThatAreLostWhileInUseAreAskedForInTheFileItself(t *testing.T) {
	b := open(t)
	b.must(b.s.PutShop(t.Context(), Shop{Shop: testShop, State: "active"}))
	b.must(b.tryPut(1))
	b.reopen() // all of it is in the database
	old, err := os.ReadFile(b.path)
	b.must(err)
	b.must(b.tryPut(2))
	var once sync.Once
	b.fail(func(point string) (err error) {
		switch point {
		case "before commit":
			once.Do(func() { err = &UnavailableError{Cause: CauseIO, Err: syscall.EIO} })
		case "before open":
			err = os.WriteFile(b.path, old, 0o600)
			for _, suffix := range suffixes[1:] {
				_ = os.Remove(b.path + suffix)
			}
		}
		return err
	})
	if err := b.tryPut(3); CauseOf(err) != CauseIO {
		t.Fatalf("error %v", err)
	}
	b.await("the file is opened again", func() bool { return b.tryPut(4) == nil })
	b.fail(nil)
	if h := b.s.Health(); h.Behind == 0 {
		t.Errorf("health %+v", h)
	}
	b.reopen()
	if list := b.wanted(); !slices.ContainsFunc(list, func(w Wanted) bool { return w.Kind == WantSync && w.Shop == testShop }) {
		t.Errorf("nobody is asked for what was lost: %+v", list)
	}
}

// SQLite would put a journal into whatever has the name of its database.
func TestTheJournalOfADatabaseThatIsGoneIsNotPutIntoTheNext(t *testing.T) {
	b := open(t)
	if err := b.s.Close(); err != nil {
		t.Fatal(err)
	}
	hot, err := sql.Open("sqlite", "file:"+b.path+"?_pragma=journal_mode(DELETE)&_pragma=cache_size(1)")
	if err != nil {
		t.Fatal(err)
	}
	hot.SetMaxOpenConns(1)
	for _, text := range []string{
		`CREATE TABLE old (x)`, `BEGIN`, `CREATE TABLE open (x)`,
		`WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300) INSERT INTO open SELECT randomblob(3000) FROM n`,
	} {
		if _, err := hot.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	journal, err := os.ReadFile(b.path + "-journal")
	if err := errors.Join(err, hot.Close(), os.Remove(b.path), os.WriteFile(b.path+"-journal", journal, 0o600)); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	b.want(upsertOf(product(1, "v1", 10_000, "1")), Applied)
	var old, sound any
	if err := b.other().QueryRow(`SELECT count(*) FROM sqlite_schema WHERE name = 'old'`).Scan(&old); err != nil || old != int64(0) {
		t.Errorf("%v tables of the old database, %v", old, err)
	}
	if err := b.other().QueryRow(`PRAGMA integrity_check`).Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity %v, %v", sound, err)
	}
	aside, err := filepath.Glob(b.path + ".damaged-*-journal")
	if err != nil || len(aside) != 1 {
		t.Errorf("moved aside: %q, %v", aside, err)
	}
}
