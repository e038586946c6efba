package appliance

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"stockroom/config"
	"stockroom/state"
	"stockroom/web"
)

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
	keep   *state.Store
	log    *slog.Logger
	cost   argonCost
	fixed  string // the setting that holds the password, "" for none
	remote string // the admin listener's address when other machines reach it, so that there has to be a password

	changing sync.Mutex
	current  atomic.Pointer[credential] // never nil
}

// credential is the password in force. A nil hash that has a mark is one that
// can't be read: it is there, and nothing fits it.
type credential struct {
	hash *passwordHash
	mark string
}

func openAccount(keep *state.Store, s config.Settings, cost argonCost, log *slog.Logger) *account {
	a := &account{keep: keep, log: log, cost: cost}
	if !s.AdminOnLoopback() {
		a.remote = s.AdminListen
	}
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
		a.log.Error("the password's hash in state.db can't be read, so nobody can log in; set a new one with stockroom password set")
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

// Mark implements web.Account, as the methods below do.
func (a *account) Mark() string { return a.current.Load().mark }

func (a *account) Fixed() string { return a.fixed }

func (a *account) Verify(text string) bool {
	hash := a.current.Load().hash
	return hash != nil && hash.verify(text)
}

func (a *account) SetPassword(text string) error {
	if a.fixed != "" {
		return web.PasswordFixed(a.fixed)
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
		return web.PasswordFixed(a.fixed)
	}
	if a.remote != "" {
		return &web.Refusal{Status: http.StatusConflict, Title: "A password is needed",
			Detail: "Other machines reach the status page at " + a.remote + ", which needs a password. Set --admin-listen to a loopback address first, or set another password with `stockroom password set`."}
	}
	a.changing.Lock()
	defer a.changing.Unlock()
	if err := a.keep.Delete(accountValues, ownPassword); err != nil {
		return fmt.Errorf("clear the password: %w", err)
	}
	a.current.Store(&credential{})
	return nil
}

// HasPassword reports whether the status page has a password.
func (a *Appliance) HasPassword() bool { return a.account.Mark() != "" }

// NewLoginLink returns a link to the status page under the admin side's base
// address, and until when it is good. It works once.
func (a *Appliance) NewLoginLink(base string) (link string, until time.Time) {
	path, until := a.web.NewLoginLink(time.Now())
	return base + path, until
}
