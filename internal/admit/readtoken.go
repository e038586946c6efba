package admit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"stockroom/internal/answer"
)

const (
	readTokenValues = "read-token" // namespace in the Keeper
	readTokensMost  = 100
	readTokenDay    = 24 * time.Hour // how far the use that is on disk may lag behind
)

// readTokenName is what a read-only token may be called.
var readTokenName = regexp.MustCompile(`^[a-z0-9._-]{1,40}$`)

// readToken is a named token that may only read. Of the token its SHA-256 is kept.
type readToken struct {
	Sum  string    `json:"sum"`
	Made time.Time `json:"made"`
	Used time.Time `json:"used,omitzero"` // to the day

	ctx context.Context // ends when it is removed
	end context.CancelFunc
}

// readTokens are the read-only tokens, in memory and in the Keeper.
type readTokens struct {
	keep Keeper

	mu     sync.Mutex
	byName map[string]*readToken
	bySum  map[string]string // names
}

func newReadTokens(keep Keeper, log *slog.Logger) *readTokens {
	rs := &readTokens{keep: keep, byName: map[string]*readToken{}, bySum: map[string]string{}}
	for _, name := range keep.Names(readTokenValues) {
		raw, _ := keep.Get(readTokenValues, name)
		one := new(readToken)
		if err := json.Unmarshal(raw, one); err != nil || len(one.Sum) != hex.EncodedLen(sha256.Size) {
			log.Warn("a read-only token could not be read, so it opens nothing; remove it and add it again", "name", name)
		}
		rs.put(name, one)
	}
	return rs
}

// put takes a token in. mu is held, or nobody else has rs yet.
func (rs *readTokens) put(name string, one *readToken) {
	one.ctx, one.end = context.WithCancel(context.Background())
	rs.byName[name], rs.bySum[one.Sum] = one, name
}

// find returns a context that ends with the token, and notes the day of its use.
func (rs *readTokens) find(now time.Time, sum [sha256.Size]byte) (context.Context, bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	name, ok := rs.bySum[hex.EncodeToString(sum[:])]
	if !ok {
		return nil, false
	}
	one := rs.byName[name]
	if day := now.UTC().Truncate(readTokenDay); day.After(one.Used) {
		one.Used = day
		if raw, err := json.Marshal(one); err == nil {
			rs.keep.Note(readTokenValues, name, raw)
		}
	}
	return one.ctx, true
}

// write stores a token. mu is held.
func (rs *readTokens) write(name string, one *readToken) error {
	raw, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return rs.keep.Put(readTokenValues, name, raw)
}

// add makes a token, which is told once and then forgotten.
func (rs *readTokens) add(now time.Time, name string) (token string, one *readToken, err error) {
	if !readTokenName.MatchString(name) {
		return "", nil, answer.Refuse(http.StatusUnprocessableEntity, "Not a name for a token",
			"A token's name has 1 to 40 small letters, digits, dots, hyphens or underscores, such as prometheus.")
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.byName[name] != nil {
		return "", nil, answer.Refuse(http.StatusConflict, "There is such a token",
			"There is a token "+name+" already. Take another name, or remove that one first with `stockroom token remove "+
				name+"`.")
	}
	if len(rs.byName) >= readTokensMost {
		return "", nil, answer.Refuse(http.StatusConflict, "Too many tokens",
			fmt.Sprintf("There are %d tokens, which is the most. Remove one with `stockroom token remove NAME`.", readTokensMost))
	}
	token = newSecret()
	sum := sha256.Sum256([]byte(token))
	one = &readToken{Sum: hex.EncodeToString(sum[:]), Made: now}
	if err := rs.write(name, one); err != nil {
		return "", nil, fmt.Errorf("add a token: %w", err)
	}
	rs.put(name, one)
	return token, one, nil
}

// ErrNoToken says that there is no token of a name.
var ErrNoToken = errors.New("there is no such token")

// remove ends a token at once, on open streams too.
func (rs *readTokens) remove(name string) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	one := rs.byName[name]
	if one == nil {
		return ErrNoToken
	}
	one.end()
	delete(rs.bySum, one.Sum)
	if err := rs.keep.Delete(readTokenValues, name); err != nil {
		return fmt.Errorf("remove a token: %w", err)
	}
	delete(rs.byName, name)
	return nil
}

// TokenView is a read-only token as it may be shown.
type TokenView struct {
	Name string     `json:"name"`
	Made time.Time  `json:"created_at"`
	Used *time.Time `json:"used_at"` // to the day; null for never
}

// list returns the tokens by name.
func (rs *readTokens) list() []TokenView {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	views := []TokenView{}
	for name, one := range rs.byName {
		v := TokenView{Name: name, Made: one.Made}
		if used := one.Used; !used.IsZero() {
			v.Used = &used
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b TokenView) int { return strings.Compare(a.Name, b.Name) })
	return views
}
