package web

import (
	"html/template"
	"reflect"
	"slices"
	"strings"
	"time"

	"stockroom/internal/status"
	"stockroom/store"
)

// pageFuncs are what templates write the API's own views with.
func pageFuncs() template.FuncMap {
	return template.FuncMap{
		// instants and sentences
		"since":     func(at any) instant { return since(time.Now(), timeOf(at)) },
		"ahead":     func(at any) instant { return ahead(time.Now(), timeOf(at)) },
		"clock":     func(at any) instant { return clock(time.Now(), timeOf(at)) },
		"spanOf":    func(seconds float64) string { return span(time.Duration(seconds * float64(time.Second))) },
		"parts":     func(text string) []part { return parts(time.Now(), text) },
		"said":      func(w status.Words) []part { return partsOf(time.Now(), w) },
		"sentences": func(text string) string { return sentences(text) },
		// numbers, texts and lists
		"bytes":   status.Bytes,
		"number":  func(n any) string { return number(int64Of(n)) },
		"count":   func(n any, thing string) string { return count(int64Of(n), thing) },
		"text":    text,
		"capital": capital,
		"cut":     cut,
		"first":   first,
		"more":    func(n, shown int) int { return max(0, n-shown) },
		// products
		"page":      productPath,
		"name":      productName,
		"titleOf":   titleOf,
		"stateOf":   stateOf,
		"optionsOf": optionsOf,
		// shops
		"shop":            shortShop,
		"pathOf":          shopPath,
		"selection":       selectionWords,
		"access":          accessWords,
		"schedule":        scheduleWords,
		"stateOfSchedule": scheduleState,
		"all":             func(s status.Subscriptions) []status.Subscription { return slices.Concat(s.Wanted, s.Others) },
		"stateOfAll":      subscriptionsState,
		"stateOfOne":      subscriptionState,
		"arrival":         arrival,
		"rejected":        rejectedWords,
		// runs
		"titleOfRun": runTitle,
		"stateOfRun": runStanding,
		"meaningOf":  meaningOf,
		"resultOf":   resultWords,
		"factsOf":    factsOf,
		"tookOf":     tookWords,
		"progressOf": func(run Run) *progressView {
			if run.State != store.RunRunning {
				return nil
			}
			return progressOf(&run)
		},
		// health
		"checkName":      checkName,
		"stateOfNotice":  func(n status.Notice) marked { return notices[n.Level] },
		"stateOfFinding": func(f Finding) marked { return findings[f.Level] },
	}
}

// timeOf is an instant as the views have it: a time, milliseconds, or a pointer to
// those, nil for none.
func timeOf(v any) time.Time {
	switch at := v.(type) {
	case time.Time:
		return at
	case *time.Time:
		return *at // of what is shown only where there is one
	case store.Millis:
		if at > 0 {
			return at.Time()
		}
	case *store.Millis:
		if at != nil {
			return at.Time()
		}
	}
	return time.Time{}
}

// optionsOf names a product's options.
func optionsOf(p *store.ProductRow) string {
	var names []string
	for _, o := range p.Options.Value() {
		names = append(names, o.Name)
	}
	return strings.Join(names, " / ")
}

// cut shortens a text to so many bytes and says so.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " ..."
}

// marked is a mark with its word.
type marked struct {
	Mood  mood
	Label string
}

// int64Of is a number of any of the integer types, or what points to one.
func int64Of(n any) int64 { return reflect.Indirect(reflect.ValueOf(n)).Int() }

// first is the beginning of a list.
func first(most int, list any) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(most, v.Len())).Interface()
}
