package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"stockroom/internal/status"
	"stockroom/store"
	"stockroom/web"
)

// lineEvery is how often progress is told where it can't be drawn.
const lineEvery = 5 * time.Second

const (
	barWidth    = 24 // columns of the bar itself, at most
	barLeast    = 4  // a shorter one says nothing: it is left out
	barAround   = 11 // columns around it: percent, brackets, blanks
	columnsElse = 80 // of a terminal that does not tell
)

// progress tells how a run goes: a line that is drawn again on a terminal, else a
// line at most every few seconds.
type progress struct {
	out     io.Writer
	shop    string     // named in each line when several are followed, else ""
	columns func() int // of the terminal, which may change; nil: lines
	turns   int        // of the sign that something is going on
	drawn   bool
	said    time.Time // when the last line was written
	text    string
}

// newProgress writes to standard error. named: several shops are followed, so
// each line says which.
func (e *env) newProgress(shop string, named bool) *progress {
	p := &progress{out: e.Stderr}
	if named {
		p.shop = shop
	}
	if f, ok := e.Stderr.(*os.File); ok && e.draws(f) {
		p.columns = func() int {
			columns, _, err := term.GetSize(int(f.Fd()))
			if err != nil || columns <= 0 {
				return columnsElse
			}
			return columns
		}
	}
	return p
}

// besideProgress is standard error for lines that may come while progress is
// drawn: they take its place, and the next drawing comes below them.
func (e *env) besideProgress() io.Writer {
	if !e.draws(e.Stderr) {
		return e.Stderr
	}
	return overDrawn{e.Stderr}
}

type overDrawn struct{ w io.Writer }

// Write writes whole lines.
func (o overDrawn) Write(lines []byte) (int, error) {
	n, err := o.w.Write(append([]byte(clearLine), lines...))
	return max(0, n-len(clearLine)), err
}

// clearLine goes back to the line's begin and clears it.
const clearLine = "\r\033[K"

// show tells how the run stands.
func (p *progress) show(run web.Run, now time.Time) {
	var done, all int64
	if run.Phase == "reading" || run.Phase == "listing" {
		done, all = min(run.Read, run.Expected-1), run.Expected // the last one comes with the end
	}
	p.tell(done, all, progressWords(run, now), now)
}

// bytes tells how much of something has been read.
func (p *progress) bytes(what string) func(done, all int64) {
	var next time.Time
	return func(done, all int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(100 * time.Millisecond)
			p.tell(min(done, all-1), all, []string{what + ", " + status.Bytes(done) + " of " + status.Bytes(all), what}, now)
		}
	}
}

// during says what is waited for until do has ended.
func (p *progress) during(what string, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case now := <-tick.C:
			p.say(what, now)
		}
	}
}

func (p *progress) say(text string, now time.Time) { p.tell(0, 0, []string{text}, now) }

// tell draws or writes the words, given in ever shorter forms.
func (p *progress) tell(done, all int64, words []string, now time.Time) {
	if p.columns != nil {
		p.turns++
		p.drawn = true
		_, _ = io.WriteString(p.out, drawn(done, all, p.turns, p.shop, words, p.columns()))
		return
	}
	text := words[0]
	if p.shop != "" {
		text = p.shop + ": " + text
	}
	if text == p.text || now.Sub(p.said) < lineEvery {
		return
	}
	p.said, p.text = now, text
	fmt.Fprintln(p.out, text)
}

// end clears the line.
func (p *progress) end() {
	if p.drawn {
		_, _ = io.WriteString(p.out, clearLine)
	}
	p.drawn = false
}

// drawn is one line over the last one. It leaves the last columns free: what is
// wrapped can't be drawn over, and a Ctrl-C shows as ^C behind the line.
func drawn(done, all int64, turn int, shop string, words []string, columns int) string {
	columns -= len("^C")
	if columns < 8 {
		return clearLine
	}
	if all <= 0 {
		return fmt.Sprintf("%s%c  %s", clearLine, `|/-\`[turn%4], fitting(shop, words, columns-4))
	}
	text := fitting(shop, words, columns-1-barAround-barLeast)
	if text == "" || strings.HasSuffix(text, cut) {
		percent := fmt.Sprintf("%3d%%  ", done*100/all)
		return clearLine + percent + fitting(shop, words, columns-1-len(percent))
	}
	var line bytes.Buffer
	bar := progressbar.NewOptions64(all, progressbar.OptionSetWriter(&line), progressbar.OptionUseANSICodes(true), progressbar.OptionThrottle(0),
		progressbar.OptionSetWidth(min(barWidth, columns-1-barAround-utf8.RuneCountInString(text))), progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	_ = bar.Set64(max(done, 0))
	line.Reset() // what that drew had no words yet
	bar.Describe(text)
	return line.String()
}

// cut ends what is not whole.
const cut = "..."

// fitting is the longest form that fits, with as much of the shop's name as
// there is room for. The shortest is cut when there is no other way.
func fitting(shop string, words []string, room int) string {
	names := []string{""}
	if shop != "" {
		names = []string{shop + ": ", strings.TrimSuffix(shop, ".myshopify.com") + ": "}
	}
	for _, text := range words {
		for _, name := range names {
			if utf8.RuneCountInString(name+text) <= room {
				return name + text
			}
		}
	}
	if room < len(cut) {
		return ""
	}
	text := []rune(names[len(names)-1] + words[len(words)-1])
	return string(text[:room-len(cut)]) + cut
}

// progressWords says what a run does, in ever fewer words: "reading 12,400 of
// 100,000 products, 1,900/s, about 46 s left".
func progressWords(run web.Run, now time.Time) []string {
	if run.Waits != "" {
		text := "waiting: " + run.Waits
		if left := run.WaitsUntil.Sub(now); left >= time.Second {
			next := "next try in " + roughly(left)
			return []string{text + "; " + next, text, "waiting, " + next}
		}
		return []string{text}
	}
	switch run.Phase {
	case "exporting":
		if n := max(run.ObjectsTotal, run.Objects); n > 0 {
			return []string{"Shopify is exporting, " + status.Number(n) + " objects so far", "exporting, " + status.Number(n) + " so far", "exporting"}
		}
		return []string{"Shopify is exporting", "exporting"}
	case "reading", "listing":
		verb := "reading"
		if run.Phase == "listing" {
			verb = "comparing"
		}
		if run.Read == 0 && run.Expected == 0 {
			return []string{verb}
		}
		what, rate, left := verb+" "+amount(run.Read, run.Expected), "", ""
		if run.Rate >= 1 {
			rate = ", " + status.Number(int64(run.Rate+0.5)) + "/s"
		}
		if run.EndsAt.After(now) {
			left = ", about " + roughly(run.EndsAt.Sub(now)) + " left"
		}
		words := []string{what + rate + left, what + left}
		if run.Expected > 0 {
			words = append(words, status.Number(run.Read)+" of "+status.Number(run.Expected)+left)
		}
		return append(words, what, verb+left, verb)
	case "repairing":
		return []string{"reading what differs: " + signs(run.SyncRun) + " so far", "reading what differs"}
	case "removing":
		return []string{"looking for products that are gone", "looking for gone products"}
	}
	return []string{"waiting for Shopify"}
}

// amount says "12,400 of 100,000 products".
func amount(n, of int64) string {
	if of > 0 {
		return status.Number(n) + " of " + status.Count(of, "product")
	}
	return status.Count(n, "product")
}

// roughly says a length of time as a person would: 46 s, 3 min, 2 h.
func roughly(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", max(1, int(d.Seconds()+0.5)))
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	}
	return fmt.Sprintf("%d h", int(d.Hours()+0.5))
}

// signs says "+1 ~20 -3".
func signs(run store.SyncRun) string {
	return fmt.Sprintf("+%s ~%s -%s", status.Number(run.Added), status.Number(run.Changed), status.Number(run.Removed))
}
