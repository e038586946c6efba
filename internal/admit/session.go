package admit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	sessionIdle     = 7 * 24 * time.Hour  // a session that was not used for so long is over
	sessionLife     = 30 * 24 * time.Hour // and so is one that began so long ago
	sessionsMost    = 50                  // at once; one more ends the one that was idle longest
	sessionNoted    = time.Hour           // how far the use that is on disk may lag behind
	sessionSkew     = time.Hour           // how far ahead of the clock a session may have begun
	sessionValues   = "session"           // namespace in the Keeper
	sessionAgentMax = 200                 // bytes of the browser's name that are kept
)

// SecretValues are the namespaces whose values let somebody in.
func SecretValues() []string { return []string{accountValues, sessionValues, readTokenValues} }

// Keeper keeps small values over a restart; state.db does. A namespace has no
// slash in its name.
type Keeper interface {
	Put(namespace, name string, value []byte) error
	// Note stores the new value of a name some time later, unless it is deleted then.
	Note(namespace, name string, value []byte)
	Get(namespace, name string) ([]byte, bool)
	Delete(namespace string, names ...string) error
	Names(namespace string) []string
}

// sessionKey is the SHA-256 of a session's id. Only it is kept: who reads
// state.db, or a copy of it, can't log in with what stands there.
type sessionKey [sha256.Size]byte

// name is what a session is called on the page and on disk.
func (k sessionKey) name() string { return hex.EncodeToString(k[:]) }

// session is one browser that is logged in.
type session struct {
	Began time.Time `json:"began"`
	Used  time.Time `json:"used"`
	// Mark is that of the password it was made under, "" for none. Another password
	// has another mark, so a change of password ends all sessions in the one write
	// that stores it.
	Mark  string `json:"mark"`
	From  string `json:"from"`            // address at the login
	Agent string `json:"agent,omitempty"` // the browser's User-Agent

	noted time.Time // Used as it is on disk
	ctx   context.Context
	end   context.CancelFunc
}

// over reports whether the session may not be used any more at now.
func (s *session) over(now time.Time) bool {
	return now.Sub(s.Used) > sessionIdle || now.Sub(s.Began) > sessionLife || s.Began.Sub(now) > sessionSkew
}

// sessions are those that exist, in memory and in the Keeper.
type sessions struct {
	keep Keeper
	log  *slog.Logger

	mu    sync.Mutex
	byKey map[sessionKey]*session
}

func newSessions(keep Keeper, log *slog.Logger) *sessions {
	s := &sessions{keep: keep, log: log, byKey: map[sessionKey]*session{}}
	for _, name := range keep.Names(sessionValues) {
		raw, ok := keep.Get(sessionValues, name)
		key, isKey := named(name)
		one := new(session)
		if !ok || !isKey || json.Unmarshal(raw, one) != nil {
			s.log.Warn("a session could not be read, it is over")
			continue
		}
		one.noted = one.Used
		one.ctx, one.end = context.WithCancel(context.Background())
		s.byKey[key] = one
	}
	return s
}

// begin makes a session and returns its id, which is told to the browser and
// then forgotten. One that can't be written lasts until the restart.
func (s *sessions) begin(now time.Time, mark, from, agent string) (id string) {
	id = newSecret()
	agent = strings.ToValidUTF8(agent[:min(len(agent), sessionAgentMax)], "")
	one := &session{Began: now, Used: now, Mark: mark, From: from, Agent: agent}
	one.ctx, one.end = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prune(now, mark)
	key := keyOf(id)
	s.byKey[key] = one
	if err := s.write(key, one); err != nil {
		s.log.Warn("a session can't be written, it ends with this process", "error", err.Error())
	}
	return id
}

func keyOf(id string) sessionKey { return sha256.Sum256([]byte(id)) }

// prune drops what is over or belongs to another password, and the session that
// was idle longest when there are too many. mu is held.
func (s *sessions) prune(now time.Time, mark string) {
	var gone []sessionKey
	var oldest sessionKey
	left := 0
	for key, one := range s.byKey {
		if one.over(now) || one.Mark != mark {
			gone = append(gone, key)
			continue
		}
		if left == 0 || one.Used.Before(s.byKey[oldest].Used) {
			oldest = key
		}
		left++
	}
	if left >= sessionsMost {
		gone = append(gone, oldest)
	}
	if err := s.drop(gone); err != nil {
		s.log.Warn("sessions that are over can't be removed from disk", "error", err.Error())
	}
}

// find returns the session with the id, made under the password with the mark,
// and notes that it was used.
func (s *sessions) find(now time.Time, id, mark string) (sessionKey, *session, bool) {
	key := keyOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.byKey[key]
	if !ok || one.Mark != mark || one.over(now) {
		return sessionKey{}, nil, false
	}
	if now.After(one.Used) {
		one.Used = now
	}
	if one.Used.Sub(one.noted) >= sessionNoted {
		one.noted = one.Used
		if raw, err := json.Marshal(one); err == nil {
			s.keep.Note(sessionValues, key.name(), raw)
		}
	}
	return key, one, true
}

// write stores a session. mu is held.
func (s *sessions) write(key sessionKey, one *session) error {
	one.noted = one.Used
	raw, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return s.keep.Put(sessionValues, key.name(), raw)
}

// drop ends sessions. They are over in this process whatever the error, which
// says that they would come back with the next one. mu is held.
func (s *sessions) drop(keys []sessionKey) error {
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		if one := s.byKey[key]; one != nil {
			one.end()
			delete(s.byKey, key)
		}
		names = append(names, key.name())
	}
	if len(names) == 0 {
		return nil
	}
	return s.keep.Delete(sessionValues, names...)
}

// ErrNoSession says that a session that should be ended is over already.
var ErrNoSession = errors.New("there is no such session")

// finish ends one session by its key.
func (s *sessions) finish(key sessionKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] == nil {
		return ErrNoSession
	}
	if err := s.drop([]sessionKey{key}); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// finishAll ends every session and returns how many there were.
func (s *sessions) finishAll(now time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []sessionKey
	n := 0
	for key, one := range s.byKey {
		keys = append(keys, key)
		if !one.over(now) {
			n++
		}
	}
	if err := s.drop(keys); err != nil {
		return n, fmt.Errorf("end sessions: %w", err)
	}
	return n, nil
}

// SessionView is a session as it may be shown. Its id can't be told from it.
type SessionView struct {
	Name  string    `json:"id"` // for ending it
	Began time.Time `json:"began_at"`
	Used  time.Time `json:"used_at"`
	Ends  time.Time `json:"ends_at"` // at the latest, when it is not used again
	From  string    `json:"from"`
	Agent string    `json:"agent,omitempty"`
	Own   bool      `json:"own"` // the one that asks
}

// list returns the sessions that can be used, newest use first.
func (s *sessions) list(now time.Time, mark string, own sessionKey) []SessionView {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := []SessionView{}
	for key, one := range s.byKey {
		if one.Mark != mark || one.over(now) {
			continue
		}
		ends := one.Used.Add(sessionIdle)
		if last := one.Began.Add(sessionLife); last.Before(ends) {
			ends = last
		}
		views = append(views, SessionView{
			Name: key.name(), Began: one.Began, Used: one.Used, Ends: ends, From: one.From, Agent: one.Agent, Own: key == own,
		})
	}
	slices.SortFunc(views, func(a, b SessionView) int {
		return cmp.Or(b.Used.Compare(a.Used), strings.Compare(a.Name, b.Name))
	})
	return views
}

// named returns the key of a session that goes by name in a list.
func named(name string) (sessionKey, bool) {
	raw, err := hex.DecodeString(name)
	if err != nil || len(raw) != sha256.Size {
		return sessionKey{}, false
	}
	return sessionKey(raw), true
}
