package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"stockroom/status"
)

const shopsListed = 5

// shopsView is the page of shops.
type shopsView struct {
	Rows      []shopRow
	Total     int
	Pages     string // "Shops 11 to 20 of 1,000", "" when all are shown
	Prev      string
	Next      string
	CanMend   bool // subscriptions can be registered
	PublicURL string
	Connect   *connectForm // nil: not shown
}

type shopRow struct {
	Key, Domain, Name string
	Path              string
	Line              lineView
	Token             string
	Secret            string
	Selection         string
	Merchant          string
	Added             instant
	FromEnvironment   bool
	Calls             string // how the calls stand, "" when not known
	CallsMood         mood
	CallsReason       string
	Points            string
	Waiting           string
	Version           string
	Held              bool // by hand
	CanTry            bool // calls wait, and can be tried now
	Step              *stepView
	Subscriptions     *subscriptionsView
	Schedules         []scheduleRow
}

type subscriptionsView struct {
	Mood    mood
	Text    string
	Checked instant
	Rows    []subscriptionRow
}

type subscriptionRow struct {
	About, Topic, Label string
	Mood                mood
	URI                 string
}

type scheduleRow struct {
	Name, Every, Error string
	Mood               mood
	Label              string
	Last, Next         instant
	Held               string // why it is not done before Next, "" for nothing
	Running            bool
}

func (s *Server) shopsPage(w http.ResponseWriter, r *http.Request, _ httprouter.Params) error {
	var form *connectForm
	if r.URL.Query().Has("connect") {
		form = s.emptyForm()
	}
	return s.showShops(w, r, http.StatusOK, form)
}

// showShops shows the shops and, where it is wanted, the form for one more.
func (s *Server) showShops(w http.ResponseWriter, r *http.Request, code int, form *connectForm) error {
	from := 0
	if text := r.URL.Query().Get("from"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return refuse(http.StatusBadRequest, "Not a page", "This page of the list does not exist; begin at the first one.")
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
	v := shopsView{Connect: form, Total: len(facts), PublicURL: s.o.PublicURL, CanMend: s.o.Syncs != nil && s.o.PublicURL != ""}
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
		v.Rows = append(v.Rows, shopRowOf(a, f))
	}
	page := sheet{Template: "shops.html", Title: "Shops", Section: "/shops", Reload: 10, Status: code, Data: v}
	if form != nil {
		page.Reload = 0 // what is being typed would be lost
	}
	return s.show(w, r, page)
}

func shopRowOf(a *status.Account, f status.Shop) shopRow {
	now := a.Now
	row := shopRow{
		Key: f.Shop, Domain: f.Shop, Name: shortShop(f.Shop), Path: "/shops/" + url.PathEscape(f.Shop), Line: lineOf(now, a.Of(f.Shop)),
		Token: tokenWords(f.Connection), Secret: secretWords(f.Connection), Selection: selectionWords(f.Selection), Merchant: f.MerchantID, Added: since(now, f.AddedAt),
		FromEnvironment: f.FromEnvironment, Points: pointsWords(f.Calls, now), Step: stepOf(now, f.Sync),
	}
	row.Calls, row.CallsMood = callsWords(a, f)
	if f.Calls != nil {
		row.CallsReason, row.Held = f.Calls.Reason, f.Calls.Held
		row.CanTry = f.Calls.Open() || f.State == "paused"
		row.Version = f.Calls.Version
		if f.Calls.Deprecated != "" {
			row.Version += ", and Shopify will drop something that is asked for: " + f.Calls.Deprecated
		}
		if f.Calls.Failed != "" {
			row.CallsReason = f.Calls.Failed
		}
		if f.Calls.Waiting > 0 {
			row.Waiting = count(int64(f.Calls.Waiting), "call") + " waiting for points"
		}
	}
	if f.Sync != nil {
		row.Subscriptions = subscriptionsOf(now, f.Sync.Subscriptions)
		for _, sc := range f.Sync.Schedules {
			row.Schedules = append(row.Schedules, scheduleRowOf(now, sc))
		}
	}
	return row
}

// tokenWords says how the shop's API is reached.
func tokenWords(v status.Connection) string {
	code, _ := pauseParts(v.Reason)
	switch {
	case v.State != "active" && code == "token":
		return "refused by Shopify"
	case v.HasToken:
		return "a fixed access token"
	}
	return "got from Shopify with the app's credentials and renewed by itself"
}

// secretWords says whether deliveries can be verified.
func secretWords(v status.Connection) string {
	switch {
	case !v.HasSecret:
		return "missing, so product updates can't be checked"
	case v.PreviousSecret:
		return "known; the one before it is still accepted"
	}
	return "known"
}

func subscriptionsOf(now time.Time, s status.Subscriptions) *subscriptionsView {
	v := subscriptionsView{Mood: moodGood, Text: "All product updates are subscribed to.", Checked: since(now, s.CheckedAt)}
	known, unheard := s.KnownByDeliveries()
	switch {
	case s.CheckedAt.IsZero():
		v.Mood, v.Text = moodIdle, "Not checked yet."
	case !s.Present:
		v.Mood, v.Text = moodBad, sentences("Shopify does not send all product updates here", s.Error, s.Next)
	case len(unheard) > 0:
		v.Text = "Known by their deliveries, since the app's own configuration subscribes. Nothing has come yet of " +
			strings.Join(unheard, ", ") + "."
	case known:
		v.Text = "Product updates arrive; the app's own configuration subscribes to some of them."
	}
	for _, one := range s.Wanted {
		v.Rows = append(v.Rows, subscriptionRowOf(one))
	}
	for _, one := range s.Others {
		v.Rows = append(v.Rows, subscriptionRowOf(one))
	}
	return &v
}

func subscriptionRowOf(s status.Subscription) subscriptionRow {
	row := subscriptionRow{About: arrival(s.Topic), Topic: s.Topic, URI: s.URI, Mood: moodGood}
	switch s.State {
	case "present":
		row.Label = "There"
	case "created":
		row.Label = "There, just created"
	case "moved":
		row.Label = "There, its address was mended"
	case "by-deliveries":
		row.Label = "There, as the updates that arrive show"
	case "unheard":
		row.Mood, row.Label = moodIdle, "Nothing has come yet"
	case "missing":
		row.Mood, row.Label = moodBad, "Missing"
	case "wrong-address":
		row.Mood, row.Label = moodBad, "Leads to another address"
	case "incomplete":
		row.Mood, row.Label = moodBad, "Leaves out fields or products"
	case "duplicate":
		row.Mood, row.Label = moodIdle, "There twice; repeats are recognised"
	case "elsewhere":
		row.Mood, row.Label = moodIdle, "Leads elsewhere, left alone"
	default:
		row.Mood, row.Label = moodIdle, s.State
	}
	if row.Mood == moodBad && !s.Needed {
		row.Mood = moodIdle // the copy is as true without it
	}
	if s.Reason != "" {
		row.Label += ". Shopify says: " + s.Reason
	}
	return row
}

func scheduleRowOf(now time.Time, s status.Schedule) scheduleRow {
	row := scheduleRow{
		Name: scheduleWords(s.Name), Every: span(time.Duration(s.Every * float64(time.Second))), Error: s.LastError, Running: s.Running,
		Last: since(now, s.LastSuccess), Next: ahead(now, s.Next), Held: s.Held, Mood: moodGood, Label: "On time",
	}
	switch {
	case s.Running:
		row.Mood, row.Label = moodWait, "Running"
	case s.Late:
		row.Mood, row.Label = moodWait, "Overdue"
	case s.LastError != "":
		row.Mood, row.Label = moodWait, "Failed last time"
	case s.LastSuccess.IsZero():
		row.Mood, row.Label = moodIdle, "Not yet"
	}
	return row
}

// circuitAction holds the calls to a shop back, lets them go, or has the next
// try made now. Each can be clicked again without another effect.
func (s *Server) circuitAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := s.knownShop(r, p)
	if err != nil {
		return err
	}
	if s.o.Outbound == nil {
		return refuse(http.StatusConflict, "No calls", "This server makes no calls to Shopify.")
	}
	hold := Hold(r.FormValue("hold"))
	said, known := map[Hold]string{HoldOpen: "held", HoldAuto: "allowed", HoldTry: "tried"}[hold]
	if !known {
		return refuse(http.StatusBadRequest, "Unknown decision", "Calls can be held back, allowed again or tried now.")
	}
	if err := s.o.Outbound.Hold(shop.Shop, hold); err != nil {
		return err
	}
	s.audit.Info("calls to Shopify decided on the page", "shop", shop.Shop, "hold", string(hold))
	return sayAndGo(w, r.FormValue("back"), "/shops", saying(said, 1))
}

// registerAction creates the subscriptions that are missing; those that are
// there stay as they are, so a second click changes nothing.
func (s *Server) registerAction(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, syncs, err := s.comparing(r, p)
	if err != nil {
		return err
	}
	if s.o.PublicURL == "" {
		return refuse(http.StatusConflict, noPublicAddress,
			"Stockroom does not know where Shopify reaches it. Start stockroom serve with --public-url https://YOUR-HOST and try again.")
	}
	got, err := syncs.CheckSubscriptions(r.Context(), shop, true)
	if err != nil {
		return outboundRefusal(err)
	}
	s.audit.Info("subscriptions registered on the page", "shop", shop, "present", got.Present)
	if !got.Present {
		return refuse(http.StatusConflict, "Not every subscription could be made", sentences(got.Error, got.Next))
	}
	return sayAndGo(w, r.FormValue("back"), "/shops", saying("registered", 1))
}
