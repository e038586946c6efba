package admit

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// bearing is a request with a token.
func bearing(token string) *http.Request {
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func TestTheUseOfATokenIsWrittenOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep := newMemoryKeeper()
		g := gateOf(new(slowAccount), keep)
		token, _, err := g.readers.add(time.Now(), "script")
		if err != nil {
			t.Fatal(err)
		}
		after := keep.writes
		for range 3 * 24 {
			if _, refusal := g.judge(bearing(token)); refusal != nil {
				t.Fatal(refusal)
			}
			time.Sleep(time.Hour)
		}
		if got := keep.writes - after; got != 3 {
			t.Errorf("%d writes in three days", got)
		}
		keep.broken = errors.New("no space left on device")
		if err := g.readers.remove("script"); err == nil {
			t.Error("a token that is still on disk is said to be removed")
		}
		if _, refusal := g.judge(bearing(token)); refusal == nil {
			t.Error("a removed token goes on because the disk is full")
		}
		if _, _, err := g.readers.add(time.Now(), "other"); err == nil {
			t.Error("a token is told that is not on disk")
		}
	})
}

func TestATokenThatCannotBeReadOpensNothing(t *testing.T) {
	keep := newMemoryKeeper()
	for name, raw := range map[string]string{"a": "", "b": "{}", "c": `{"sum":""}`, "d": "nonsense"} {
		if err := keep.Put(readTokenValues, name, []byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	g := gateOf(new(slowAccount), keep)
	for _, token := range []string{"", "x"} {
		if v, refusal := g.judge(bearing(token)); refusal == nil {
			t.Errorf("%q opens: %v", token, v.entry)
		}
	}
	if n := len(g.readers.list()); n != 4 {
		t.Errorf("%d are listed, so not all can be removed", n)
	}
}
