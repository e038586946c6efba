package admit

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"stockroom/internal/answer"
	"stockroom/internal/config"
)

// Account keeps the password of the status page.
type Account interface {
	// Mark names the password in force, "" when there is none. Another password
	// has another mark, the same one the same mark after a restart. It is told to
	// nobody.
	Mark() string
	// Verify reports whether text is the password. It may be slow.
	Verify(text string) bool
	// SetPassword and ClearPassword take effect at once and for good, or return
	// an error; an *answer.Refusal when the settings forbid it.
	SetPassword(text string) error
	ClearPassword() error
	// Fixed says which setting holds the password, so that it can't be changed
	// here; "" when none does.
	Fixed() string
}

// Where state.db keeps the hash of the password. That of the settings' password
// is kept too, so that its mark, and with it the sessions, outlive a restart.
const (
	accountValues   = "admin"
	ownPassword     = "password"
	settingPassword = "password-setting"
)

// account is the password of the status page: that of the settings, else the one
// that a person set, of which state.db keeps the hash.
type account struct {
	keep   Keeper
	log    *slog.Logger
	cost   argonCost
	fixed  string // the setting that holds the password, "" for none
	remote string // where other machines reach the admin side, so that there has to be a password
	by     string // the setting that says so

	changing sync.Mutex
	current  atomic.Pointer[credential] // never nil
}

// credential is the password in force. A nil hash that has a mark is one that
// can't be read: it is there, and nothing fits it.
type credential struct {
	hash *passwordHash
	mark string
}

// OpenAccount returns the account of a data dir.
func OpenAccount(keep Keeper, s config.Settings, log *slog.Logger) Account {
	a := &account{keep: keep, log: log, cost: loginCost()}
	a.remote, a.by = s.AdminElsewhere()
	if s.AdminPassword.IsSet() {
		a.fixed = s.Origin("STOCKROOM_ADMIN_PASSWORD")
		a.current.Store(a.fromSettings(s.AdminPassword.Reveal()))
		return a
	}
	a.current.Store(a.stored(ownPassword))
	return a
}

// stored is the password whose hash state.db keeps.
func (a *account) stored(name string) *credential {
	raw, ok := a.keep.Get(accountValues, name)
	if !ok {
		return &credential{}
	}
	hash, err := parsePasswordHash(string(raw))
	if err != nil {
		a.log.Error("the password's hash in state.db can't be read, so nobody can log in; " +
			"set a new one with stockroom password set")
		return &credential{mark: "unreadable"}
	}
	return &credential{hash, hash.mark()}
}

// fromSettings keeps the hash that is stored when it is that of the password:
// its mark is the same then.
func (a *account) fromSettings(text string) *credential {
	if old := a.stored(settingPassword); old.hash != nil && old.hash.verify(text) {
		return old
	}
	hash := hashPassword(text, a.cost)
	if err := a.keep.Put(accountValues, settingPassword, []byte(hash.text())); err != nil {
		a.log.Warn("the password's hash can't be stored, so sessions end with this process", "error", err.Error())
	}
	return &credential{hash, hash.mark()}
}

// Mark implements Account, as the methods below do.
func (a *account) Mark() string { return a.current.Load().mark }

func (a *account) Fixed() string { return a.fixed }

func (a *account) Verify(text string) bool {
	hash := a.current.Load().hash
	return hash != nil && hash.verify(text)
}

func (a *account) SetPassword(text string) error {
	if a.fixed != "" {
		return PasswordFixed(a.fixed)
	}
	hash := hashPassword(text, a.cost)
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.keep.Put(accountValues, ownPassword, []byte(hash.text())); err != nil {
		return fmt.Errorf("set the password: %w", err)
	}
	a.current.Store(&credential{hash, hash.mark()})
	return nil
}

func (a *account) ClearPassword() error {
	if a.fixed != "" {
		return PasswordFixed(a.fixed)
	}
	if a.remote != "" {
		return &answer.Refusal{Status: http.StatusConflict, Title: "A password is needed",
			Detail: "Other machines reach the status page at " + a.remote + ", which needs a password. " +
				"Take --" + a.by + " out of the settings first, or set another password with `stockroom password set`."}
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.keep.Delete(accountValues, ownPassword); err != nil {
		return fmt.Errorf("clear the password: %w", err)
	}
	a.current.Store(&credential{})
	return nil
}

// PasswordFixed says that a setting holds the password.
func PasswordFixed(setting string) *answer.Refusal {
	return &answer.Refusal{
		Status: http.StatusConflict, Title: "Declared by the environment", Code: answer.CodeDeclared,
		Detail: "The password comes from " + setting + ". Change it there and restart, " +
			"or remove that setting to keep a password here.",
	}
}
