package admit

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// memoryKeeper is a Keeper whose writes can fail.
type memoryKeeper struct {
	values map[string][]byte
	broken error
	writes int
}

func newMemoryKeeper() *memoryKeeper { return &memoryKeeper{values: map[string][]byte{}} }

func (k *memoryKeeper) Put(namespace, name string, value []byte) error {
	k.writes++
	if k.broken == nil {
		k.values[namespace+"/"+name] = slices.Clone(value)
	}
	return k.broken
}

func (k *memoryKeeper) Note(namespace, name string, value []byte) {
	if _, there := k.Get(namespace, name); there {
		_ = k.Put(namespace, name, value)
	}
}

func (k *memoryKeeper) Get(namespace, name string) ([]byte, bool) {
	v, ok := k.values[namespace+"/"+name]
	return v, ok
}

func (k *memoryKeeper) Delete(namespace string, names ...string) error {
	if k.broken == nil {
		for _, name := range names {
			delete(k.values, namespace+"/"+name)
		}
	}
	return k.broken
}

func (k *memoryKeeper) Names(namespace string) []string {
	var names []string
	for _, key := range slices.Sorted(maps.Keys(k.values)) {
		if name, ok := strings.CutPrefix(key, namespace+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

var sessionStart = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestASessionIsOverAfterIdleTimeOrAtItsAge(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		uses []time.Duration // after the login
		ok   bool            // at the last of them
	}{
		{"at once", []time.Duration{0}, true},
		{"a day later", []time.Duration{day}, true},
		{"after seven idle days", []time.Duration{7 * day}, true},
		{"a second beyond", []time.Duration{7*day + time.Second}, false},
		{"used in between", []time.Duration{6 * day, 12 * day}, true},
		{"used daily for thirty days", []time.Duration{6 * day, 12 * day, 18 * day, 24 * day, 30 * day}, true},
		{"used daily for longer", []time.Duration{6 * day, 12 * day, 18 * day, 24 * day, 30*day + time.Second}, false},
		{"an idle one does not come back", []time.Duration{8 * day, 8*day + time.Second}, false},
		{"the clock went back a little", []time.Duration{day, time.Minute}, true},
		{"the clock went back behind its begin", []time.Duration{-2 * time.Hour}, false},
	} {
		s := newSessions(newMemoryKeeper(), discard())
		id := s.begin(sessionStart, "m", "", "")
		ok := false
		for _, after := range tt.uses {
			_, _, ok = s.find(sessionStart.Add(after), id, "m")
		}
		if ok != tt.ok {
			t.Errorf("%s: usable %v, want %v", tt.name, ok, tt.ok)
		}
	}
}

func TestASessionIsKeptOnDiskAsAHashAndWrittenAtMostOnceAnHour(t *testing.T) {
	keep := newMemoryKeeper()
	s := newSessions(keep, discard())
	id := s.begin(sessionStart, "m", "192.0.2.1", strings.Repeat("x", 5000))
	for name, value := range keep.values {
		if strings.Contains(name, id) || strings.Contains(string(value), id) {
			t.Errorf("the session's id is on disk: %s %s", name, value)
		}
		if len(value) > 600 {
			t.Errorf("%d bytes for a session", len(value))
		}
	}
	for minute := range 180 {
		if _, _, ok := s.find(sessionStart.Add(time.Duration(minute)*time.Minute), id, "m"); !ok {
			t.Fatal("not found")
		}
	}
	if keep.writes != 3 {
		t.Errorf("%d writes in three hours of use", keep.writes)
	}
	again := newSessions(keep, discard())
	if _, one, ok := again.find(sessionStart.Add(7*24*time.Hour), id, "m"); !ok || one.From != "192.0.2.1" {
		t.Error("the session did not outlive the restart")
	}
	if _, _, ok := newSessions(keep, discard()).find(sessionStart, id, "another password"); ok {
		t.Error("the session outlived its password")
	}
	if _, _, ok := again.find(sessionStart, id, ""); ok {
		t.Error("a session is good although there is no password")
	}
}

func TestASessionThatCannotBeWrittenLastsUntilTheRestart(t *testing.T) {
	keep := newMemoryKeeper()
	keep.broken = errors.New("no space left")
	s := newSessions(keep, discard())
	id := s.begin(sessionStart, "m", "", "")
	if _, _, ok := s.find(sessionStart, id, "m"); !ok {
		t.Error("a full disk keeps people out")
	}
	key := keyOf(id)
	if err := s.finish(key); err == nil {
		t.Error("a session that could not be taken off the disk ended without a word")
	}
	if _, _, ok := s.find(sessionStart, id, "m"); ok {
		t.Error("a session that was ended goes on in this process")
	}
}

func TestDamagedSessionsAreOver(t *testing.T) {
	keep := newMemoryKeeper()
	good := newSessions(keep, discard()).begin(sessionStart, "m", "", "")
	name := keyOf("x").name()
	for _, bad := range []struct{ name, value string }{{name, "{"}, {"zz", "{}"}, {name[:10], "{}"}, {keyOf("y").name(), "null"}, {keyOf("z").name(), `{"began":"2200-01-01T00:00:00Z","used":"2200-01-01T00:00:00Z","mark":"m"}`}} {
		keep.values[sessionValues+"/"+bad.name] = []byte(bad.value)
	}
	s := newSessions(keep, discard())
	for _, id := range []string{"x", "y", "z", ""} {
		if _, _, ok := s.find(sessionStart, id, "m"); ok {
			t.Errorf("%q is a session", id)
		}
	}
	if _, _, ok := s.find(sessionStart, good, "m"); !ok {
		t.Error("the sound one is gone")
	}
}

func TestOneSessionTooManyEndsTheOneIdleLongest(t *testing.T) {
	keep := newMemoryKeeper()
	s := newSessions(keep, discard())
	var ids []string
	for i := range sessionsMost {
		ids = append(ids, s.begin(sessionStart.Add(time.Duration(i)*time.Second), "m", "", ""))
	}
	now := sessionStart.Add(time.Hour)
	s.find(now, ids[0], "m")
	ids = append(ids, s.begin(now, "m", "", ""))
	for i, id := range ids {
		if _, _, ok := s.find(now, id, "m"); ok != (i != 1) {
			t.Errorf("session %d: %v", i, ok)
		}
	}
	if n := len(keep.Names(sessionValues)); n != sessionsMost || len(s.list(now, "m", sessionKey{})) != sessionsMost {
		t.Errorf("%d sessions on disk", n)
	}
}

func TestSessionIDsAreLongAndNeverTwice(t *testing.T) {
	s := newSessions(newMemoryKeeper(), discard())
	seen := map[string]bool{}
	for range 500 {
		id := s.begin(sessionStart, "m", "", "")
		if len(id) != 43 || seen[id] { // 256 bits in base64
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// TestSessionsFollowAModel compares sessions, over restarts and failing writes,
// with a plain list of what should be usable.
func TestSessionsFollowAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep := newMemoryKeeper()
		s := newSessions(keep, discard())
		now, mark := sessionStart, "a"
		type known struct {
			began, used time.Time
			mark        string
		}
		model := map[string]*known{}
		alive := func(k *known) bool {
			return k.mark == mark && now.Sub(k.used) <= sessionIdle && now.Sub(k.began) <= sessionLife
		}
		var ids []string
		pick := func(t *rapid.T) string {
			if len(ids) == 0 {
				t.Skip("none yet")
			}
			return rapid.SampledFrom(ids).Draw(t, "id")
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(t *rapid.T) {
				if len(ids) >= sessionsMost {
					t.Skip("the most there may be")
				}
				id := s.begin(now, mark, "", "")
				for old, k := range model {
					if k.mark != mark {
						delete(model, old) // a password that was replaced does not come back
					}
				}
				ids = append(ids, id)
				model[id] = &known{now, now, mark}
			},
			"use": func(t *rapid.T) {
				id := pick(t)
				_, _, ok := s.find(now, id, mark)
				k := model[id]
				if want := k != nil && alive(k); ok != want {
					t.Fatalf("usable %v, want %v", ok, want)
				}
				if ok {
					k.used = now
				}
			},
			"finish": func(t *rapid.T) {
				id := pick(t)
				err := s.finish(keyOf(id))
				if err != nil && !errors.Is(err, ErrNoSession) {
					t.Fatal(err)
				}
				delete(model, id)
			},
			"finish all": func(t *rapid.T) {
				if _, err := s.finishAll(now); err != nil {
					t.Fatal(err)
				}
				clear(model)
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 5*24).Draw(t, "hours")) * time.Hour)
			},
			"password": func(t *rapid.T) { mark = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "mark") },
			"restart": func(*rapid.T) {
				s = newSessions(keep, discard())
				// Uses of the last hour may not be on disk; the model takes what is.
				for key, raw := range keep.values {
					var one session
					if err := json.Unmarshal(raw, &one); err != nil {
						panic(err)
					}
					for id, k := range model {
						if key == sessionValues+"/"+keyOf(id).name() {
							if lag := k.used.Sub(one.Used); lag < 0 || lag >= sessionNoted {
								panic("the use on disk lags by " + lag.String())
							}
							k.used = one.Used
						}
					}
				}
			},
			"": func(t *rapid.T) {
				n := 0
				for id, k := range model {
					if alive(k) {
						n++
					} else if k.mark == mark {
						delete(model, id) // over for good
					}
				}
				if got := len(s.list(now, mark, sessionKey{})); got != n {
					t.Fatalf("%d sessions listed, want %d", got, n)
				}
			},
		})
	})
}
