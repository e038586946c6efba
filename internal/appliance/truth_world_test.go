package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing/synctest"
	"time"

	"stockroom/internal/fakeshopify"
	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/web"
	"stockroom/webhook"
)

// truth is a world whose account of health is held against what is so. It knows
// every version that each product had in the shop, and what was done to it.
type truth struct {
	*world
	versions map[int64][]version
	began    map[string]time.Time // troubles that last, since when
	over     map[string]time.Time // troubles and events, when they were over last
	edits    []time.Time
	trusted  map[int64]time.Time // products of which a signed body told what is not so
	mended   time.Time           // when a person had dead letters tried again
	missed   time.Time           // the first edit whose deliveries are kept away, zero when none are
	admin    http.Handler
	of       *web.Server
	// What was heard by the process that runs: the newest refused signature, the
	// newest valid delivery, and the newest under another name.
	refused, valid, strange time.Time
}

// version is what a product was from an instant on; nil: it was not there.
type version struct {
	from    time.Time
	product *fakeshopify.Product
}

// heardOf are the instants that listen notes.
func (w *truth) heardOf() (refused, valid, strange time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused, w.valid, w.strange
}

func newTruth(base, from string, table []status.Row, o fakeshopify.Options, before func(w *truth)) (*truth, error) {
	w := &truth{world: &world{base: base, served: true, table: table}, versions: map[int64][]version{}, began: map[string]time.Time{}, over: map[string]time.Time{}, trusted: map[int64]time.Time{}}
	w.world.heard = w.listen
	w.world.prepared = func() {
		w.record()
		w.happened("start")
		if before != nil {
			before(w)
		}
	}
	return w, w.enter(from, o)
}

// listen notes what was answered to a delivery.
func (w *truth) listen(in *http.Request, code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch name := in.Header.Get("X-Shopify-Shop-Domain"); {
	case name == otherName:
		if w.known == len(w.secrets) { // else it is a mere stranger's
			w.strange = time.Now()
		}
	case code == http.StatusUnauthorized && in.Header.Get("X-Shopify-Hmac-Sha256") != "":
		w.refused = time.Now()
	case code < 300, code == http.StatusServiceUnavailable: // authentic, and not kept
		w.valid = time.Now()
	}
}

// record notes what the shop's products are now.
func (w *truth) record() {
	now, there := time.Now(), map[int64]bool{}
	for _, p := range w.shop.Snapshot() {
		there[p.ID] = true
		list := w.versions[p.ID]
		if len(list) == 0 {
			list = []version{{}} // it was not there
		}
		if last := list[len(list)-1].product; last == nil || !reflect.DeepEqual(*last, p) {
			w.versions[p.ID] = append(list, version{now, &p})
		}
	}
	for id, list := range w.versions {
		if !there[id] && list[len(list)-1].product != nil {
			w.versions[id] = append(list, version{from: now})
		}
	}
}

// happened notes an event, or the end of a trouble.
func (w *truth) happened(what string) { w.over[what] = time.Now() }

// edit changes the shop.
func (w *truth) edit(change func()) {
	change()
	w.record()
	w.happened("edit")
	w.edits = append(w.edits, time.Now())
	if w.withheld() && w.missed.IsZero() {
		w.missed = time.Now()
	}
}

// withheld reports whether deliveries that we wait for are kept away from us.
func (w *truth) withheld() bool {
	return !w.pull && (w.lasts("deaf") || w.lasts("wrong secret") || w.lasts("renamed"))
}

func (w *truth) lasts(name string) bool { return !w.began[name].IsZero() }

// untrue is how the copy differs from what the shop had at an instant or since, ""
// for in no product.
func (w *truth) untrue(asOf time.Time) (string, error) {
	list, err := w.store.Listing(context.Background(), convergeShop, 0, 10_000)
	if err != nil {
		return "", err
	}
	here := map[int64]bool{}
	for _, l := range list {
		here[l.ID] = true
		if w.versions[l.ID] == nil {
			return fmt.Sprintf("product %d never was in the shop", l.ID), nil
		}
	}
	for id, versions := range w.versions {
		if w.trusted[id].After(asOf) {
			continue // the next comparison finds it
		}
		var row store.ProductRow
		if here[id] {
			if row, err = w.store.Product(context.Background(), convergeShop, id); err != nil {
				return "", err
			}
		}
		why, right := "", false
		for i, v := range slices.Backward(versions) {
			if i+1 < len(versions) && !versions[i+1].from.After(asOf) {
				break // it was another one by then
			}
			switch {
			case v.product == nil && here[id]:
				why += "; it is not there"
			case v.product != nil && !here[id]:
				why += "; it is there"
			case v.product == nil:
				right = true
			default:
				d, err := unlike(row, *v.product)
				if err != nil {
					return "", err
				}
				right = len(d) == 0
				why += "; " + strings.Join(d, ", ")
			}
			if right {
				break
			}
		}
		if !right {
			return fmt.Sprintf("product %d is no version of since %v%s", id, asOf.Format(time.TimeOnly), why), nil
		}
	}
	return "", nil
}

// ask gets a page of the admin listener in the same process.
func (w *truth) ask(path string) (string, error) {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+path, nil)
	r.RemoteAddr = "127.0.0.1:4000"
	r.Header.Set("Authorization", "Bearer "+w.Token())
	rec := httptest.NewRecorder()
	if w.of != w.web {
		w.admin, w.of = w.Admin(), w.web // of the process that runs
	}
	w.admin.ServeHTTP(rec, r)
	body, err := io.ReadAll(rec.Result().Body)
	if err == nil && rec.Code != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, rec.Code, body)
	}
	return string(body), err
}

// said is what /api/v1/status says.
type said struct {
	Mood     status.Mood `json:"mood"`
	Sentence string      `json:"sentence"`
	Code     string      `json:"code"`
	AsOf     *time.Time  `json:"as_of"`
	InStep   bool        `json:"in_step"`
	Next     string      `json:"next"`
	Lines    []struct {
		Code, Sentence string
		Mood           status.Mood
	} `json:"lines"`
	Shops []struct {
		InStep bool       `json:"in_step"`
		AsOf   *time.Time `json:"as_of"`
	} `json:"shops"`
}

var (
	headline = regexp.MustCompile(`(?s)<section class="state (\w+)" id="state".*?<h1 id="sentence">(.*?)</h1>`)
	inTags   = regexp.MustCompile(`<[^>]*>`)
	zone     = regexp.MustCompile(` ?\(?UTC\)?`)
)

// plain is a text without tags, and without the zone of its times.
func plain(text string) string {
	text = zone.ReplaceAllString(html.UnescapeString(inTags.ReplaceAllString(text, "")), "")
	return strings.Join(strings.Fields(text), " ")
}

// disagree is in what the faces of the account differ, "" for in nothing.
func (w *truth) disagree(a *status.Account) (string, error) {
	text, err := w.ask("/api/v1/status")
	if err != nil {
		return "", err
	}
	var api said
	if err := json.Unmarshal([]byte(text), &api); err != nil {
		return "", err
	}
	shop := a.Shops[0]
	var codes, sentences []string
	for _, l := range a.Lines {
		codes, sentences = append(codes, l.Code), append(sentences, l.Sentence(a.Now))
	}
	var apiCodes, apiSentences []string
	for _, l := range api.Lines {
		apiCodes, apiSentences = append(apiCodes, l.Code), append(apiSentences, l.Sentence)
	}
	switch {
	case api.Code != a.Head.Code || api.Sentence != a.Head.Sentence(a.Now) || api.Mood != a.Head.Mood || !slices.Equal(apiCodes, codes) || !slices.Equal(apiSentences, sentences):
		return fmt.Sprintf("the API says %s %q %v, the account %s %q %v", api.Code, api.Sentence, apiCodes, a.Head.Code, a.Head.Sentence(a.Now), codes), nil
	case api.InStep != shop.Sync.InStep || api.Shops[0].InStep != shop.Sync.InStep:
		return fmt.Sprintf("the API says in step %v, the account %v", api.InStep, shop.Sync.InStep), nil
	case api.InStep && (api.AsOf == nil || !api.AsOf.Equal(shop.Sync.AsOf)):
		return fmt.Sprintf("the API says as of %v, the account %v", api.AsOf, shop.Sync.AsOf), nil
	case api.Mood == status.Good && !api.InStep:
		return "green and not in step", nil
	case api.InStep && slices.ContainsFunc(a.Lines, func(l status.Line) bool { return l.Against }):
		return fmt.Sprintf("in step, and against it stands %v", codes), nil
	case api.Mood == status.Bad && api.Next == "":
		return fmt.Sprintf("the red line %s says no next step", api.Code), nil
	}

	page, err := w.ask("/")
	if err != nil {
		return "", err
	}
	head := headline.FindStringSubmatch(page)
	if head == nil || head[1] != string(api.Mood) || plain(head[2]) != plain(api.Sentence) {
		return fmt.Sprintf("the page says %q, the API %s %q", head, api.Mood, api.Sentence), nil
	}

	scrape, err := w.ask("/metrics")
	if err != nil {
		return "", err
	}
	metric := func(series string) float64 {
		for line := range strings.Lines(scrape) {
			if value, ok := strings.CutPrefix(line, series+" "); ok {
				v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err == nil {
					return v
				}
			}
		}
		return math.NaN()
	}
	for _, code := range status.Codes() {
		n := 0
		for _, c := range codes {
			if c == code {
				n++
			}
		}
		if got := metric(fmt.Sprintf(`stockroom_condition{code=%q}`, code)); got != float64(n) {
			return fmt.Sprintf("the metric of the condition %s is %v, the API has %d", code, got, n), nil
		}
	}
	in := 0.0
	if api.InStep {
		in = 1
	}
	label := fmt.Sprintf(`{shop=%q}`, convergeShop)
	if shop.State != "uninstalled" && metric("stockroom_in_step"+label) != in {
		return fmt.Sprintf("the metric in_step is %v, the API says %v", metric("stockroom_in_step"+label), api.InStep), nil
	}
	if stale := metric("stockroom_staleness_seconds" + label); api.InStep && math.Abs(stale-a.Now.Sub(*api.AsOf).Seconds()) > 1 {
		return fmt.Sprintf("the metric of staleness is %v, as of is %v ago", stale, a.Now.Sub(*api.AsOf)), nil
	}

	var doctor []string
	for _, f := range w.examineStatus(context.Background()) {
		doctor = append(doctor, f.Check+" "+f.Text)
		if want := map[status.Mood]string{status.Bad: levelFail, status.Wait: levelWarn, status.Good: levelOK, status.Idle: levelOK}[w.moodOf(a, f.Check)]; f.Level != want {
			return fmt.Sprintf("the doctor says %s of %s, the account %s", f.Level, f.Check, want), nil
		}
	}
	var want []string
	for i, code := range codes {
		want = append(want, code+" "+sentences[i])
	}
	if !slices.Equal(doctor, want) {
		return fmt.Sprintf("the doctor says %v, the API %v", doctor, want), nil
	}
	return "", nil
}

// clocks are times of day in words.
func (w *truth) clocks(at map[string]time.Time) map[string]string {
	words := map[string]string{}
	for name, t := range at {
		words[name] = t.Format(time.TimeOnly)
	}
	return words
}

func sentenceOf(a *status.Account, code string) string {
	for _, l := range a.Lines {
		if l.Code == code {
			return l.Sentence(a.Now) + " " + l.Next.Text(a.Now)
		}
	}
	return ""
}

func (w *truth) moodOf(a *status.Account, code string) status.Mood {
	for _, l := range a.Lines {
		if l.Code == code {
			return l.Mood
		}
	}
	return ""
}

// look is the oracle: what is said now is held against what is so. all: of every
// face.
func (w *truth) look(all bool) error {
	synctest.Wait()
	a := w.status.Read(context.Background(), time.Now())
	var codes []string
	for _, l := range a.Lines {
		codes = append(codes, l.Code)
	}
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s, said %v %q: "+format, append([]any{a.Now.Format(time.DateTime), codes, a.Head.Sentence(a.Now)}, args...)...)
	}
	if len(a.Shops) != 1 || len(a.Lines) == 0 || a.Head.Code != codes[0] {
		return wrong("no account: %d shops", len(a.Shops))
	}
	w.putOff(a.Now, a.Shops[0].State == "paused")
	// Never better than the truth.
	if s := a.Shops[0].Sync; s.InStep {
		if s.AsOf.IsZero() || s.AsOf.After(a.Now) {
			return wrong("as of %v", s.AsOf)
		}
		if diff, err := w.untrue(s.AsOf); err != nil {
			return err
		} else if diff != "" {
			return wrong("%s", diff)
		}
	}
	if diff, err := w.stale(a); diff != "" || err != nil {
		return errors.Join(err, wrong("%s", diff))
	}
	for _, t := range troubles {
		if !w.lasts(t.name) || t.must == nil {
			continue
		}
		if due, want := t.must(w, a.Now); due && !slices.ContainsFunc(want, func(c string) bool { return slices.Contains(codes, c) }) {
			return wrong("%s lasts since %v, and none of %v is said", t.name, w.began[t.name].Format(time.TimeOnly), want)
		}
	}
	// Refused signatures are told of for 10 minutes, or until a valid delivery; with a
	// witness for a day at most.
	refused, valid, strange := w.heardOf()
	told := slices.Contains(codes, "secret-doubt") || slices.Contains(codes, "secret-wrong")
	if open := !refused.IsZero() && a.Now.Sub(refused) <= webhook.RefusedFor && !valid.After(refused); open && !told ||
		told && !open && (!slices.Contains(codes, "secret-wrong") || valid.After(refused) || a.Now.Sub(refused) > 24*time.Hour) {
		return wrong("refused at %v, valid at %v: told is %v", refused.Format(time.TimeOnly), valid.Format(time.TimeOnly), told)
	}
	if unknown := !strange.IsZero() && a.Now.Sub(strange) < 24*time.Hour; unknown != slices.Contains(codes, "stranger") {
		return wrong("a delivery under another name came at %v", strange)
	}
	// Never worse, and by no other name: each line has its cause.
	for _, code := range codes {
		if w.pull && slices.Contains(pushed, code) {
			return wrong("%s (%s) in pull mode", code, sentenceOf(a, code))
		}
		if !w.explained(code, a.Now) {
			return wrong("nothing that was done explains %s (%s); troubles %v, over %v", code, sentenceOf(a, code), w.clocks(w.began), w.clocks(w.over))
		}
	}
	if !all {
		return nil
	}
	diff, err := w.disagree(a)
	if err == nil && diff != "" {
		err = wrong("%s", diff)
	}
	return err
}

// pushed are the lines about deliveries that are waited for.
var pushed = []string{"secret-missing", "secret-wrong", "deaf", "late", "unsubscribed", "subscriptions-unknown"}

// stale is what a copy in pull mode that is in step does not show though it was
// looked for long ago, "" for nothing.
func (w *truth) stale(a *status.Account) (string, error) {
	s, quiet := a.Shops[0].Sync, w.quietSince()
	if !w.pull || s == nil || !s.InStep || quiet.IsZero() || w.lasts("index lag") || w.lasts("broken filter") {
		return "", nil
	}
	since := quiet
	for _, name := range []string{"edit", "other mode", "crash", "throttle", "ahead", "queue full", "broken filter"} {
		if at := w.over[name]; at.After(since) {
			since = at
		}
	}
	if at := w.over["index lag"]; within(at, 2*time.Hour, a.Now) || a.Now.Sub(since) < 2*s.Looking.Every+moments {
		return "", nil // the next comparison finds what the search has lost
	}
	diff, err := w.untrue(a.Now)
	if diff != "" {
		diff = "looks go well, and " + diff
	}
	return diff, err
}

// explained reports whether something that was done is a cause of a line, and not
// over for longer than stated.
func (w *truth) explained(code string, now time.Time) bool {
	if code == "in-step" || code == "stranger" || code == "secret-doubt" || code == "misfits" {
		return true // held against what was heard
	}
	if code == "secret-wrong" { // needs a witness
		return w.lasts("wrong secret") || w.lasts("deaf") || within(w.over["wrong secret"], 24*time.Hour, now) || within(w.over["deaf"], 4*time.Hour, now)
	}
	if code == "dead" && !w.mended.IsZero() {
		return within(w.mended, moments, now) || within(w.over["ahead"], looked, now)
	}
	for _, t := range troubles {
		lasts, may := t.may[code]
		if may && (w.lasts(t.name) || within(w.over[t.name], lasts, now)) {
			return true
		}
	}
	return false
}

func within(at time.Time, d time.Duration, now time.Time) bool {
	return !at.IsZero() && now.Sub(at) <= d
}
