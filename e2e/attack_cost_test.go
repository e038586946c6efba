package e2e_test

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// attackLook is the processor time that one refused body may cost beyond reading
// it and the digests: the rest of the request, and what a look at 64 KiB of it
// once a second comes to.
const attackLook = 20 * time.Millisecond

// nobody is a shop that is not connected.
const nobody = "nobody-knows.myshopify.com"

// cost is the processor time of the server for n bodies over one connection, and
// the last answer.
func (s *siege) cost(t *testing.T, n int, d delivery) (time.Duration, int) {
	t.Helper()
	conn, leave, err := s.connect(t.Context(), s.Public, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	in, status, began := bufio.NewReader(conn), 0, serverCPU(t, s.PID)
	for range n {
		one := d
		one.Header = s.elsewhere()
		maps.Copy(one.Header, d.Header)
		if status, _, err = exchange(conn, in, s.raw(one, 0)); err != nil {
			t.Fatal(err)
		}
	}
	return serverCPU(t, s.PID) - began, status
}

// TestARefusedBodyCostsItsDigestsAndLittleMore compares refused bodies of 8 MiB
// with the same number that are only read and digested: signed rightly, for a shop
// that is not connected. It does so with two shops and with many that have secrets
// of their own.
func TestARefusedBodyCostsItsDigestsAndLittleMore(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processor time is read from /proc, which only Linux has")
	}
	const most = 1.6 // times the cost of the bodies that were compared with: a busy machine counts unevenly
	n, shops := 8, 40
	if torture() {
		n, shops = 100, 200
	}
	few := besiege(t, false, "--trusted-proxies", "127.66.0.0/16")
	bodies := hostileBodies()
	plain := bodies["random bytes"]
	bar, status := few.cost(t, n, delivery{Body: plain, Shop: nobody})
	if status != http.StatusNotFound {
		t.Fatalf("a right signature for an unknown shop is answered %d", status)
	}
	wrong := signed(badSignature)
	check := func(what string, s *siege, d delivery) {
		t.Helper()
		took, status := s.cost(t, n, d)
		limit := time.Duration(most*float64(bar)) + time.Duration(n)*attackLook
		t.Logf("%s: %s for %d bodies, compared with %s", what, took, n, bar)
		if status != http.StatusUnauthorized || took > limit {
			t.Errorf("%s: %s of processor time, answered %d; want at most %s and 401", what, took, status, limit)
		}
	}
	for name, body := range bodies {
		check(name, few, delivery{Body: body, Header: wrong})
	}
	check("an unknown shop", few, delivery{Body: plain, Header: wrong, Shop: nobody})
	check("a signature that is none", few, delivery{Body: plain, Header: signed("none")})
	check("no signature", few, delivery{Header: signed()})
	few.stop()

	many := besiege(t, false, "--trusted-proxies", "127.66.0.0/16")
	for i := range shops {
		r := many.server.admin(http.MethodPut, fmt.Sprintf("/api/v1/shops/shop-%d.myshopify.com", i),
			fmt.Sprintf(`{"check":false,"api_key":"k","secret":"shpss_%d"}`, i))
		if r.Status != http.StatusOK {
			t.Fatalf("shop %d: %s", i, r)
		}
	}
	awaitIdle(t, many)
	check("with many shops", many, delivery{Body: plain, Header: wrong})
	check("with many shops, another one's secret", many, delivery{Body: plain, Secret: "shpss_7"})
	check("with many shops, an unknown one", many, delivery{Body: plain, Header: wrong, Shop: nobody})
	many.stop()
}

// awaitIdle waits until a server has nothing of its own to do.
func awaitIdle(t *testing.T, s *siege) {
	t.Helper()
	last := time.Duration(-1)
	await(t, "a server without work", func() bool {
		now := serverCPU(t, s.PID)
		quiet := now-last < 20*time.Millisecond
		last = now
		pause(t.Context(), 200*time.Millisecond)
		return quiet
	})
}

// TestAnAnswerDoesNotTellWhichShopsAreConnected sends wrong signatures for a shop
// that is connected, for one that is not, and with the secret of another one. The
// answers are the same to the byte and take the same time.
func TestAnAnswerDoesNotTellWhichShopsAreConnected(t *testing.T) {
	s := besiege(t, false, "--trusted-proxies", "127.66.0.0/16")
	defer s.stop()
	const third = "third-shop.myshopify.com"
	addShop(t, s.server, third, "shpss_of_the_third_shop")
	body := largeBody(9, 1)[:128<<10]
	wrong := signed(badSignature)
	kinds := []struct {
		name string
		d    delivery
	}{
		{"an unknown shop", delivery{Shop: nobody, Header: wrong}},
		{"a wrong secret", delivery{Shop: e2eShop, Header: wrong}},
		{"the secret of another shop", delivery{Shop: third, Secret: e2eSecret}},
	}
	rounds := 300
	if torture() {
		rounds = 2_000
	}
	conn, leave, err := s.connect(t.Context(), s.Public, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	in, first := bufio.NewReader(conn), ""
	measure := func() (fastest, slowest time.Duration) {
		took := make([][]time.Duration, len(kinds))
		for range rounds {
			for _, k := range rand.Perm(len(kinds)) {
				d := kinds[k].d
				d.Body = body
				h := s.elsewhere()
				maps.Copy(h, d.Header)
				d.Header = h
				raw := s.raw(d, 0)
				began := time.Now()
				_, answer, err := exchange(conn, in, raw)
				if err != nil {
					t.Fatal(err)
				}
				took[k] = append(took[k], time.Since(began))
				if first = cmp.Or(first, answer); answer != first || !strings.HasPrefix(answer, "401 ") {
					t.Fatalf("%s is answered\n%s\nand another kind\n%s", kinds[k].name, answer, first)
				}
			}
		}
		var medians []time.Duration
		for k, list := range took {
			slices.Sort(list)
			medians = append(medians, list[len(list)/2])
			t.Logf("%s: %s", kinds[k].name, list[len(list)/2])
		}
		return slices.Min(medians), slices.Max(medians)
	}
	for try := range 2 {
		fastest, slowest := measure()
		if ratio := float64(slowest) / float64(fastest); ratio < 1.4 {
			return
		} else if try == 1 {
			t.Errorf("the slowest takes %.2f times as long as the fastest", ratio)
		}
	}
}
