package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// counting counts the digests that are made with the secrets of a directory.
func counting(d *Directory) *int {
	n := new(int)
	all := slices.Concat(d.order, d.decoys, d.retired)
	for _, v := range all {
		v.pool.New = func() any { return &counted{hmac.New(sha256.New, []byte(v.secret)), n} }
	}
	return n
}

type counted struct {
	hash.Hash
	n *int
}

func (c *counted) Sum(b []byte) []byte {
	*c.n++
	return c.Hash.Sum(b)
}

// shopsWith makes shops with so many secrets each; some of them are shared or given
// twice.
func shopsWith(secrets ...int) []Shop {
	var list []Shop
	for i, n := range secrets {
		s := Shop{Domain: fmt.Sprintf("shop-%d.myshopify.com", i), Removed: i%7 == 5}
		for k := range n {
			s.Keys = append(s.Keys, Key{Secret: fmt.Appendf(nil, "shpss_%d_%d", i, k), Old: k > 0})
		}
		if i%3 == 2 && n > 1 {
			s.Keys[1].Secret = []byte("shpss_0_0")
		}
		if i%5 == 4 && n > 1 {
			s.Keys[1].Secret = s.Keys[0].Secret
		}
		list = append(list, s)
	}
	return list
}

// claim is a delivery for a shop, signed with a secret.
func claim(shop, secret, topic string) *http.Request {
	body := update(1)
	r := signed(body)
	if r.Header.Set("X-Shopify-Shop-Domain", shop); shop == "" {
		r.Header.Del("X-Shopify-Shop-Domain")
	}
	r.Header.Set("X-Shopify-Topic", topic)
	r.Header.Set("X-Shopify-Hmac-Sha256", mac(secret, body))
	return r
}

// Each signature costs as many digests as the shop with the most distinct secrets
// has, whatever the request says and whoever signed it.
func TestASignatureCostsTheSameDigestsWhateverItClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(60) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			secrets := make([]int, rnd.IntN(12))
			for i := range secrets {
				secrets[i] = rnd.IntN(6)
			}
			shops := shopsWith(secrets...)
			most := 1
			for _, s := range shops {
				distinct := map[string]bool{}
				for _, k := range s.Keys {
					distinct[string(k.Secret)] = true
				}
				most = max(most, len(distinct))
			}
			b := newBench(nil)
			d := NewDirectory(shops, [][]byte{[]byte(replaced)})
			b.SetDirectory(d)
			n := counting(d)
			b.looks.AllowN(time.Now(), 1) // the look of this second is another test's
			for range 40 {
				shop, secret := "nobody.myshopify.com", "wrong"
				if len(shops) > 0 && rnd.IntN(3) > 0 {
					shop = shops[rnd.IntN(len(shops))].Domain
				}
				if len(shops) > 0 && rnd.IntN(2) > 0 {
					secret = fmt.Sprintf("shpss_%d_%d", rnd.IntN(len(shops)), rnd.IntN(5))
				}
				topic := "products/update"
				if rnd.IntN(4) == 0 {
					shop, topic = "", "customers/redact"
				}
				*n = 0
				if w := b.send(claim(shop, secret, topic)); *n != most {
					t.Fatalf("seed %d, %v: %q signed with %q costs %d digests, want %d: %d",
						seed, secrets, shop, secret, *n, most, w.Code)
				}
			}
		}
	})
}

// The answer to a wrong signature must not tell which shops and secrets there are.
func TestAWrongSignatureHasOneAnswerAndOnePrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, size := range []int{1, 3, 1000} {
			secrets := make([]int, size)
			for i := range secrets {
				secrets[i] = 1 + i%4
			}
			b := newBench(nil)
			d := NewDirectory(shopsWith(secrets...), [][]byte{[]byte(replaced)})
			b.SetDirectory(d)
			n := counting(d)
			var first string
			for _, test := range []struct{ name, shop, secret, topic string }{
				{"unknown shop", "nobody.myshopify.com", "wrong", "products/update"},
				{"wrong secret", "shop-0.myshopify.com", "wrong", "products/update"},
				{"another shop's secret", "shop-0.myshopify.com", fmt.Sprintf("shpss_%d_0", size-1), "products/update"},
				{"replaced secret", "shop-0.myshopify.com", replaced, "products/update"},
				{"no shop in header and body", "", "wrong", "shop/redact"},
				{"unknown topic", "shop-0.myshopify.com", "wrong", "x/y"},
			} {
				if size == 1 && strings.HasPrefix(test.secret, "shpss_0") {
					continue // its own
				}
				price := map[int]bool{}
				for range 2 { // with and without a look for the cause
					*n = 0
					w := b.send(claim(test.shop, test.secret, test.topic))
					price[*n] = true
					got := fmt.Sprint(w.Code, w.Header(), w.Body)
					if first == "" {
						first = got
					}
					if got != first || !strings.Contains(got, `"reason":"wrong_signature"`) {
						t.Errorf("%d shops, %s: %s\nwant %s", size, test.name, got, first)
					}
				}
				looked := d.digests + 1 + min(latelyKept, len(d.order)) + d.digests // retired, last used, without a line's end
				if !price[d.digests] || !price[looked] {
					t.Errorf("%d shops, %s: %v digests, want %d, and %d with a look", size, test.name, price, d.digests, looked)
				}
				time.Sleep(10 * time.Second)
			}
		}
	})
}

// A name that is not known is judged by the secrets that fitted last, over a change
// of the directory too, but never by one that is no longer in it.
func TestAnUnknownNameIsJudgedByTheSecretsThatFittedLast(t *testing.T) {
	b := newBench(nil)
	shops := shopsWith(1, 1, 1, 1, 1)
	b.SetDirectory(NewDirectory(shops, nil))
	unknown := func(secret string) int {
		return b.send(claim("renamed.myshopify.com", secret, "products/update")).Code
	}
	for i, want := range []int{404, 401} { // nothing fitted yet: the first ones of the directory
		if got := unknown(fmt.Sprintf("shpss_%d_0", i)); got != want {
			t.Errorf("secret %d: %d, want %d", i, got, want)
		}
	}
	want(t, b.send(claim("shop-3.myshopify.com", "shpss_3_0", "products/update")), 200, success)
	b.SetDirectory(NewDirectory(shops, nil))
	if got := unknown("shpss_3_0"); got != 404 || b.Strangers()[0].Shops[0] != "shop-3.myshopify.com" {
		t.Errorf("signed with the secret that fitted last: %d, %+v", got, b.Strangers())
	}
	b.SetDirectory(NewDirectory(shops[:3], nil))
	if got := unknown("shpss_3_0"); got != 401 {
		t.Errorf("signed with a secret that is gone: %d", got)
	}
	var l lately
	for i := range 3 * latelyKept {
		l.fitted(fmt.Sprint(i % (2 * latelyKept)))
	}
	l.fitted("100")
	l.fitted("63")
	if len(l.secrets) != latelyKept || l.secrets[0] != "63" || l.secrets[1] != "100" || l.secrets[2] != "62" {
		t.Errorf("%d are remembered: %v", len(l.secrets), l.secrets[:3])
	}
}

// However many wrong signatures come, the cause of one a second is looked for, and
// of none whose address has sent too many.
func TestTheCauseIsLookedForOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(nil)
		body := update(1)
		wrong := func(address string) Reason {
			r := signed(append(body, '\n'))
			r.RemoteAddr = address
			r.Header.Set("X-Shopify-Hmac-Sha256", mac(testSecret, body))
			b.send(r)
			return b.Rejected()[0].Reason
		}
		for range 3 {
			for i, want := range []Reason{ReasonBodyChanged, ReasonWrongSecret, ReasonWrongSecret} {
				if got := wrong(fmt.Sprintf("192.0.2.%d:1", i)); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			}
			time.Sleep(time.Second)
		}
		// What was not looked for contradicts nothing that was found.
		if r := b.Refusals(testShop); r.Count != 9 || r.Reason != ReasonBodyChanged {
			t.Errorf("%+v", r)
		}
		for range failureBurst {
			wrong("192.0.2.9:1")
		}
		time.Sleep(time.Second)
		if got := wrong("192.0.2.9:1"); got != ReasonTooMany {
			t.Errorf("%s", got)
		}
		if got := wrong("192.0.2.10:1"); got != ReasonBodyChanged {
			t.Errorf("the look of a second was spent on an address that has sent too many: %s", got)
		}
	})
}

// Looking for a cause takes memory for 64 KiB of a body, not for the body.
func TestLookingForACauseIsBounded(t *testing.T) {
	b := newBench(nil)
	sum := make([]byte, 32)
	for name, body := range map[string][]byte{
		"8 MiB":                     []byte(`{"x":"` + strings.Repeat("<", 8<<20) + `"}`),
		"8 MiB without an end":      bytes.Repeat([]byte(`["`), 4<<20),
		"as much as is looked at":   []byte(`{"x":"` + strings.Repeat("<", lookedAt-8) + `"}`),
		"blanks, as is looked at":   []byte(`{"x":` + strings.Repeat(" ", lookedAt-7) + `1}`),
		"brackets, as is looked at": bytes.Repeat([]byte("["), lookedAt),
	} {
		d := b.directory.Load()
		tried := d.candidates(testShop, &b.lately)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := b.look(d, &request{http: signed(nil)}, testShop, body, sum, tried)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 || c.detail == "" {
			t.Errorf("%s: %d bytes were taken for %+v", name, got, c)
		}
	}
}
