package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"stockroom/internal/status"
)

type webhooksListCommand struct {
	Shop string `arg:"" optional:"" type:"shop" help:"The shop's domain; without it every connected shop."`
}

func (c webhooksListCommand) Run(e *env) error {
	return e.subscriptions(c.Shop, http.MethodGet)
}

type webhooksRegisterCommand struct {
	Shop string `arg:"" optional:"" type:"shop" help:"The shop's domain; without it every connected shop."`
}

// Help says what is needed and what is left alone.
func (webhooksRegisterCommand) Help() string {
	return "Needs --public-url, the address at which Shopify reaches the server; in pull mode nothing is registered. Creates the subscriptions that are missing, moves those that " +
		"Stockroom made for another address, and replaces those that leave out fields or products. Subscriptions that lead elsewhere are never " +
		"touched. A running server with --public-url does the same automatically every five minutes."
}

func (c webhooksRegisterCommand) Run(e *env) error {
	return e.subscriptions(c.Shop, http.MethodPost)
}

// shopSubscriptions are the subscriptions of a shop.
type shopSubscriptions struct {
	Shop string `json:"shop"`
	status.Subscriptions
	Pull bool `json:"pull"` // pull mode: no subscription is needed

	mode string // what pull mode is, in words
}

// lookAt asks whether this is pull mode.
func (s *shopSubscriptions) lookAt(e *env, cl *client) error {
	var st status.Sync
	if err := cl.call(e.ctx, http.MethodGet, "/api/v1/shops/"+url.PathEscape(s.Shop)+"/sync", nil, &st); err != nil {
		return err
	}
	l := st.Looking
	l.Every = time.Duration(l.EverySeconds * float64(time.Second))
	if s.Pull, s.mode = l.Pull, l.PullWords(); l.Pull {
		s.Error, s.Next = st.Subscriptions.Error, st.Subscriptions.Next
	}
	return nil
}

// subscriptions lists or registers the subscriptions of one shop, or of each.
func (e *env) subscriptions(shop, method string) error {
	return e.with(false, func(cl *client) error {
		shops, err := e.shops(cl, shop)
		if err != nil {
			return err
		}
		var failed []error
		all := []shopSubscriptions{}
		for _, shop := range shops {
			s := shopSubscriptions{Shop: shop}
			if err := cl.call(e.ctx, method, "/api/v1/shops/"+url.PathEscape(shop)+"/subscriptions", nil, &s.Subscriptions); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", shop, err))
				continue
			}
			if err := s.lookAt(e, cl); err != nil {
				return err
			}
			all = append(all, s)
			if !e.json {
				if err := e.tellSubscriptions(s); err != nil {
					return err
				}
			}
			if method == http.MethodPost && !s.Present {
				failed = append(failed, fmt.Errorf("%s: %w", shop, errors.New("not every subscription could be made")))
			}
		}
		if e.json {
			if err := e.print(map[string]any{"shops": all}); err != nil {
				return err
			}
		}
		if len(failed) == 1 {
			return withCode(exitCode(failed[0]), failed[0]) // a missing setting keeps its code
		}
		return gravest(failed)
	})
}

// subscriptionWords say how a subscription is, by its state.
var subscriptionWords = map[string]string{
	"created":       "made now",
	"moved":         "moved here now",
	"wrong-address": "leads to a wrong address",
	"incomplete":    "leaves out fields or products",
	"duplicate":     "there twice",
	"elsewhere":     "leads elsewhere, left alone",
	"by-deliveries": "made elsewhere; it delivers",
	"unheard":       "nothing has come yet",
}

func (e *env) tellSubscriptions(s shopSubscriptions) error {
	fmt.Fprintf(e.Stdout, "%s:\n", s.Shop)
	w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
	for _, list := range [][]status.Subscription{s.Wanted, s.Others} {
		for _, sub := range list {
			words := cmp.Or(subscriptionWords[sub.State], sub.State)
			if sub.Reason != "" {
				words += ", Shopify says: " + printable(sub.Reason)
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\n", printable(sub.Topic), words, orDash(printable(sub.URI)))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	known, unheard := s.KnownByDeliveries()
	switch {
	case s.Pull:
		fmt.Fprintln(e.Stdout, printable(status.Sentences(s.mode, "no subscriptions are needed", s.Error, s.Next)))
	case !s.Present:
		missing := "Shopify does not send all product updates here: " + status.MissingWords(s.Subscriptions)
		fmt.Fprintln(e.Stdout, printable(status.Sentences(missing, s.Error, s.Next)))
	case len(unheard) > 0:
		fmt.Fprintf(e.Stdout, "Product updates are known by their deliveries: you subscribed yourself, in the app's own configuration or in the shop's admin. "+
			"Nothing has come yet of %s.\n", strings.Join(unheard, ", "))
	case known:
		fmt.Fprintln(e.Stdout, "Every subscription that is needed is there, some of them made by yourself in the app's own configuration or in the shop's admin.")
	default:
		fmt.Fprintln(e.Stdout, "Every subscription that is needed is there.")
	}
	return nil
}
