package admit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestALinkOpensThePageOnceForHalfAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		l := newLinks(loginLinks)
		in := func() error { return nil }
		printed, until := l.make(now)
		opened, _ := l.make(now.Add(time.Minute))
		if until.Sub(now) != 30*time.Minute || len(printed) != 43 || printed == opened {
			t.Errorf("good until %s: %q and %q", until, printed, opened)
		}
		if err := l.use(now, opened, in); err != nil || l.use(now, opened, in) == nil || !l.good(now, printed) {
			t.Error("a link works twice, or using one ended the other")
		}
		time.Sleep(30 * time.Minute)
		if err := l.use(time.Now(), printed, in); !errors.Is(err, ErrLinkUsed) {
			t.Errorf("a link of half an hour ago: %v", err)
		}
		var tokens []string
		for i := range loginLinks + 3 {
			token, _ := l.make(time.Now().Add(time.Duration(i) * time.Second))
			tokens = append(tokens, token)
		}
		for i, token := range tokens {
			if good := l.good(time.Now(), token); good != (i >= 3) || l.until.Len() > loginLinks {
				t.Errorf("link %d of %d is good: %v; %d are kept", i, len(tokens), good, l.until.Len())
			}
		}
		l.void()
		if l.good(time.Now(), tokens[len(tokens)-1]) {
			t.Error("a link is good although all were ended")
		}
	})
}

func TestALinkIsGoodForHalfAnHourAndUntilTheNextOne(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := newLinks(setupLinks)
	if l.good(now, "") {
		t.Error("without a link the empty token is good")
	}
	first, _ := l.make(now)
	for after, want := range map[time.Duration]bool{0: true, 29 * time.Minute: true, 30*time.Minute - 1: true, 30 * time.Minute: false, 24 * time.Hour: false} {
		if got := l.good(now.Add(after), first); got != want {
			t.Errorf("after %s: %v", after, got)
		}
	}
	if l.good(now, first[:len(first)-1]) || l.good(now, first+"A") || l.good(now, "") {
		t.Error("another token is good")
	}
	second, _ := l.make(now)
	if l.good(now, first) || !l.good(now, second) || len(second) != 43 {
		t.Error("the older link is good, or the newer is not")
	}
	full := errors.New("no space left")
	if err := l.use(now, second, func() error { return full }); !errors.Is(err, full) || !l.good(now, second) {
		t.Error("a link was used up by a password that could not be stored")
	}
	if err := l.use(now.Add(time.Hour), second, func() error { t.Error("set with an old link"); return nil }); !errors.Is(err, ErrLinkUsed) {
		t.Error(err)
	}
	set := func() error {
		if l.mu.TryLock() {
			l.mu.Unlock()
			t.Error("another use of the link can come in while the password is set")
		}
		return nil
	}
	if err := l.use(now, second, set); err != nil || l.good(now, second) {
		t.Error("a link is good after its use")
	}
}
