package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/internal/folder"
)

// Watermark is how far the catalogue's change feed had come at an instant.
type Watermark struct {
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
	// Lost: a name of the catalogue's files led elsewhere since, so that the next
	// start may open another file there, with a change as new in it.
	Lost bool `json:"lost,omitempty"`
}

// RaiseWatermark notes that the change seq is in the catalogue. A lower one
// than what is noted changes nothing.
func (s *Store) RaiseWatermark(seq int64, at time.Time) error {
	return s.write(func(b *batch) error {
		if was := s.marks.rows[changeMark]; seq > was.Seq {
			put(b, s.marks, changeMark, Watermark{Seq: seq, At: millis(at), Lost: was.Lost})
		}
		return nil
	})
}

// NoteCatalogueLost notes that the catalogue's files were taken away, or are there
// again.
func (s *Store) NoteCatalogueLost(lost bool) error {
	return s.write(func(b *batch) error {
		if mark := s.marks.rows[changeMark]; mark.Lost != lost {
			mark.Lost = lost
			put(b, s.marks, changeMark, mark)
		}
		return nil
	})
}

// Watermark returns the newest change that was noted; zero: none was. A
// catalogue whose newest change is older has lost something.
func (s *Store) Watermark() Watermark {
	mark, _ := row(s, s.marks, changeMark)
	return mark
}

// Run is the last run of a schedule.
type Run struct {
	Shop        string    `json:"shop,omitempty"` // "" for a schedule of no shop
	Name        string    `json:"name"`
	Started     time.Time `json:"started"`
	Finished    time.Time `json:"finished,omitzero"` // zero while it runs, or when the process ended during it
	OK          bool      `json:"ok"`
	Error       string    `json:"error,omitempty"`
	LastSuccess time.Time `json:"last_success,omitzero"` // when a run last finished well
}

// runKey is a run's key; no shop's domain has a slash in it.
func runKey(shop, name string) string { return shop + "/" + name }

// RunStarted notes that a schedule's run begins.
func (s *Store) RunStarted(shop, name string, at time.Time) error {
	return s.write(func(b *batch) error {
		key := runKey(shop, name)
		put(b, s.runs, key, Run{Shop: shop, Name: name, Started: millis(at), LastSuccess: s.runs.rows[key].LastSuccess})
		return nil
	})
}

// RunFinished notes how the run ended; failed is "" when it went well.
func (s *Store) RunFinished(shop, name string, at time.Time, failed string) error {
	return s.write(func(b *batch) error {
		key := runKey(shop, name)
		r := s.runs.rows[key]
		r.Shop, r.Name, r.Finished, r.OK, r.Error = shop, name, millis(at), failed == "", failed
		if r.OK {
			r.LastSuccess = r.Finished
		}
		put(b, s.runs, key, r)
		return nil
	})
}

// Run returns the last run of a schedule; false: it never ran.
func (s *Store) Run(shop, name string) (Run, bool) {
	return row(s, s.runs, runKey(shop, name))
}

// maxValue bounds one value of Put, in bytes: all of them are kept in memory.
const maxValue = 64 << 10

// Put stores a small value under a name of a namespace, such as the hash of the
// admin password. A namespace has no slash in its name.
func (s *Store) Put(namespace, name string, value []byte) error {
	if namespace == "" || name == "" || strings.Contains(namespace, "/") {
		return fmt.Errorf("store value: %q and %q are no names", namespace, name)
	}
	if len(value) > maxValue {
		return fmt.Errorf("store value %s/%s: %d bytes are too many", namespace, name, len(value))
	}
	value = slices.Clone(value)
	return s.write(func(b *batch) error {
		put(b, s.values, namespace+"/"+name, value)
		return nil
	})
}

// Note is Put for what nobody may wait for: the new value of a name that has one is
// stored some time later, or not at all when the name was deleted meanwhile.
func (s *Store) Note(namespace, name string, value []byte) {
	key := namespace + "/" + name
	go func() {
		err := s.write(func(b *batch) error {
			if _, there := s.values.rows[key]; there {
				put(b, s.values, key, value)
			}
			return nil
		})
		if err != nil {
			s.logger.Debug("a note can't be stored", "namespace", namespace, "error", err.Error())
		}
	}()
}

// Where the program notes which version it is, among other things: a *folder.NewerError
// has that value.
const (
	NotedIn = "backup"
	NotedAs = "ends"
)

// newer turns what a record of a newer version is answered with into what is said of
// the file.
func newer(tx *bbolt.Tx, err error) error {
	if !errors.Is(err, boltfile.ErrNewer) {
		return err
	}
	var noted []byte
	if b := tx.Bucket([]byte(rootBucket)).Bucket([]byte(valuesTable)); b != nil {
		key := []byte(NotedIn + "/" + NotedAs)
		content, _ := boltfile.Unseal(valuesTable, key, b.Get(key))
		_ = json.Unmarshal(content, &noted) // what can't be read names no version
	}
	return &folder.NewerError{File: "state.db", Noted: noted}
}

// Get returns a value; false: there is none.
func (s *Store) Get(namespace, name string) ([]byte, bool) {
	v, ok := row(s, s.values, namespace+"/"+name)
	return slices.Clone(v), ok
}

// Delete removes values; names that have none are fine. They go together.
func (s *Store) Delete(namespace string, names ...string) error {
	return s.write(func(b *batch) error {
		for _, name := range names {
			drop(b, s.values, namespace+"/"+name)
		}
		return nil
	})
}

// Names returns the names that have a value in a namespace, sorted.
func (s *Store) Names(namespace string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for key := range s.values.rows {
		if name, ok := strings.CutPrefix(key, namespace+"/"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
