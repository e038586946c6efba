package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"stockroom/internal/status"
)

// Options are what a Notifier needs.
type Options struct {
	Targets []Target
	After   time.Duration
	Keeper  Keeper
	Place   string // of the status page, for people
	Metrics *metrics.Set
	Logger  *slog.Logger
	// Transport carries messages by HTTP, for tests; nil: the usual one.
	Transport http.RoundTripper
}

// Keeper keeps small values: state.db.
type Keeper interface {
	Get(namespace, name string) ([]byte, bool)
	Put(namespace, name string, value []byte) error
}

const (
	namespace, recordName = "notify", "record"

	pingEvery   = 5 * time.Minute
	retryFirst  = 30 * time.Second // it doubles
	noteEvery   = time.Minute      // between two notes of what was told of nobody
	finishMost  = 2 * time.Second  // for a try that a stop meets
	settleFirst = time.Minute      // after a start, for what stands to show; less where After is less
)

// Notifier sends messages. It is safe for concurrent use.
type Notifier struct {
	o    Options
	seen chan *status.Account // the newest

	// Run alone has these.
	record record
	stored []byte
	noted  time.Time
	began  time.Time
	pinged map[string]time.Time // when the next one is due, by target

	mu     sync.Mutex
	failed map[string]status.Unsent // by target
	tested time.Time
	found  []Sent
}

// New makes a Notifier that goes on where the one before it ended.
func New(o Options) *Notifier {
	n := &Notifier{
		o: o, seen: make(chan *status.Account, 1),
		pinged: map[string]time.Time{}, failed: map[string]status.Unsent{},
	}
	if raw, there := o.Keeper.Get(namespace, recordName); there {
		if err := json.Unmarshal(raw, &n.record); err != nil {
			n.record = record{} // a trouble may be told twice
		}
		n.stored = raw
	}
	return n
}

// See hands over the newest account. It waits for nothing.
func (n *Notifier) See(a *status.Account) {
	if len(n.o.Targets) == 0 {
		return
	}
	select {
	case n.seen <- a:
	default: // it is at work with the one before
	}
}

// Run judges accounts and sends, until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-n.seen:
			n.judge(a)
			n.deliver(ctx, a.Now)
		}
	}
}

// judge decides what is to be told.
func (n *Notifier) judge(a *status.Account) {
	if n.began.IsZero() {
		n.began = a.Now
	}
	settling := a.Now.Sub(n.began) < min(n.o.After, settleFirst)
	begun, over := n.record.see(a, n.o.After, settling)
	had := len(n.record.Held)
	m, ok := n.record.tell(a, begun, over, n.o.Place)
	if ok {
		n.record.Letters = append(n.record.Letters, &letter{Message: m, At: a.Now, To: n.names()})
	}
	n.count("held", max(0, len(n.record.Held)-had))
	n.note(a.Now, ok || len(begun)+len(over) > 0)
}

// names are the targets that get messages.
func (n *Notifier) names() (list []string) {
	for _, t := range n.o.Targets {
		if !t.ping {
			list = append(list, t.Name)
		}
	}
	return list
}

// note stores the record where it has changed: at once when it matters, else from time to
// time, for lines may come and go every second.
func (n *Notifier) note(now time.Time, matters bool) {
	raw, err := json.Marshal(n.record)
	if err != nil || bytes.Equal(raw, n.stored) || !matters && now.Sub(n.noted) < noteEvery {
		return
	}
	n.noted = now
	if err := n.o.Keeper.Put(namespace, recordName, raw); err != nil {
		n.o.Logger.Warn("what messages told can't be noted now", "error", err.Error())
		return
	}
	n.stored = raw
}

// attempt is a message on its way to a target; letter nil for a ping.
type attempt struct {
	to     Target
	letter *letter
	err    error
}

// deliver tries all that is due, at the same time. Of several messages for one target the
// oldest goes first.
func (n *Notifier) deliver(ctx context.Context, now time.Time) {
	var list []*attempt
	for _, t := range n.o.Targets {
		if t.ping && !now.Before(n.pinged[t.Name]) {
			list = append(list, &attempt{to: t})
		}
		for _, l := range n.record.Letters {
			if slices.Contains(l.To, t.Name) {
				if !now.Before(l.Next) {
					list = append(list, &attempt{to: t, letter: l})
				}
				break
			}
		}
	}
	// What is on its way at a stop may arrive, so that it is known and not sent again.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(finishMost, cancel) })()
	var trying sync.WaitGroup
	for _, a := range list {
		trying.Go(func() {
			var m Message
			if a.letter != nil {
				m = a.letter.Message
			}
			a.err = a.to.Send(sending, n.o.Transport, m)
		})
	}
	trying.Wait()
	if ctx.Err() != nil && len(list) > 0 {
		n.settle(now, slices.DeleteFunc(list, func(a *attempt) bool { return a.err != nil }))
		return
	}
	n.settle(now, list)
}

// settle notes what became of tries, and gives up what is too old.
func (n *Notifier) settle(now time.Time, list []*attempt) {
	tried := map[*letter]bool{}
	for _, a := range list {
		l := a.letter
		switch {
		case l == nil:
			n.pinged[a.to.Name] = now.Add(pingEvery)
			if a.err != nil {
				n.pinged[a.to.Name] = now.Add(time.Minute)
			}
		case a.err == nil:
			n.count("sent", 1)
			l.To = slices.DeleteFunc(l.To, func(name string) bool { return name == a.to.Name })
		default:
			n.count("failed", 1)
			tried[l] = true
		}
		n.became(now, a)
	}
	for l := range tried {
		l.Next = now.Add(min(retryFirst<<l.Tries, 16*time.Minute))
		l.Tries++
	}
	n.record.Letters = slices.DeleteFunc(n.record.Letters, func(l *letter) bool {
		known := n.names()
		l.To = slices.DeleteFunc(l.To, func(name string) bool { return !slices.Contains(known, name) })
		if old := now.Sub(l.At) >= lettersFor; old && len(l.To) > 0 {
			n.count("given_up", len(l.To))
			n.o.Logger.Error("a message could not be sent for an hour and is given up", "to", l.To, "title", l.Title)
			return true
		}
		return len(l.To) == 0
	})
	n.note(now, len(list) > 0)
}

// became keeps why a target takes nothing, and has the log say so when it is new.
func (n *Notifier) became(now time.Time, a *attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was, failing := n.failed[a.to.Name]
	switch {
	case a.err == nil && failing:
		delete(n.failed, a.to.Name)
		n.o.Logger.Info("messages arrive again", "to", a.to.Name)
	case a.err != nil:
		if was.Words != a.err.Error() {
			n.o.Logger.Warn("a message can't be sent", "to", a.to.Name, "reason", a.err.Error())
		}
		n.failed[a.to.Name] = status.Unsent{Target: a.to.Name, Since: cmp.Or(was.Since, now), Words: a.err.Error()}
	}
}

// Unsent are the targets that take nothing.
func (n *Notifier) Unsent() (list []status.Unsent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, t := range n.o.Targets {
		if f, failing := n.failed[t.Name]; failing {
			list = append(list, f)
		}
	}
	return list
}

// Sent is what became of a test message to one target.
type Sent struct {
	Target string `json:"target"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"`
}

// Test sends a message to every target now, and tells of each. Nothing is repeated.
func (n *Notifier) Test(ctx context.Context) []Sent {
	list := make([]*attempt, len(n.o.Targets))
	var trying sync.WaitGroup
	for i, t := range n.o.Targets {
		list[i] = &attempt{to: t}
		trying.Go(func() {
			list[i].err = t.Send(ctx, n.o.Transport, Message{Title: "Stockroom: a test", Text: "This message shows that messages arrive. " +
				"Nothing is wrong, and nothing is to be done.\n\nStatus page: " + n.o.Place})
		})
	}
	trying.Wait()
	sent := []Sent{}
	for _, a := range list {
		s := Sent{Target: a.to.Name, OK: a.err == nil, Text: "sent; look whether it has arrived"}
		if a.to.ping {
			s.Text = "it was told that Stockroom works"
		}
		if a.err != nil {
			s.Text = a.err.Error()
		}
		n.became(time.Now(), a)
		sent = append(sent, s)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tested, n.found = time.Now(), sent
	return sent
}

// Targets are the names of those that messages go to.
func (n *Notifier) Targets() (names []string) {
	for _, t := range n.o.Targets {
		names = append(names, t.Name)
	}
	return names
}

// Tested is what the newest test found, and when that was.
func (n *Notifier) Tested() (time.Time, []Sent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tested, n.found
}

func (n *Notifier) count(result string, by int) {
	n.o.Metrics.GetOrCreateCounter(fmt.Sprintf(`stockroom_notifications_total{result=%q}`, result)).Add(by)
}
