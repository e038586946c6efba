package e2e_test

import (
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"stockroom/internal/fakeshopify"
)

// simulated is the key of a script's simulated shop.
type simulated struct{}

func shopOf(ts *testscript.TestScript) *fakeshopify.Shop {
	shop, ok := ts.Value(simulated{}).(**fakeshopify.Shop)
	if !ok || *shop == nil {
		ts.Fatalf("no shop is simulated")
	}
	return *shop
}

// shopCommands let a script edit a simulated shop, which sends no webhooks:
//
//	simulate PRODUCTS [SLOW]  starts it as $SHOP; $API is its address and $SECRET
//	                          signs; SLOW is how long a bulk operation takes at least
//	edit INDEX TITLE          gives a product another title
//	create TITLE              adds a product
//	delete INDEX              deletes a product
//	unsubscribe TOPIC         deletes its subscriptions
//	subscribe TOPIC URL       makes one
//	await FILE REGEXP         waits until a file that is written has a match
func shopCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	index := func(ts *testscript.TestScript, shop *fakeshopify.Shop, text string) int64 {
		i, err := strconv.Atoi(text)
		if ids := shop.IDs(); err == nil && i < len(ids) {
			return ids[i]
		}
		ts.Fatalf("there is no product %s", text)
		return 0
	}
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"simulate": func(ts *testscript.TestScript, _ bool, args []string) {
			n, err := strconv.Atoi(args[0])
			ts.Check(err)
			o := fakeshopify.Options{Shop: ts.Getenv("SHOP"), Secret: ts.Getenv("SECRET"), Products: n, AllowHTTP: true}
			if len(args) > 1 {
				o.API.Bulk.Base, err = time.ParseDuration(args[1])
				ts.Check(err)
			}
			shop := fakeshopify.New(o)
			srv := httptest.NewServer(shop.Handler())
			ts.Defer(srv.Close)
			*ts.Value(simulated{}).(**fakeshopify.Shop) = shop
			ts.Setenv("API", srv.URL)
		},
		"edit": func(ts *testscript.TestScript, _ bool, args []string) {
			shop := shopOf(ts)
			shop.UpdateProduct(index(ts, shop, args[0]), func(p *fakeshopify.Product) { p.Title = args[1] })
		},
		"create": func(ts *testscript.TestScript, _ bool, args []string) {
			shopOf(ts).CreateProduct(func(p *fakeshopify.Product) { p.Title = args[0] })
		},
		"delete": func(ts *testscript.TestScript, _ bool, args []string) {
			shop := shopOf(ts)
			shop.DeleteProduct(index(ts, shop, args[0]))
		},
		"await": func(ts *testscript.TestScript, _ bool, args []string) {
			name, want := ts.MkAbs(args[0]), regexp.MustCompile(args[1])
			for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
				if text, err := os.ReadFile(name); err == nil && want.Match(text) {
					return
				}
				if time.Now().After(until) {
					ts.Fatalf("no match of %s in %s", args[1], args[0])
				}
			}
		},
		"subscribe": func(ts *testscript.TestScript, _ bool, args []string) { shopOf(ts).Subscribe(args[0], args[1]) },
		"unsubscribe": func(ts *testscript.TestScript, _ bool, args []string) {
			shop := shopOf(ts)
			for _, s := range shop.Subscriptions() {
				if strings.EqualFold(s.Topic, args[0]) {
					shop.Unsubscribe(s.ID)
				}
			}
		},
	}
}
