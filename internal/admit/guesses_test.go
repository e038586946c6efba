package admit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const testPassword = "linen and wool"

// slowAccount keeps a password in memory and takes its time for one, as argon2id does.
type slowAccount struct {
	mu       sync.Mutex
	password string
	turn     int // how often it was changed
	checks   int // calls of Verify
	now, max int // verified at once
}

func (a *slowAccount) Mark() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.turn, a.password[:min(3, len(a.password))])
}

func (a *slowAccount) Verify(text string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now, a.checks = a.now+1, a.checks+1
	a.max = max(a.max, a.now)
	a.mu.Unlock()
	time.Sleep(150 * time.Millisecond)
	a.mu.Lock()
	a.now--
	return a.password != "" && text == a.password
}

func (a *slowAccount) SetPassword(text string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password, a.turn = text, a.turn+1
	return nil
}

func (a *slowAccount) ClearPassword() error { return a.SetPassword("") }
func (a *slowAccount) Fixed() string        { return "" }

func gateOf(account Account, keep Keeper) *Gate {
	return New(Options{Account: account, Keeper: keep, Proxies: Proxies{netip.MustParsePrefix("127.0.0.1/32")}}, discard())
}

// doorRig is a gate behind a trusted proxy, in a bubble.
type doorRig struct {
	*Gate
	t       *testing.T
	account *slowAccount
}

func newDoorRig(t *testing.T) *doorRig {
	account := &slowAccount{password: testPassword}
	return &doorRig{t: t, account: account, Gate: gateOf(account, newMemoryKeeper())}
}

// try sends a password, with a device cookie unless it is "", and returns the
// status of the answer, 200 for the right one, and how long it took.
func (d *doorRig) try(from, password, cookie string) (status int, took time.Duration) {
	r := httptest.NewRequest("POST", "/login", nil)
	r.RemoteAddr = "127.0.0.1:50000"
	r.Header.Set("X-Forwarded-For", from)
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: plainCookie + deviceSuffix, Value: cookie})
	}
	began := time.Now()
	if refusal := d.passwords.check(d.guesserOf(r), password); refusal != nil {
		return refusal.Status, time.Since(began)
	}
	return 200, time.Since(began)
}

// attack sends six wrong passwords a second for ten minutes, the nth from
// address(n), and returns how many were verified. Meanwhile owner is called
// sixty times.
func (d *doorRig) attack(address func(n int) string, owner func(n int)) (verified int) {
	var all sync.WaitGroup
	before := d.account.checks
	for n := range 6 * 600 {
		all.Go(func() {
			if got, took := d.try(address(n), fmt.Sprint("guess ", n), ""); got == 200 || took > longestToTurn+time.Second {
				d.t.Errorf("guess %d: %d after %s", n, got, took)
			}
		})
		if n%60 == 59 {
			all.Go(func() {
				time.Sleep(time.Duration(n*37%167) * time.Millisecond) // not in step with the attack
				owner(n / 60)
			})
		}
		time.Sleep(time.Second / 6)
	}
	all.Wait()
	if d.account.max != 1 {
		d.t.Errorf("%d passwords were verified at once", d.account.max)
	}
	return d.account.checks - before
}

func TestTheOwnerGetsInWhileStrangersGuess(t *testing.T) {
	hex := func(n int) string { return fmt.Sprintf("%x:%x", n>>8, n&0xff) }
	for _, tt := range []struct {
		name          string
		address       func(n int) string
		cookie        bool
		least         int           // of the owner's 60 tries
		within        time.Duration // that they take
		verifiedAtAll int           // of the strangers' 3,600 guesses, at most
	}{
		{"from fresh /64s of one /48", func(n int) string { return "2001:db8:7:" + fmt.Sprintf("%x", n) + "::1" }, false, 60, time.Second, 340},
		{"from one address", func(int) string { return "198.51.100.7" }, false, 60, time.Second, 120},
		{"from all of an IPv4 /24", func(n int) string { return fmt.Sprintf("198.51.100.%d", n%256) }, false, 60, time.Second, 340},
		{"from fresh /48s, a browser that logged in before", func(n int) string { return "2001:" + hex(n) + "::1" }, true, 60, time.Second, 1110},
		{"from fresh /48s, one that did not", func(n int) string { return "2001:" + hex(n) + "::1" }, false, 3, longestToTurn + time.Second, 1110},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDoorRig(t)
				cookie := ""
				if tt.cookie {
					cookie = deviceCookie(d.account.Mark())
				}
				var in atomic.Int64
				verified := d.attack(tt.address, func(n int) {
					// Each from another address, so that none is known by the one before.
					got, took := d.try(fmt.Sprintf("203.0.%d.9", n), testPassword, cookie)
					if took > tt.within {
						t.Errorf("the owner's try %d took %s", n, took)
					}
					if got == 200 {
						in.Add(1)
					}
				})
				t.Logf("the owner came in with %d of 60 tries; %d guesses were verified", in.Load(), verified)
				if in.Load() < int64(tt.least) || verified > tt.verifiedAtAll+60 {
					t.Errorf("the owner came in with %d of 60 tries, want %d; %d guesses were verified, want at most %d", in.Load(), tt.least, verified, tt.verifiedAtAll)
				}
			})
		})
	}
}

func TestADeviceCookieGivesALaneAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoorRig(t)
		cookie, other := deviceCookie(d.account.Mark()), deviceCookie(d.account.Mark())
		if cookie == other {
			t.Fatal("two browsers have the same cookie")
		}
		wrong := func(from, cookie string) (verified int) {
			before := d.account.checks
			for n := range 30 {
				d.try(from, fmt.Sprint("guess ", n), cookie)
			}
			return d.account.checks - before
		}
		// Whoever stole it has the tries of one address, wherever from.
		if got := wrong("192.0.2.1", cookie); got < passwordBurst || got > passwordBurst+1 {
			t.Errorf("with a stolen cookie %d of 30 guesses were verified", got)
		}
		if got := wrong("2001:db8::1", cookie); got > 1 {
			t.Errorf("from another address %d more", got)
		}
		if got, _ := d.try("192.0.2.1", testPassword, cookie); got != 429 {
			t.Errorf("it learns by going on: %d", got)
		}
		// Neither the other browser nor the address, nor all together, pay for it.
		if got, _ := d.try("192.0.2.1", "wrong", other); got != 401 {
			t.Errorf("another browser: %d", got)
		}
		if got, _ := d.try("192.0.2.1", "wrong", ""); got != 401 {
			t.Errorf("its address: %d", got)
		}
		if d.passwords.overall.TokensAt(time.Now()) < overallFactor*passwordBurst-1 {
			t.Error("a known browser used up what is for all addresses")
		}
		// What is no cookie of ours is judged by its address, which is held up now.
		wrong("192.0.2.1", "")
		last := other[len(other)-1:]
		for name, value := range map[string]string{
			"none": "", "invented": strings.Repeat("A", len(other)), "one character changed": other[:len(other)-1] + map[bool]string{true: "B", false: "A"}[last == "A"], "too short": other[:len(other)-4],
			"too long": other + "AAAA", "no base64": strings.Repeat("!", len(other)), "under another password": deviceCookie("another mark"), "of no password": deviceCookie(""),
		} {
			if got, _ := d.try("192.0.2.1", testPassword, value); got != 429 {
				t.Errorf("%s: %d", name, got)
			}
		}
		if got, _ := d.try("192.0.2.1", testPassword, other); got != 200 {
			t.Errorf("a right one at the same address: %d", got)
		}
		// It outlives a restart and ends with the password.
		again := newDoorRig(t)
		for range 30 {
			again.try("192.0.2.1", "wrong", "")
		}
		if got, _ := again.try("192.0.2.1", testPassword, other); got != 200 {
			t.Errorf("after a restart: %d", got)
		}
		if err := again.account.SetPassword(testPassword); err != nil {
			t.Fatal(err)
		}
		if got, _ := again.try("192.0.2.1", testPassword, other); got != 429 {
			t.Errorf("after the password was set again: %d", got)
		}
	})
}

// Many requests at once wait in a bounded row, and those of one network that send
// the same password, as programs do, are all answered.
func TestTheRowOfPasswordsThatWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoorRig(t)
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		flood := func(n int, from func(i int) string, password func(i int) string) map[int]int {
			clear(codes)
			for i := range n {
				all.Go(func() {
					code, _ := d.try(from(i), password(i), "")
					mu.Lock()
					codes[code]++
					mu.Unlock()
				})
			}
			all.Wait()
			return codes
		}
		office := func(i int) string { return fmt.Sprintf("192.0.2.%d", i%250) }
		everywhere := func(i int) string { return fmt.Sprintf("198.%d.%d.1", i/250, i%250) }
		if got := flood(turnsOfOne, office, func(int) string { return testPassword }); got[200] != turnsOfOne {
			t.Errorf("the right password from an office: %v", got)
		}
		if got := flood(500, func(int) string { return "203.0.113.1" }, func(int) string { return testPassword }); got[200] < turnsOfOne {
			t.Errorf("500 times the right one: %v", got)
		}
		if got := flood(500, everywhere, func(i int) string { return fmt.Sprint(i) }); got[401] > turnsWaiting+1 || got[429] < 500-turnsWaiting-1 {
			t.Errorf("500 guesses at once: %v", got)
		}
		if got := flood(500, office, func(i int) string { return fmt.Sprint(i) }); got[401] > 2 {
			t.Errorf("500 guesses of one network at once: %v", got)
		}
	})
}

func TestKnownBrowsersGoFirst(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			d := newDoorRig(t)
			var all sync.WaitGroup
			var mu sync.Mutex
			var order []string
			for _, who := range []string{"198.51.0.1", "198.51.1.1", "198.51.2.1", "198.51.3.1", "198.51.4.1", "known 1", "known 2"} {
				cookie := ""
				if strings.HasPrefix(who, "known") {
					cookie = deviceCookie(d.account.Mark())
				}
				all.Go(func() {
					if got, _ := d.try(who, who, cookie); got != 401 {
						t.Errorf("%s: %d", who, got)
					}
					mu.Lock()
					defer mu.Unlock()
					order = append(order, who)
				})
				time.Sleep(7 * time.Millisecond) // all come while the first is verified
			}
			all.Wait()
			if known := slices.Sorted(slices.Values(order[1:3])); order[0] != "198.51.0.1" || known[0] != "known 1" || known[1] != "known 2" {
				t.Errorf("the order was %q", order)
			}
		})
	}
}

func TestWhatIsNotVerifiedDisplacesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoorRig(t)
		if got, _ := d.try("192.0.2.1", testPassword, ""); got != 200 {
			t.Fatal("right password refused")
		}
		for n := range sendersKept + passwordBurst*networkFactor + 10 {
			d.try(fmt.Sprintf("2001:db8:7:%x::1", n), fmt.Sprint("guess ", n), "")
		}
		before := d.account.checks
		if got, _ := d.try("192.0.2.1", testPassword, ""); got != 200 || d.account.checks != before {
			t.Errorf("the address that was right a moment ago: %d, verified again %v", got, d.account.checks != before)
		}
	})
}
