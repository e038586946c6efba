package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"stockroom/internal/catalog"
	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/web"
)

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
	why := strings.TrimSuffix(run.Error, ".")
	if why == "" {
		why = "not everything could be compared"
	}
	return "The copy is not proven to be in step: " + printable(why) + ". It is compared again by itself."
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
