package admit

import (
	"crypto/sha256"
	"testing"
	"time"
)

// slowKeeper is on a disk that does not answer, once it hangs.
type slowKeeper struct {
	*memoryKeeper
	hangs chan struct{} // closed: it does
}

func (k slowKeeper) Put(namespace, name string, value []byte) error {
	select {
	case <-k.hangs:
		panic("somebody waits for the disk")
	default:
		return k.memoryKeeper.Put(namespace, name, value)
	}
}

func (k slowKeeper) Note(string, string, []byte) {}

// TestWhoIsKnownDoesNotWaitForTheDisk: a session or token whose use is to be noted is
// let in all the same.
func TestWhoIsKnownDoesNotWaitForTheDisk(t *testing.T) {
	keep := slowKeeper{newMemoryKeeper(), make(chan struct{})}
	s, rs := newSessions(keep, discard()), newReadTokens(keep, discard())
	id := s.begin(sessionStart, "", "", "")
	token, _, err := rs.add(sessionStart, "prometheus")
	if err != nil {
		t.Fatal(err)
	}
	close(keep.hangs)
	later := sessionStart.Add(2 * 24 * time.Hour)
	if _, _, ok := s.find(later, id, ""); !ok {
		t.Error("the session is not known")
	}
	if _, ok := rs.find(later, sha256.Sum256([]byte(token))); !ok {
		t.Error("the token is not known")
	}
}
