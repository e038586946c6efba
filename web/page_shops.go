package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/answer"
	"stockroom/internal/status"
)

const shopsListed = 5

// shopsView is the page of shops.
type shopsView struct {
	Rows    []shopView
	Total   int
	Pages   string // "Shops 11 to 20 of 1,000", "" when all are shown
	Prev    string
	Next    string
	Connect *connectForm // nil: not shown
}

// shopView is a shop of the account with what stands for it on the pages.
type shopView struct {
	status.Shop
	Domain    string
	Line      status.Line
	CallState marked // with Label "" when nothing is known
	Points    string // "38 of 2,000 points used", "" when not known
	Step      *stepView
}

func shopOf(a *status.Account, shop status.Shop) shopView {
	v := shopView{Shop: shop, Domain: shop.Shop, Line: a.Of(shop.Shop), Points: pointsWords(shop.Calls, a.Now), Step: stepOf(a.Now, shop.Sync)}
	v.CallState.Label, v.CallState.Mood = callsWords(a, shop)
	return v
}

func (s *Server) shopsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	var form *connectForm
	if q := r.URL.Query(); q.Has("connect") {
		form = s.emptyForm()
		form.Kind, form.Shop = cmp.Or(q.Get("connect"), form.Kind), q.Get("name")
	}
	return s.showShops(w, r, http.StatusOK, form)
}

// showShops shows the shops and, where it is wanted, the form for one more.
func (s *Server) showShops(w http.ResponseWriter, r *http.Request, code int, form *connectForm) error {
	from := 0
	if text := r.URL.Query().Get("from"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return answer.Refuse(http.StatusBadRequest, "Not a page", "This page of the list does not exist; begin at the first one.")
		}
		from = n
	}
	a := s.account(r.Context())
	if a.ShopsErr != nil {
		return a.ShopsErr
	}
	facts := a.Shops
	if len(facts) == 0 && form == nil {
		form = s.emptyForm()
	}
	if only := r.URL.Query().Get("shop"); only != "" {
		facts = slices.DeleteFunc(slices.Clone(facts), func(f status.Shop) bool { return f.Shop != only })
	}
	v := shopsView{Connect: form, Total: len(facts)}
	from = min(from, len(facts)/shopsListed*shopsListed)
	to := min(from+shopsListed, len(facts))
	if len(facts) > shopsListed {
		v.Pages = "Shops " + number(int64(from+1)) + " to " + number(int64(to)) + " of " + number(int64(len(facts)))
		if from > 0 {
			v.Prev = "/shops?from=" + strconv.Itoa(max(0, from-shopsListed))
		}
		if to < len(facts) {
			v.Next = "/shops?from=" + strconv.Itoa(to)
		}
	}
	for _, f := range facts[from:to] {
		v.Rows = append(v.Rows, shopOf(a, f))
	}
	page := sheet{Template: "shops.html", Title: "Shops", Section: "/shops", Reload: 10, Status: code, Data: v}
	if form != nil {
		page.Reload = 0 // what is being typed would be lost
	}
	return s.show(w, r, page)
}

// accesses say how a shop's API is reached, by kind.
var accesses = map[status.Access]string{
	status.ByCredentials: "An app of the shop's own organization; tokens come with its client id and secret and are renewed automatically",
	status.ByConsent:     "An app of another organization, let in by the shop's owner",
	status.ByToken:       "An older app with a fixed access token",
}

// accessWords says how the shop's API is reached.
func accessWords(v status.Connection) string {
	words := accesses[v.Access]
	if code, _ := pauseParts(v.Reason); v.State != "active" && code == "token" {
		words += "; refused by Shopify now"
	}
	return words
}

// subscriptionsState says in a sentence how a shop's subscriptions are. Pull mode
// needs none; that those of before can't be removed is a note there.
func subscriptionsState(st *status.Sync) marked {
	s := st.Subscriptions
	known, unheard := s.KnownByDeliveries()
	switch {
	case st.Looking.Pull:
		return marked{moodIdle, sentences(st.Looking.PullWords(), s.Error, s.Next)}
	case s.CheckedAt.IsZero():
		return marked{moodIdle, "Not checked yet."}
	case !s.Present:
		return marked{moodBad, sentences("Shopify does not send all product updates here", s.Error, s.Next)}
	case len(unheard) > 0:
		return marked{moodGood, "Known by their deliveries, since you subscribed yourself, in the app's own configuration or in the shop's admin. " +
			"Nothing has come yet of " + strings.Join(unheard, ", ") + "."}
	case known:
		return marked{moodGood, "Product updates arrive; you subscribed to some of them yourself, in the app's own configuration or in the shop's admin."}
	}
	return marked{moodGood, "All product updates are subscribed to."}
}

// subscriptionStates say how one subscription is.
var subscriptionStates = map[string]marked{
	"present":       {moodGood, "There"},
	"created":       {moodGood, "There, just created"},
	"moved":         {moodGood, "There, its address was mended"},
	"by-deliveries": {moodGood, "There, as the updates that arrive show"},
	"unheard":       {moodIdle, "Nothing has come yet"},
	"missing":       {moodBad, "Missing"},
	"wrong-address": {moodBad, "Leads to another address"},
	"incomplete":    {moodBad, "Leaves out fields or products"},
	"duplicate":     {moodIdle, "There twice; repeats are recognised"},
	"elsewhere":     {moodIdle, "Leads elsewhere, left alone"},
}

func subscriptionState(s status.Subscription) marked {
	state := cmp.Or(subscriptionStates[s.State], marked{moodIdle, s.State})
	if state.Mood == moodBad && !s.Needed {
		state.Mood = moodIdle // the copy is as true without it
	}
	if s.Reason != "" {
		state.Label += ". Shopify says: " + s.Reason
	}
	return state
}

func scheduleState(s status.Schedule) marked {
	switch {
	case s.Running:
		return marked{moodWait, "Running"}
	case s.Late:
		return marked{moodWait, "Overdue"}
	case s.LastError != "":
		return marked{moodWait, "Failed last time"}
	case s.LastSuccess.IsZero():
		return marked{moodIdle, "Not yet"}
	}
	return marked{moodGood, "On time"}
}

// circuitAction holds the calls to a shop back, lets them go, or has the next
// try made now. Each can be clicked again without another effect.
func (s *Server) circuitAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := s.knownShop(r, p)
	if err != nil {
		return err
	}
	hold := Hold(r.FormValue("hold"))
	said, known := map[Hold]string{HoldOpen: "held", HoldAuto: "allowed", HoldTry: "tried"}[hold]
	if !known {
		return answer.Refuse(http.StatusBadRequest, "Unknown decision",
			"Calls can be held back, allowed again or tried now.")
	}
	if err := s.hold("calls to Shopify decided on the page", shop.Shop, hold); err != nil {
		return err
	}
	return sayAndGo(w, r.FormValue("back"), "/shops", saying(said, 1))
}

// registerAction creates the subscriptions that are missing; those that are
// there stay as they are, so a second click changes nothing.
func (s *Server) registerAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	got, err := s.register(r, p, "subscriptions registered on the page")
	if err != nil {
		return err
	}
	if !got.Present {
		return answer.Refuse(http.StatusConflict, "Not every subscription could be made", sentences(got.Error, got.Next))
	}
	return sayAndGo(w, r.FormValue("back"), "/shops", saying("registered", 1))
}

// removePage asks whether to remove a shop, and whether to delete what is kept of
// it.
func (s *Server) removePage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := shopName(p)
	if err != nil {
		return err
	}
	would, err := s.o.Shops.Remove(r.Context(), shop, true, true)
	if err != nil {
		return err
	}
	v := confirmView{
		Title: "Remove " + shortShop(shop) + "?",
		Text: "Its stored products (" + number(int64(would.Products)) + ") are not kept current any more and become inactive. " +
			"The webhook subscriptions at Shopify that lead here are deleted.",
		Undo:   "Connecting it again brings the products back with its first read.",
		Choice: "Delete everything that is kept of it: products, their history and its credentials. This can't be undone.",
		Action: shopPath(shop) + "/remove", Button: "Remove", Stay: "Cancel", Back: "/shops",
	}
	if len(would.Files) > 0 {
		v.Undo += " Files that were set aside in the data dir may hold something of it; they stay until you delete them: " +
			strings.Join(would.Files, ", ") + "."
	}
	return s.show(w, r, sheet{Template: "confirm.html", Title: v.Title, Section: "/shops", Data: v})
}

// removeAction removes a shop. A second click is told that it was removed already.
func (s *Server) removeAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := shopName(p)
	if err != nil {
		return err
	}
	purge := r.FormValue("purge") != ""
	done, err := s.o.Shops.Remove(r.Context(), shop, purge, false)
	if err != nil {
		return err
	}
	s.logRemoved("shop removed on the page", purge, done)
	said := url.Values{
		"said": {"removed"}, "n": {strconv.Itoa(done.ProductsDeactivated)},
		"fetch": {strconv.Itoa(done.SubscriptionsDeleted)}, "off": {strconv.Itoa(len(done.SubscriptionsLeft))},
	}
	if purge {
		said.Set("said", "purged")
		said.Set("n", strconv.Itoa(done.ProductsDeleted))
	}
	return sayAndGo(w, "/shops", "/shops", said)
}

func (s *Server) logRemoved(words string, purge bool, done Removed) {
	s.audit.Info(words, "shop", done.Shop, "purge", purge,
		"inactive", done.ProductsDeactivated, "deleted", done.ProductsDeleted)
}

// removedWords says what a removal did.
func removedWords(key string, products, deleted, left int64) string {
	words := sentences("The shop was removed, and " + count(products, "product") + " became inactive")
	if key == "purged" {
		words = sentences("The shop was removed, and all that was kept of it was deleted, with " + count(products, "product"))
	}
	if deleted > 0 {
		words += " " + sentences("Deleted "+count(deleted, "webhook subscription")+" at Shopify")
	}
	if left > 0 {
		words += " " + sentences(count(left, "webhook subscription")+
			" could not be deleted there; to end what is left, uninstall the app in the shop's admin")
	}
	return words
}
