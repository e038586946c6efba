package breaker

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/uptime"
)

// machine is a machine whose uptime the test decides.
type machine struct {
	boot string
	up   time.Duration
}

func (m *machine) uptime() (string, time.Duration, bool) { return m.boot, m.up, true }

func TestAfterARestart(t *testing.T) {
	const s = time.Second
	cases := []struct {
		name   string
		before func(t *testing.T, b *Breaker)
		passed time.Duration // true time until the restart
		jump   time.Duration // what the wall clock did besides
		reboot bool
		wait   time.Duration // still open for, after the restart
	}{
		{"an open circuit is open until its deadline", nil, 10 * s, 0, false, 20 * s},
		{"a deadline that passed meanwhile has passed", nil, 40 * s, 0, false, 0},
		{"a clock set ahead opens nothing early", nil, 10 * s, 24 * time.Hour, false, 20 * s},
		{"a clock set back prolongs nothing beyond the wait", nil, 10 * s, -24 * time.Hour, false, 30 * s},
		{"a clock in 1970 prolongs nothing beyond the wait", nil, 10 * s, -56 * 365 * 24 * time.Hour, false, 30 * s},
		{"after a reboot no time has passed", nil, 10 * s, 24 * time.Hour, true, 30 * s},
		{"half-open is open for one reset", func(t *testing.T, b *Breaker) {
			if _, err := b.Allow(at(30*s), key); err != nil {
				t.Fatal(err)
			}
		}, 31 * s, 0, false, 30 * s},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			db, m := openDB(t), &machine{boot: "one"}
			b := openAt(t, epoch, db, Options{Uptime: m.uptime})
			trip(t, b, 0)
			if tc.before != nil {
				tc.before(t, b)
			}
			m.up += tc.passed
			if tc.reboot {
				m.boot, m.up = "two", 48*time.Hour
			}
			start := tc.passed + tc.jump
			b = openAt(t, at(start), db, Options{Uptime: m.uptime})
			if tc.wait > 0 {
				if e := refusal(t, b, start); !e.RetryAt.Equal(at(start + tc.wait)) {
					t.Errorf("open for %v, want %v", e.RetryAt.Sub(at(start)), tc.wait)
				}
				refusal(t, b, start+tc.wait-1)
			}
			p, err := b.Allow(at(start+tc.wait), key)
			if err != nil {
				t.Fatal(err)
			}
			refusal(t, b, start+tc.wait) // one probe and no more
			p.Done(at(start+tc.wait), Failure, 0)
			if e := refusal(t, b, start+tc.wait); !e.RetryAt.Equal(at(start + tc.wait + 60*s)) {
				t.Errorf("the doubling was forgotten: %v", e.RetryAt.Sub(at(start+tc.wait)))
			}
		})
	}
}

// Each start notes what is left of a wait, so the next one counts on from there:
// after a reboot, and by a clock that was set back.
func TestAWaitEndsThoughTheProcessDiesOverAndOver(t *testing.T) {
	const s = time.Second
	db, m := openDB(t), &machine{boot: "one"}
	trip(t, openAt(t, epoch, db, Options{Uptime: m.uptime}), 0)
	m.boot, m.up = "two", 0
	for _, start := range []struct{ wall, left time.Duration }{{60 * s, 30 * s}, {70 * s, 20 * s}, {-time.Hour, 20 * s}} {
		b := openAt(t, at(start.wall), db, Options{Uptime: m.uptime})
		if e := refusal(t, b, start.wall); !e.RetryAt.Equal(at(start.wall + start.left)) {
			t.Errorf("at %v it is open for %v, want %v", start.wall, e.RetryAt.Sub(at(start.wall)), start.left)
		}
		m.up += 10 * s
	}
}

// A goroutine that waits for the disk writes what others decided meanwhile, as of
// its own instant. The record must be one that a start believes: a damaged one is
// open for one Reset.
func TestWhatIsWrittenLateIsReadAtAStart(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name      string
		meanwhile func(t *testing.T, b *Breaker)
		wait      time.Duration
	}{
		{"a probe failed, and the wait is twice as long", func(t *testing.T, b *Breaker) { call(t, b, 30*s, Failure) }, 60 * s},
		{"the clock was set back, and a person ended the wait", func(t *testing.T, b *Breaker) { b.TryNow(at(-time.Hour), key) }, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db, m := openDB(t), &machine{boot: "one"}
			b := openAt(t, epoch, db, Options{Uptime: m.uptime})
			trip(t, b, 0)
			tc.meanwhile(t, b)
			if err := b.write(b.tick(epoch), b.circuit(key)); err != nil {
				t.Fatal(err)
			}
			b = openAt(t, epoch, db, Options{Uptime: m.uptime})
			if c := b.ShopAt(epoch, key.Shop)[0]; !c.RetryAt.Equal(at(tc.wait)) {
				t.Errorf("open for %v, want %v", c.RetryAt.Sub(epoch), tc.wait)
			}
		})
	}
}

func TestAWaitOfAnEarlierVersionIsCapped(t *testing.T) {
	db := openDB(t)
	openAt(t, epoch, db, Options{})
	old := record{state: int64(StateOpen), left: int64(23 * time.Hour), wait: int64(24 * time.Hour)}
	if err := db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketName).Put(key.bytes(), old.encode(key.bytes())) }); err != nil {
		t.Fatal(err)
	}
	b := openAt(t, epoch, db, Options{MaxRetryAfter: 15 * time.Minute})
	if _, err := b.Allow(at(14*time.Minute), key); err == nil {
		t.Error("it is closed too early")
	}
	if _, err := b.Allow(at(15*time.Minute), key); err != nil {
		t.Error(err)
	}
}

func TestWhatAPersonDecidedOutlivesARestart(t *testing.T) {
	db := openDB(t)
	b := openAt(t, epoch, db, Options{})
	b.Force(epoch, key, HeldOpen)
	b = openAt(t, epoch, db, Options{})
	if e := refusal(t, b, 0); e.Reason != ReasonHand {
		t.Errorf("%+v", e)
	}
	b.Force(epoch, key, HeldClosed)
	b = openAt(t, epoch, db, Options{})
	for range 10 {
		if !call(t, b, 0, Failure) {
			t.Fatal("tripped")
		}
	}
	b.Force(epoch, key, Auto)
	b = openAt(t, epoch, db, Options{})
	if len(b.ShopAt(time.Now(), key.Shop)) != 0 {
		t.Error("a circuit in its first state is still on disk")
	}
}

func TestADamagedRecordIsOpenForOneReset(t *testing.T) {
	db := openDB(t)
	trip(t, openAt(t, epoch, db, Options{}), 0)
	var good []byte
	db.View(func(tx *bolt.Tx) error {
		good = append(good, tx.Bucket(bucketName).Get(key.bytes())...)
		return nil
	})
	if len(good) == 0 {
		t.Fatal("nothing is on disk")
	}
	if _, err := decodeRecord(Key{"other", key.Class}.bytes(), good); err == nil {
		t.Error("a record was read under another key")
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketName).Put(key.bytes(), bad) })
		b := openAt(t, at(time.Hour), db, Options{})
		if e := refusal(t, b, time.Hour); !e.RetryAt.Equal(at(time.Hour + 30*time.Second)) {
			t.Fatalf("byte %d: %+v", i, e)
		}
	}
}

// TestKill9 lets processes meet a service that always fails and kills them. By
// the clock since boot, calls after the first trip are at least one Reset apart,
// whichever process made them.
func TestKill9(t *testing.T) {
	const reset = 150 * time.Millisecond
	if dir := os.Getenv("BREAKER_KILL9"); dir != "" {
		failUntilKilled(dir, reset)
		return
	}
	if _, _, ok := uptime.Machine(); !ok {
		t.Skip("no boot clock on this system: a restart always counts as no time passed")
	}
	rounds := 12
	if os.Getenv("STOCKROOM_TORTURE") != "" {
		rounds = 200
	}
	dir := t.TempDir()
	var calls []time.Duration
	for r := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill9$")
		cmd.Env = append(os.Environ(), "BREAKER_KILL9="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		want := len(calls) + 1 + r%2
		if r == 0 {
			want = 7 // past the first trip, whose counts are not kept
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if ns, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				calls = append(calls, time.Duration(ns))
			}
			if len(calls) == want {
				cmd.Process.Signal(syscall.SIGKILL)
			}
		}
		cmd.Wait()
	}
	for i := 5; i < len(calls); i++ {
		// the report is read after the permit was given
		if d := calls[i] - calls[i-1]; d < reset-20*time.Millisecond {
			t.Errorf("call %d came %v after the one before it, want %v", i, d, reset)
		}
	}
	if len(calls) < 5+rounds {
		t.Errorf("only %d calls in %d lives", len(calls), rounds)
	}
}

func failUntilKilled(dir string, reset time.Duration) {
	db, err := bolt.Open(filepath.Join(dir, "state.db"), 0o600, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := Open(db, Options{Reset: reset})
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		p, err := b.Allow(time.Now(), key)
		if err != nil {
			continue
		}
		_, up, _ := uptime.Machine()
		os.Stdout.WriteString(strconv.FormatInt(int64(up), 10) + "\n")
		p.Done(time.Now(), Failure, reset) // as the server asks for: no wait is doubled
	}
}
