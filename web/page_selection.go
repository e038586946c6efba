package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/store"
)

// selectionView is the form of a shop's selection.
type selectionView struct {
	Shop, Name string
	Path       string
	Now        string // what is in force, in words
	Mode       string
	Include    string // one id a line
	Exclude    string
	Rules      string
	Version    string   // of what the form was opened with
	Wrong      []string // what is wrong with what was sent
	Conflict   bool     // somebody changed it meanwhile
	Theirs     string   // what they chose, one thing a line
}

// versionOf names a selection as it is: a form that was opened with another one
// must not overwrite it.
func versionOf(sel catalog.Selection) string {
	text, err := json.Marshal(selectionOf(sel))
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func selectionForm(shop status.Connection) selectionView {
	sel := selectionOf(shop.Selection)
	return selectionView{
		Shop: shop.Shop, Name: shortShop(shop.Shop), Path: shopPath(shop.Shop) + "/selection",
		Now: selectionWords(sel), Mode: string(sel.Mode), Include: idLines(sel.Include), Exclude: idLines(sel.Exclude), Rules: ruleLines(sel.Rules),
		Version: versionOf(sel),
	}
}

func idLines(ids []int64) string {
	lines := make([]string, len(ids))
	for i, id := range ids {
		lines[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(lines, "\n")
}

func ruleLines(rules []catalog.Rule) string {
	lines := make([]string, len(rules))
	for i, r := range rules {
		lines[i] = string(r.Field) + "=" + r.Value
	}
	return strings.Join(lines, "\n")
}

func (s *Server) selectionPage(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	shop, err := s.knownShop(r, p)
	if err != nil {
		return err
	}
	v := selectionForm(shop)
	return s.show(w, r, sheet{Template: "selection.html", Title: "Selection of " + v.Name, Section: "/shops", Data: v})
}

// saveSelection replaces a shop's selection, unless it is no longer the one that
// the form was opened with. Saving the same again changes nothing.
func (s *Server) saveSelection(w http.ResponseWriter, r *http.Request, p httprouter.Params) error {
	s.undo.saving.Lock() // the look and the change are one step for two windows
	defer s.undo.saving.Unlock()
	shop, err := s.knownShop(r, p)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	sel, wrong := readSelection(r.PostForm)
	v := selectionForm(shop)
	again := func(status int) error {
		v.Mode, v.Include, v.Exclude, v.Rules = r.PostForm.Get("mode"), r.PostForm.Get("include"), r.PostForm.Get("exclude"), r.PostForm.Get("rules")
		return s.show(w, r, sheet{Template: "selection.html", Title: "Selection of " + v.Name, Section: "/shops", Status: status, Data: v})
	}
	if len(wrong) > 0 {
		v.Wrong, v.Version = wrong, r.PostForm.Get("version")
		return again(http.StatusBadRequest)
	}
	if r.PostForm.Get("version") == v.Version {
		if v.Wrong = unchosen(r.PostForm, v); len(v.Wrong) > 0 {
			return again(http.StatusBadRequest)
		}
	}
	if store.SameSelection(shop.Selection, sel) {
		return sayAndGo(w, v.Path, "/shops", saying("same", 1))
	}
	if r.PostForm.Get("version") != v.Version {
		v.Conflict, v.Theirs = true, theirs(shop.Selection)
		return again(http.StatusConflict)
	}
	if r.PostForm.Get("yes") == "" {
		would, err := s.o.Store.PreviewSelection(r.Context(), shop.Shop, sel)
		if err != nil {
			return err
		}
		if remarks := selectionRemarks(sel, would); would.Drastic() || len(remarks) > 0 {
			return s.confirmSelection(w, r, v, would, remarks)
		}
	}
	effect, err := s.o.Shops.Select(r.Context(), shop.Shop, sel)
	if err != nil {
		return err
	}
	s.audit.Info("selection changed on the page", "shop", shop.Shop, "activated", effect.Activated, "deactivated", effect.Deactivated)
	said := url.Values{"said": {"selected"}, "n": {strconv.Itoa(effect.Activated)}, "off": {strconv.Itoa(effect.Deactivated)}, "fetch": {strconv.Itoa(effect.ToFetch)}}
	if effect.FullSync {
		said.Set("fetch", strconv.Itoa(effect.ToFetch+1))
	}
	return sayAndGo(w, v.Path, "/shops", said)
}

// confirmSelection asks whether a selection that leaves much out, or that may
// have a slip in it, is to be saved.
func (s *Server) confirmSelection(
	w http.ResponseWriter, r *http.Request, form selectionView, e store.SelectionEffect, remarks []string,
) error {
	v := confirmView{
		Title: "Save this selection of " + form.Name + "?", Text: strings.Join(append(remarks, wouldDo(e)), " "),
		Undo:   "A product that is left out keeps its row and its last content; selecting it again reads it again.",
		Action: form.Path, Button: "Save", Stay: "Cancel", Back: form.Path, Hidden: []hiddenField{{"yes", "yes"}},
	}
	if e.Drastic() {
		v.Title = wouldLeaveOut(e) + ". Go on?"
	}
	for _, name := range []string{"version", "mode", "include", "rules", "exclude"} {
		v.Hidden = append(v.Hidden, hiddenField{name, r.PostForm.Get(name)})
	}
	return s.show(w, r, sheet{Template: "confirm.html", Title: v.Title, Section: "/shops", Data: v})
}

// unchosen names what was typed into a field whose choice is not the chosen one;
// it would count for nothing. What stood there before was not typed.
func unchosen(form url.Values, opened selectionView) (wrong []string) {
	for _, field := range []struct{ name, before, choice string }{
		{"include", opened.Include, "Only these products"}, {"rules", opened.Rules, "Products that fit a rule"},
	} {
		typed := strings.Join(strings.Fields(form.Get(field.name)), " ")
		if form.Get("mode") != field.name && typed != "" && typed != strings.Join(strings.Fields(field.before), " ") {
			wrong = append(wrong,
				fmt.Sprintf("Something is written under %q, but that is not chosen. Choose it, or empty its field.", field.choice))
		}
	}
	return wrong
}

// wouldLeaveOut says how many products a selection makes INACTIVE.
func wouldLeaveOut(e store.SelectionEffect) string {
	return number(int64(e.Deactivated)) + " of " + count(int64(e.Active), "ACTIVE product") + " would become INACTIVE"
}

// wouldDo says what a selection would do, as sentences.
func wouldDo(e store.SelectionEffect) string {
	words := sentences(wouldLeaveOut(e) + ", and " + number(int64(e.Activated)) + " INACTIVE would become ACTIVE")
	if e.ToFetch > 0 {
		words += " " + sentences(count(int64(e.ToFetch), "product")+" would be read from Shopify")
	}
	if e.FullSync {
		words += " " + sentences("The whole shop would be read once, as products that are not stored may fit")
	}
	return words
}

// selectionRemarks says what may be a slip: rules that fit no stored product, and
// ids that are not stored. Before the first products are stored nothing can be said.
func selectionRemarks(sel catalog.Selection, e store.SelectionEffect) (list []string) {
	if e.Stored == 0 {
		return nil
	}
	for _, u := range e.Unmatched {
		words := fmt.Sprintf("No stored product fits %s=%s", u.Field, u.Value)
		var near []string
		for _, v := range u.Near {
			near = append(near, fmt.Sprintf("%q (%s)", v.Value, number(int64(v.Products))))
		}
		switch {
		case len(near) == 0:
			words += "; none has a " + string(u.Field)
		case u.More > 0:
			words += "; there are " + strings.Join(near, ", ") + " and " + count(int64(u.More), "other")
		default:
			words += "; there is " + strings.Join(near, ", ")
		}
		list = append(list, words+".")
	}
	in, out := []string{}, []string{}
	for _, id := range e.NotStored {
		if slices.Contains(sel.Exclude, id) {
			out = append(out, strconv.FormatInt(id, 10))
		} else {
			in = append(in, strconv.FormatInt(id, 10))
		}
	}
	if len(in) > 0 {
		list = append(list, "Not stored yet: "+someOf(in)+". What exists of them in the shop is read from Shopify.")
	}
	if len(out) > 0 {
		list = append(list, "Not stored, so leaving them out changes nothing now: "+someOf(out)+".")
	}
	return list
}

// someOf names the first of a list and how many more there are.
func someOf(list []string) string {
	if len(list) <= 5 {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:5], ", ") + " and " + number(int64(len(list)-5)) + " more"
}

// theirs writes a selection out, so that it can be compared with one's own.
func theirs(sel catalog.Selection) string {
	sel = selectionOf(sel)
	lines := []string{capital(selectionWords(sel))}
	for _, part := range []struct{ name, lines string }{{"Only", idLines(sel.Include)}, {"Matching", ruleLines(sel.Rules)}, {"Except", idLines(sel.Exclude)}} {
		if part.lines != "" {
			lines = append(lines, part.name+": "+strings.ReplaceAll(part.lines, "\n", ", "))
		}
	}
	return strings.Join(lines, "\n")
}

// readSelection reads the form and says what is wrong with it. Only the fields of
// the chosen mode count.
func readSelection(form url.Values) (sel catalog.Selection, wrong []string) {
	sel.Mode = catalog.Mode(form.Get("mode"))
	var more []error
	switch sel.Mode {
	case catalog.SelectAll:
	case catalog.SelectInclude:
		sel.Include, more = catalog.ParseIDs(form.Get("include"))
	case catalog.SelectRules:
		for line := range strings.Lines(form.Get("rules")) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			rule, err := catalog.ParseRule(line)
			if err != nil {
				wrong = append(wrong, sentences(err.Error()))
				continue
			}
			sel.Rules = append(sel.Rules, rule)
		}
	default:
		return sel, []string{"Choose which products are kept."}
	}
	wrong = append(wrong, sentencesOf(more)...)
	sel.Exclude, more = catalog.ParseIDs(form.Get("exclude"))
	wrong = append(wrong, sentencesOf(more)...)
	if err := sel.Validate(); err != nil && len(wrong) == 0 {
		wrong = append(wrong, sentences(err.Error()))
	}
	return sel, wrong
}

// sentencesOf says errors as sentences, the first five of them.
func sentencesOf(errs []error) (list []string) {
	for _, err := range errs[:min(len(errs), 5)] {
		list = append(list, sentences(err.Error()))
	}
	return list
}

// selectedWords says what a changed selection did.
func selectedWords(on, off, fetch int64) string {
	words := sentences("Saved", count(on, "product")+" became active, "+number(off)+" inactive")
	if fetch > 0 {
		words += " " + sentences("What is not stored yet or may be older is read from Shopify")
	}
	return words
}
