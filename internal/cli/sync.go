package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/shopify"
	"stockroom/internal/status"
	"stockroom/internal/uptime"
	"stockroom/store"
	"stockroom/web"
)

type syncCommand struct {
	Shop string `arg:"" optional:"" type:"shop" help:"The shop's domain; without it every connected shop, one after the other."`
	Full bool   `help:"Read every field of every product, even when the copy was compared before."`
}

// Help says which comparison is made.
func (syncCommand) Help() string {
	return "Brings the copy in step with the shop and follows until it is. A shop that was never compared gets a full sync, which reads " +
		"every product by a bulk operation; later the products' ids and times are compared and only the differences are read. A sync that " +
		"runs already is followed. Ctrl-C ends the following; with a running server the sync goes on."
}

func (c syncCommand) Run(e *env) error {
	return e.sync(c.Shop, inStep(c.Full), nil)
}

// inStep chooses the run that brings a copy in step.
func inStep(full bool) func(status.Sync) wish {
	return func(st status.Sync) wish {
		if full || st.Staleness < 0 {
			return wish{kind: store.RunFull}
		}
		return wish{kind: store.RunReconcile}
	}
}

type reconcileCommand struct {
	Shop   string `arg:"" optional:"" type:"shop" help:"The shop's domain; without it every connected shop, one after the other."`
	DryRun bool   `help:"Only tell what differs; change nothing."`
}

// Help says what is compared and how the differences are shown.
func (reconcileCommand) Help() string {
	return "Compares ids, times and variant counts of all products with the shop, reads the products that differ and lists the differences: " +
		"+ for a product that was missing here, ~ for one that was different, with its fields, - for one that the shop does not have any more."
}

func (c reconcileCommand) Run(e *env) error {
	return e.sync(c.Shop, func(status.Sync) wish { return wish{store.RunReconcile, c.DryRun, true} }, nil)
}

// wish is the run that a command asks for.
type wish struct {
	kind   store.RunKind
	dryRun bool
	drift  bool // list what differed
}

// followed is a run with what it found to differ, for the commands that show it.
type followed struct {
	web.Run
	Drift []store.Drift `json:"drift,omitempty"`
}

// sync makes a run of one shop, or of each, and follows it to its end. With --json the
// document has more, too.
func (e *env) sync(shop string, choose func(status.Sync) wish, more map[string]any) error {
	return e.working(func(cl *client) error {
		shops, err := e.shops(cl, shop)
		if err != nil {
			return err
		}
		var failed []error
		runs := []followed{}
		for _, shop := range shops {
			run, w, err := e.syncShop(cl, shop, len(shops) > 1, choose)
			if e.ctx.Err() != nil {
				return e.left(cl, run.Run)
			}
			if run.ID != 0 {
				runs = append(runs, run)
			}
			if err == nil {
				err = verdict(run.Run)
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", shop, err))
				continue
			}
			if !e.json {
				e.tellRun(run, w)
			}
		}
		if e.json {
			doc := map[string]any{"runs": runs}
			maps.Copy(doc, more)
			if err := e.print(doc); err != nil {
				return err
			}
		}
		return gravest(failed)
	})
}

// shops is the named shop, or all that are connected.
func (e *env) shops(cl *client, name string) ([]string, error) {
	if name != "" {
		return []string{name}, nil
	}
	known, err := e.connections(cl)
	if err == nil && len(known) == 0 {
		err = errors.New("no shop is connected; set one up with: " + e.command("init"))
	}
	var list []string
	for _, s := range known {
		list = append(list, s.Shop)
	}
	return list, err
}

// connections are the shops that are connected.
func (e *env) connections(cl *client) ([]status.Connection, error) {
	var out web.ShopList
	err := cl.call(e.ctx, http.MethodGet, "/api/v1/shops", nil, &out)
	return out.Shops, err
}

// syncShop begins or joins a shop's run and follows it.
func (e *env) syncShop(cl *client, shop string, named bool, choose func(status.Sync) wish) (run followed, w wish, err error) {
	path := "/api/v1/shops/" + url.PathEscape(shop) + "/sync"
	var st status.Sync
	if err := cl.call(e.ctx, http.MethodGet, path, nil, &st); err != nil {
		return run, w, err
	}
	w = choose(st)
	if w.kind == store.RunReconcile && !w.drift {
		left, err := e.leftOver(cl, shop)
		if err != nil {
			return run, w, err
		}
		if left {
			w.kind = store.RunFull // it compares more
		}
	}
	p := e.newProgress(shop, named)
	defer p.end()
	if run.Run, err = e.begin(cl, path, w, p); err != nil {
		return followed{}, w, err
	}
	var silent silence
	for run.State == store.RunRunning {
		p.show(run.Run, time.Now())
		if silent.over(run.SyncRun, time.Now()) {
			return run, w, withCode(config.ExitUnreachable, fmt.Errorf("%s. %s", run.Waits, e.goesOn(cl, run.Run)))
		}
		if !uptime.Sleep(e.ctx, followEvery) {
			return run, w, e.ctx.Err()
		}
		var next web.Run
		if err := cl.call(e.ctx, http.MethodGet, fmt.Sprintf("/api/v1/syncs/%d", run.ID), nil, &next); err != nil {
			return run, w, err
		}
		run.Run = next
	}
	p.end()
	if w.drift {
		run.Drift, err = e.driftOf(cl, run.ID)
	}
	return run, w, err
}

const (
	followEvery = 500 * time.Millisecond // how often a run is asked for
	behindEvery = 2 * time.Second        // and how often whether one that is in the way has ended
	// shortSilence is how long a run is followed that waits for Shopify to answer
	// and has read nothing yet; longSilence, one that has begun to read.
	shortSilence = 5 * time.Second
	longSilence  = 2 * time.Minute
	// workersBegin is how long the workers of a process that has just started may
	// need until they take orders.
	workersBegin = 5 * time.Second
)

// silence is since when Shopify does not answer a run; zero: it does.
type silence struct{ since time.Time }

// over reports whether a run has waited for Shopify for so long that nobody
// should follow it further.
func (s *silence) over(run store.SyncRun, now time.Time) bool {
	if !unreachable(run.Cause) {
		s.since = time.Time{}
		return false
	}
	if s.since.IsZero() {
		s.since = now
	}
	limit := longSilence
	if run.Read+run.Objects == 0 {
		limit = shortSilence
	}
	return now.Sub(s.since) >= limit
}

// leftOver reports whether a full sync of the shop runs, or was left by an
// earlier process and is to go on.
func (e *env) leftOver(cl *client, shop string) (bool, error) {
	var out web.RunList
	path := address("/api/v1/syncs", map[string]string{"shop": shop, "kind": string(store.RunFull), "limit": "1"})
	err := cl.call(e.ctx, http.MethodGet, path, nil, &out)
	return len(out.Syncs) > 0 && out.Syncs[0].State == store.RunRunning, err
}

// begin starts the run. While another one is in the way it waits, unless that one
// waits for Shopify itself.
func (e *env) begin(cl *client, path string, w wish, p *progress) (web.Run, error) {
	until := time.Now().Add(workersBegin)
	var silent silence
	for {
		var run web.Run
		err := cl.call(e.ctx, http.MethodPost, path, map[string]any{"kind": w.kind, "dry_run": w.dryRun}, &run)
		var refused *answer.Refusal
		if !errors.As(err, &refused) {
			return run, err
		}
		wait := behindEvery
		switch refused.Code {
		case answer.CodeSyncRuns:
			var st status.Sync
			if err := cl.call(e.ctx, http.MethodGet, path, nil, &st); err != nil {
				return run, err
			}
			text := "waiting for another sync of the shop to end"
			if st.Running != nil && st.Waits != "" {
				text += ", which waits: " + st.Waits
			}
			p.say(text, time.Now())
			if st.Running != nil && silent.over(*st.Running, time.Now()) {
				return run, withCode(config.ExitUnreachable, fmt.Errorf(
					"another sync of the shop is in the way and can't go on: %s. %s", st.Waits, e.goesOn(cl, web.Run{SyncRun: *st.Running})))
			}
		case answer.CodeSyncNotBegun:
			p.say(refused.Detail, time.Now())
		case answer.CodeNothingWorks:
			if wait = 50 * time.Millisecond; time.Now().After(until) {
				return run, err
			}
		default:
			return run, err
		}
		if !uptime.Sleep(e.ctx, wait) {
			return run, e.ctx.Err()
		}
	}
}

// driftOf reads all differences that a run noted.
func (e *env) driftOf(cl *client, run int64) ([]store.Drift, error) {
	var all []store.Drift
	params := map[string]string{"limit": "1000"}
	for {
		var out web.DriftList
		path := address(fmt.Sprintf("/api/v1/syncs/%d/drift", run), params)
		if err := cl.call(e.ctx, http.MethodGet, path, nil, &out); err != nil {
			return all, err
		}
		all = append(all, out.Drift...)
		if out.Next == nil {
			return all, nil
		}
		params["after"] = *out.Next
	}
}

// left says what becomes of a run that is not followed any more.
func (e *env) left(cl *client, run web.Run) error {
	if run.ID == 0 {
		return errors.New("stopped before the sync began")
	}
	return errors.New("stopped following. " + e.goesOn(cl, run))
}

// goesOn says who goes on with a run.
func (e *env) goesOn(cl *client, run web.Run) string {
	if cl.alone {
		return "The sync goes on where it was with the next " + e.command("serve") + " or " + e.command("sync")
	}
	return fmt.Sprintf("Sync %d goes on in the running server; %s follows it again, the status page can cancel it", run.ID, e.command("sync"))
}

// verdict is nil for a run that went well.
func verdict(run web.Run) error {
	switch run.State {
	case store.RunDone:
		if unproven(run) {
			return errors.New(notProven(run))
		}
		return nil
	case store.RunCancelled:
		return errors.New("the sync was cancelled")
	}
	err := errors.New(cmp.Or(run.Error, "the sync failed"))
	if unreachable(run.Cause) {
		return withCode(config.ExitUnreachable, err)
	}
	return err
}

// unreachable reports whether a run's cause is that Shopify does not answer.
func unreachable(cause string) bool {
	return slices.ContainsFunc([]shopify.Kind{
		shopify.KindNetwork, shopify.KindTimeout, shopify.KindServer, shopify.KindOpen, shopify.KindUnreadable,
	}, func(k shopify.Kind) bool { return cause == k.String() })
}

// gravest joins errors under one exit code: that of an unreachable Shopify only
// when nothing else is wrong.
func gravest(failed []error) error {
	if len(failed) == 0 {
		return nil
	}
	code := config.ExitUnreachable
	for _, err := range failed {
		if exitCode(err) != config.ExitUnreachable {
			code = config.ExitFailed
		}
	}
	return withCode(code, errors.Join(failed...))
}

// tellRun says what a run did, and what differed.
func (e *env) tellRun(run followed, w wish) {
	took := ""
	if run.FinishedAt >= run.StartedAt && run.FinishedAt > 0 {
		took = " in " + roughly(time.Duration(run.FinishedAt-run.StartedAt)*time.Millisecond)
	}
	what := status.Count(max(run.Read, run.Added+run.Changed+run.Unchanged+run.Ignored), "product")
	differed := run.Added + run.Changed + run.Removed
	verb := map[store.RunKind]string{store.RunFull: "read", store.RunReconcile: "compared", store.RunIncremental: "looked at"}[run.Kind]
	left := leftOpen(run.Run)
	switch {
	case differed == 0 && left != "":
		left = "; t" + left[1:]
	case differed == 0:
		left = "; nothing differs."
	case run.DryRun:
		left = ": " + signs(run.SyncRun) + ". This was a dry run: nothing was changed. " + left
	default:
		left = ": " + signs(run.SyncRun) + ". " + left
	}
	fmt.Fprintf(e.Stdout, "%s: %s %s%s%s\n", run.Shop, what, verb, took, strings.TrimSpace(left))
	if !w.drift {
		return
	}
	for _, d := range run.Drift {
		e.tellDrift(d)
	}
	if more := differed - int64(len(run.Drift)); more > 0 && len(run.Drift) > 0 {
		fmt.Fprintf(e.Stdout, "and %s more, which are not listed.\n", status.Number(more))
	}
}

// unproven reports whether a comparison came to its end and was not complete.
func unproven(run web.Run) bool {
	return run.State == store.RunDone && (run.Kind == store.RunFull || run.Kind == store.RunReconcile) && !run.Proven
}

// leftOpen says what a run that came to its end has left, "" for nothing. It
// begins with "The".
func leftOpen(run web.Run) string {
	switch {
	case run.ProvenAt != 0, run.Error == "" && (run.DryRun || run.Kind == store.RunIncremental):
		return ""
	case run.Kind == store.RunIncremental:
		return "The copy still differs: " + printable(strings.TrimSuffix(run.Error, ".")) + "."
	}
	return notProven(run)
}

// notProven says why a run does not prove the copy to be in step.
func notProven(run web.Run) string {
	why := cmp.Or(strings.TrimSuffix(run.Error, "."), "not everything could be compared")
	return "The copy is not proven to be in step: " + printable(why) + ". It is compared again automatically."
}

// tellDrift writes one difference: a sign, the product, and its fields.
func (e *env) tellDrift(d store.Drift) {
	sign := map[store.DriftKind]string{store.DriftMissing: "+", store.DriftDifferent: "~", store.DriftExtra: "-"}[d.Kind]
	fmt.Fprintf(e.Stdout, "%s %d %s\n", sign, d.ExternalID, printable(d.Title))
	for _, f := range d.Fields {
		fmt.Fprintf(e.Stdout, "    %s\n", fieldWords(f))
	}
}

// fieldWords says `title: "a" -> "b"`.
func fieldWords(f catalog.FieldDiff) string {
	return printable(f.Path) + ": " + quoted(f.Old) + " -> " + quoted(f.New)
}

// longestValue bounds what is shown of a value, in characters.
const longestValue = 60

// quoted writes a value on one line, cut short when it is long.
func quoted(s string) string {
	if utf8.RuneCountInString(s) > longestValue {
		r := []rune(s)
		return strconv.Quote(string(r[:longestValue])) + fmt.Sprintf("... (%s characters)", status.Number(int64(len(r))))
	}
	return strconv.Quote(s)
}
