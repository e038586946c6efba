package webhook

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusalsEndByThemselvesOrWithAValidDelivery holds what is told of refused
// signatures: from the first of a row of them until a day after the last, or a valid
// delivery that came after it.
func TestRefusalsEndByThemselvesOrWithAValidDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shop = "my-shop.myshopify.com"
		in := &Intake{}
		in.directory.Store(NewDirectory([]Shop{{Domain: shop}}, nil))
		first := time.Now()
		in.refusals.refused(shop, ReasonWrongSecret, false, time.Now())
		in.refusals.refused(shop, ReasonNoHMAC, false, time.Now()) // anybody's
		time.Sleep(9 * time.Minute)
		in.refusals.refused(shop, ReasonTooMany, false, time.Now())
		time.Sleep(refusalsKept - time.Second)
		if r := in.Refusals(shop); r.Count != 2 || !r.First.Equal(first) || r.Fits != "" {
			t.Errorf("%+v, want two since the first", r)
		}
		time.Sleep(2 * time.Second)
		if r := in.Refusals(shop); r.Count != 0 {
			t.Errorf("%+v a day after the last", r)
		}

		before := time.Now()
		time.Sleep(time.Second)
		in.refusals.refused(shop, ReasonOldSecret, false, time.Now())
		in.refusals.accepted(shop, before)
		if r := in.Refusals(shop); r.Count != 1 || r.Fits != ReasonOldSecret {
			t.Errorf("%+v after a valid delivery of before, want one that fits a known secret", r)
		}
		time.Sleep(time.Second)
		in.refusals.accepted(shop, time.Now())
		if r := in.Refusals(shop); r.Count != 0 {
			t.Errorf("%+v after a valid delivery", r)
		}
	})
}

// TestStrangersAreNamedWhileTheyAreNotConnected holds the names whose deliveries a
// known secret signs: few, for a day, and none that is connected.
func TestStrangersAreNamedWhileTheyAreNotConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signed := newVerifier("secret")
		signed.shops = []string{"my-shop.myshopify.com"}
		in := &Intake{}
		in.directory.Store(NewDirectory(nil, nil))
		for i := range 3 * strangersKept {
			in.refusals.stranger(string(rune('a'+i%26))+".myshopify.com", signed, time.Now())
			time.Sleep(time.Second)
		}
		list := in.Strangers()
		if len(list) != strangersKept || list[0].Name != "x.myshopify.com" || list[0].Shops[0] != "my-shop.myshopify.com" {
			t.Fatalf("%+v", list)
		}
		in.directory.Store(NewDirectory([]Shop{{Domain: "x.myshopify.com"}}, nil))
		if list := in.Strangers(); len(list) != strangersKept-1 {
			t.Errorf("%+v once one is connected", list)
		}
		time.Sleep(strangersFor)
		if list := in.Strangers(); len(list) != 0 {
			t.Errorf("%+v a day later", list)
		}
	})
}
