package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/boltfile"
	"stockroom/internal/status"
	"stockroom/queue"
)

// A file that is removed or replaced under a server to which nobody writes is put
// back or said within 5 s.
// TestACatalogueThatWasTakenAwayIsKnownAtTheNextStart: another log may have in it a
// change as new as the newest that was noted.
func TestACatalogueThatWasTakenAwayIsKnownAtTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpaceRig(t, "0")
		_, stop := r.Work(t.Context())
		log := r.dir.File("products.db-wal")
		for _, to := range []string{log + ".away", log} {
			if err := os.Rename(map[bool]string{true: log + ".away", false: log}[to == log], to); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if lost := r.state.Watermark().Lost; lost != (to != log) {
				t.Errorf("moved to %s: noted as lost: %t", filepath.Base(to), lost)
			}
		}
		if err := errors.Join(os.WriteFile(log+".other", []byte("theirs"), 0o600), os.Rename(log+".other", log)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if err := errors.Join(stop(), r.Close()); err != nil {
			t.Fatal(err)
		}
		for _, start := range []string{"first", "second"} {
			again, err := Open(t.Context(), Options{Settings: r.opt.Settings, Manual: true})
			if err != nil {
				t.Fatal(err)
			}
			said := slices.ContainsFunc(again.notices(), func(n status.Notice) bool {
				return strings.Contains(n.Text, "A file of products.db was removed or replaced by another program before the last stop")
			})
			if said != (start == "first") {
				t.Errorf("the %s start says so: %t", start, said)
			}
			if n := again.store.LastSeq(); n != 0 {
				t.Errorf("the feed goes on behind %d, which no change has", n)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAnOpenFileThatIsTakenAwayIsPutBackOrSaidWithoutAWrite(t *testing.T) {
	for _, name := range []string{"queue.db", "state.db"} {
		for _, replaced := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				r := newSpaceRig(t, "0")
				_, stop := r.Work(t.Context())
				time.Sleep(time.Second)
				path := r.dir.File(name)
				err := os.Remove(path)
				if replaced {
					err = errors.Join(err, os.WriteFile(path, []byte("theirs"), 0o600))
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				a := r.status.Read(t.Context(), time.Now())
				said := slices.ContainsFunc(a.Lines, func(l status.Line) bool {
					return l.Code == "file-taken" && strings.Contains(l.Text.Text(a.Now), name)
				})
				_, _, failed := r.queue.Enqueue(t.Context(), queue.NewJob{Kind: "test"})
				if said != replaced || boltfile.Lost(failed) != (replaced && name == "queue.db") {
					t.Errorf("%s, replaced: %t: the account says so: %t, a job: %v", name, replaced, said, failed)
				}
				if err := errors.Join(stop(), r.Close()); boltfile.Lost(err) != replaced || err != nil && !replaced {
					t.Errorf("%s, replaced: %t: stop: %v", name, replaced, err)
				}
				text, err := os.ReadFile(path)
				if err != nil || replaced != (string(text) == "theirs") {
					t.Errorf("%s, replaced: %t: it holds %d bytes, %v", name, replaced, len(text), err)
				}
				want := map[bool]string{false: "was removed while Stockroom ran; it was put back", true: "another file has taken the place of " + name}[replaced]
				if n := strings.Count(r.log.String(), want); n != 1 {
					t.Errorf("%s, replaced: %t: the log says %d times %q:\n%s", name, replaced, n, want, r.log.String())
				}
			})
		}
	}
}
