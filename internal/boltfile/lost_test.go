package boltfile

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/folder"
)

// losses are what somebody can do to an open file; want says what it
// is for us.
var losses = []struct {
	name string
	want string // removed, lost, damaged, or nothing
	take func(t *testing.T, dir, spare string)
}{
	{"removed", "removed", func(t *testing.T, dir, _ string) { must(t, os.Remove(dir+"/queue.db")) }},
	{"replaced by a sound file", "lost", func(t *testing.T, dir, spare string) {
		must(t, os.Rename(spare+"/queue.db", dir+"/queue.db"))
	}},
	{"replaced by garbage", "lost", func(t *testing.T, dir, spare string) {
		must(t, os.WriteFile(spare+"/garbage", []byte("garbage"), 0o600), os.Rename(spare+"/garbage", dir+"/queue.db"))
	}},
	{"replaced by a link", "lost", func(t *testing.T, dir, spare string) {
		must(t, os.Remove(dir+"/queue.db"), os.Symlink(spare+"/queue.db", dir+"/queue.db"))
	}},
	{"truncated to nothing", "damaged", func(t *testing.T, dir, _ string) { must(t, os.Truncate(dir+"/queue.db", 0)) }},
	{"truncated to a part", "damaged", func(t *testing.T, dir, _ string) { must(t, os.Truncate(dir+"/queue.db", 2*pageSize)) }},
	{"folder moved", "lost", func(t *testing.T, dir, _ string) { must(t, os.Rename(dir, dir+".old")) }},
	{"folder moved, another in its place", "lost", func(t *testing.T, dir, spare string) {
		must(t, os.Rename(dir, dir+".old"), os.Rename(spare, dir))
	}},
	{"lock removed", "lost", func(t *testing.T, dir, _ string) { must(t, os.Remove(dir+"/lock")) }},
	{"given a second name", "", func(t *testing.T, dir, spare string) {
		must(t, os.Link(dir+"/queue.db", spare+"/snapshot"))
	}},
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// contents are all files below dir with what they hold; of the open one only the
// name, which is to keep what is committed.
func contents(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("ours")) {
			text = nil
		}
		all = append(all, strings.TrimPrefix(path, dir)+" "+string(text))
		return err
	}))
	return all
}

// Whatever becomes of name and folder of an open file, before a commit or between
// it and the answer: what was acknowledged is in the file that the name leads to
// afterwards, or an error says that it is not known to be, and then nothing is
// done to what is there instead.
func TestAFileThatIsLostIsPutBackOrLeftToWhatTookItsPlace(t *testing.T) {
	for _, l := range losses {
		for _, between := range []bool{false, true} {
			name := l.name + map[bool]string{false: ", before a commit", true: ", between commit and answer"}[between]
			t.Run(name, func(t *testing.T) {
				base := t.TempDir()
				dir, spare := base+"/data", base+"/spare"
				must(t, os.Mkdir(dir, 0o700), os.Mkdir(spare, 0o700), os.WriteFile(dir+"/lock", nil, 0o600))
				writeSample(t, spare+"/queue.db", rand.New(rand.NewPCG(1, 1)))
				home, err := folder.Open(dir)
				must(t, err)
				defer home.Close()
				lock, err := home.Open("lock", os.O_RDWR)
				must(t, err, home.Hold("lock", lock))
				defer lock.Close()
				var log bytes.Buffer
				armed := false
				o := mustOpen(t, dir+"/queue.db", Options{Folder: home, Logger: slog.New(slog.NewTextHandler(&log, nil)),
					fault: func(step string) error {
						if armed && step == "update: before answer" {
							armed = false
							l.take(t, dir, spare)
						}
						return nil
					}})
				put := func(key string) func(tx *bbolt.Tx) error {
					return func(tx *bbolt.Tx) error {
						b, err := tx.CreateBucketIfNotExists([]byte("ours"))
						if err != nil {
							return err
						}
						return b.Put([]byte(key), bytes.Repeat([]byte("ours"), 9000))
					}
				}
				update(t, o, put("acknowledged"))
				if armed = between; !between {
					l.take(t, dir, spare)
				}
				before := contents(t, base)
				began := false
				err = o.Update(func(tx *bbolt.Tx) error { began = true; return put("new")(tx) })
				if began != (between || l.want == "") {
					t.Errorf("the change was made: %t", began)
				}
				if between {
					before = contents(t, base)
				}
				acknowledged := []string{"acknowledged"}
				switch {
				case err == nil && (l.want == "" || l.want == "damaged" && between):
					acknowledged = append(acknowledged, "new") // truncated later than we look
				case err == nil || l.want == "":
					t.Fatalf("update: %v", err)
				case Removed(err) != (l.want == "removed") || Lost(err) != (l.want == "lost") || errors.Is(err, ErrDamaged) != (l.want == "damaged"):
					t.Fatalf("update: %v, want %s", err, l.want)
				}
				switch l.want {
				case "lost":
					for _, f := range []func() (Opened, error){o.rewrite, o.reopen} {
						if _, err := f(); !Lost(err) {
							t.Errorf("got %v", err)
						}
					}
					if err := o.View(func(tx *bbolt.Tx) error {
						if tx.Bucket([]byte("ours")).Get([]byte("acknowledged")) == nil {
							t.Error("a record is gone")
						}
						return nil
					}); err != nil {
						t.Errorf("what is open can't be read: %v", err)
					}
					if l.name == "folder moved" { // once lost is lost for good
						must(t, os.Rename(dir+".old", dir))
						if err := o.Update(put("new")); !Lost(err) {
							t.Errorf("the folder came back: %v", err)
						}
						must(t, os.Rename(dir, dir+".old"))
					}
					if err := o.Close(); Lost(err) != strings.HasPrefix(l.name, "replaced") || err != nil && !Lost(err) {
						t.Errorf("close: %v", err)
					}
					if got := contents(t, base); !slices.Equal(got, before) {
						t.Errorf("the files were changed:\n%q\nwere\n%q", got, before)
					}
					said := strings.Contains(log.String(), "another file has taken the place of queue.db")
					if said != strings.HasPrefix(l.name, "replaced") {
						t.Errorf("the log says: %s", log.String())
					}
					return
				case "removed":
					if o, err = o.rewrite(); err != nil {
						t.Fatal(err)
					}
					if !strings.Contains(log.String(), "queue.db was removed while Stockroom ran; it was put back with all that it held") {
						t.Errorf("the log says: %s", log.String())
					}
				case "damaged":
					if between && o.Update(put("later")) == nil {
						t.Fatal("the damage was not met")
					}
					if o, err = o.reopen(); err != nil || o.Quarantined == "" || !o.Fresh {
						t.Fatalf("reopen: %+v, %v", o, err)
					}
					acknowledged = nil
				}
				must(t, o.View(func(tx *bbolt.Tx) error {
					for _, key := range acknowledged {
						if tx.Bucket([]byte("ours")).Get([]byte(key)) == nil {
							t.Errorf("%s is gone", key)
						}
					}
					return nil
				}))
				requireUsable(t, o, dir+"/queue.db", rand.New(rand.NewPCG(2, 2)))
			})
		}
	}
}

// Something takes the name of a removed file while its copy is made.
func TestAFileThatIsPutBackTakesTheNameFromNobody(t *testing.T) {
	path := boltPath(t)
	o := mustOpen(t, path, Options{fault: func(step string) error {
		if step == "rewrite: before rename" {
			return os.WriteFile(path, []byte("theirs"), 0o600)
		}
		return nil
	}})
	must(t, os.Remove(path))
	if _, err := o.rewrite(); !Lost(err) {
		t.Errorf("got %v", err)
	}
	if err := o.Close(); !Lost(err) {
		t.Errorf("close: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "theirs" {
		t.Errorf("the other file holds %q, %v", text, err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
}

// A damaged file that is replaced before it is set aside stays where it is.
func TestQuarantineRenamesOnlyWhatWasFoundDamaged(t *testing.T) {
	path := boltPath(t)
	o := mustOpen(t, path, Options{})
	defer o.Close()
	id := o.h.id
	must(t, os.Remove(path))
	if _, err := o.h.quarantine(id, time.Now()); !Removed(err) {
		t.Errorf("nothing: %v", err)
	}
	must(t, os.WriteFile(path, []byte("theirs"), 0o600))
	if _, err := o.h.quarantine(id, time.Now()); !Lost(err) {
		t.Errorf("another file: %v", err)
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"queue.db"}) {
		t.Errorf("the folder holds %v", got)
	}
}
