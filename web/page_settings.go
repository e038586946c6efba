package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"
	"golang.org/x/sync/singleflight"

	"stockroom/internal/answer"
	"stockroom/internal/backup"
	"stockroom/internal/config"
	"stockroom/internal/notify"
	"stockroom/internal/status"
)

// checkMost is how long a check may take, whoever waits for it.
const checkMost = 2 * time.Minute

// lastCheck keeps what the doctor found last, so that a reload does not spend a
// shop's points again. The zero value has found nothing.
type lastCheck struct {
	running singleflight.Group
	mu      sync.Mutex
	at      time.Time
	list    []Finding
}

// run looks at everything, or waits for the look that is under way: two clicks
// are one check. It goes on when the one who asked leaves.
func (l *lastCheck) run(ctx context.Context, look func(context.Context) []Finding) {
	done := l.running.DoChan("", func() (any, error) {
		// Not the request's: a browser that leaves must not spoil the result.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkMost)
		defer cancel()
		list := guardedLook(limited, look)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.at, l.list = time.Now(), list
		return nil, nil
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// guardedLook looks, and tells of a fault in it: it runs beside the handlers,
// where nothing else would keep it from ending the process.
func guardedLook(ctx context.Context, look func(context.Context) []Finding) (list []Finding) {
	defer func() {
		if p := recover(); p != nil {
			list = []Finding{{Check: "doctor", Level: "fail", Text: fmt.Sprintf("the check broke off: %v", p), Fix: "please report it"}}
		}
	}()
	return look(ctx)
}

func (l *lastCheck) found() (time.Time, []Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.list
}

// settingsView is the page of settings and health.
type settingsView struct {
	Checks    []status.Check
	CanCheck  bool
	CanBackup bool
	Backup    backup.Standing // by schedule
	Late      bool
	Checked   time.Time
	Findings  []Finding
	Targets   []string // of messages, and what a test of them found
	Tested    time.Time
	Sent      []notify.Sent
	Settings  []config.Setting
	ByDefault []config.Setting
	// Named have a label of their own in the metrics; Sharing more share one.
	Named   []string
	Sharing int
}

func (s *Server) settingsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	account := s.account(r.Context())
	v := settingsView{Checks: account.Ready().Checks, CanCheck: s.o.Doctor != nil, CanBackup: s.o.Backup != nil,
		Backup: account.Backup, Late: account.Backup.Late(account.Now)}
	v.Checked, v.Findings = s.doctor.found()
	if s.o.Notify != nil {
		v.Targets = s.o.Notify.Targets()
		v.Tested, v.Sent = s.o.Notify.Tested()
	}
	if s.o.Settings != nil {
		for _, e := range s.o.Settings() {
			if e.Origin == "default" {
				v.ByDefault = append(v.ByDefault, e)
			} else {
				v.Settings = append(v.Settings, e)
			}
		}
	}
	v.Named, v.Sharing = s.labelled()
	return s.show(w, r, sheet{Template: "settings.html", Title: "Settings", Section: "/settings", Data: v})
}

// apiSettings lists the settings in force here, secrets hidden.
func (s *Server) apiSettings(_ *http.Request, _ httprouter.Params) (any, error) {
	var list []config.Setting
	if s.o.Settings != nil {
		list = s.o.Settings()
	}
	return map[string]any{"settings": list}, nil
}

// checkNames name what would not be known by its code.
var checkNames = map[string]string{"catalogue": "Catalogue (products.db)", "queue": "Retry queue (queue.db)"}

func checkName(name string) string { return cmp.Or(checkNames[name], capital(name)) }

// findings say how what the doctor looked at is, by level.
var findings = map[string]marked{"ok": {moodGood, "Works"}, "warn": {moodWait, "Careful"}, "fail": {moodBad, "Does not work"}}

// checkAction runs the doctor. It is a POST because it spends a shop's points.
func (s *Server) checkAction(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if s.o.Doctor == nil {
		return answer.Refuse(http.StatusConflict, "Nothing to check", "This server has no checks of its own; stockroom doctor has.")
	}
	s.doctor.run(r.Context(), func(ctx context.Context) []Finding { return s.o.Doctor(ctx, false) })
	return sayAndGo(w, "/settings", "/settings", saying("checked", 1))
}

// testMessages sends a message to every target.
func (s *Server) testMessages(ctx context.Context) ([]notify.Sent, error) {
	if s.o.Notify == nil || len(s.o.Notify.Targets()) == 0 {
		return nil, answer.Refuse(http.StatusConflict, "Messages go nowhere yet", "Write where they are to go into a file, one URL a line, "+
			"name that file in --notify-file and restart Stockroom; docs/alarm.md has examples.")
	}
	s.audit.Info("test messages sent", "to", s.o.Notify.Targets())
	return s.o.Notify.Test(ctx), nil
}

func (s *Server) notifyAction(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	if _, err := s.testMessages(r.Context()); err != nil {
		return err
	}
	return sayAndGo(w, "/settings", "/settings", saying("tested", 1))
}

func (s *Server) apiNotifyTest(r *http.Request, _ httprouter.Params) (any, error) {
	sent, err := s.testMessages(r.Context())
	return map[string]any{"sent": sent}, err
}

// Finding is what the doctor says about one thing.
type Finding struct {
	Check string `json:"check"` // what was looked at, such as "token"
	Shop  string `json:"shop,omitempty"`
	Level string `json:"level"` // ok, warn or fail
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // what to do, for warn and fail
	// Cause sorts failures for the exit code: integrity, unreachable or "".
	Cause string `json:"cause,omitempty"`
}

// apiDoctor is a POST because it spends a shop's points.
func (s *Server) apiDoctor(r *http.Request, _ httprouter.Params) (any, error) {
	var list []Finding
	if s.o.Doctor != nil {
		list = s.o.Doctor(r.Context(), r.URL.Query().Get("deep") == "true")
	}
	return map[string]any{"findings": list}, nil
}
