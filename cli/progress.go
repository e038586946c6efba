package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"stockroom/store"
)

// lineEvery is how often progress is told where it can't be drawn.
const lineEvery = 5 * time.Second

// progress tells how a run goes: a bar on a terminal, else a line at most every
// few seconds.
type progress struct {
	out    io.Writer
	prefix string
	bar    *progressbar.ProgressBar // nil: lines
	said   time.Time                // when the last line was written
	text   string
	ended  bool
}

// newProgress writes to standard error. named: several shops are followed, so
// each line says which.
func (e *env) newProgress(shop string, named bool) *progress {
	p := &progress{out: e.Stderr}
	if named {
		p.prefix = shop + ": "
	}
	if isTerminal(e.Stderr) {
		p.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(e.Stderr), progressbar.OptionSetWidth(24),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())
	}
	return p
}

// show tells how the run stands.
func (p *progress) show(run syncRun, now time.Time) {
	if p.bar != nil {
		done, all := run.Read, run.Expected
		if run.Phase != "reading" && run.Phase != "listing" {
			done, all = 0, 0
		}
		switch {
		case all > 0 && p.bar.GetMax64() != all:
			p.bar.ChangeMax64(all)
		case all <= 0 && p.bar.GetMax64() != -1:
			p.bar.ChangeMax64(-1)
		}
		_ = p.bar.Set64(min(done, max(all-1, 0))) // the last one comes with the end
	}
	p.say(progressWords(run, now), now)
}

func (p *progress) say(text string, now time.Time) {
	text = p.prefix + text
	if p.bar != nil {
		p.bar.Describe(text)
		return
	}
	if text == p.text || now.Sub(p.said) < lineEvery {
		return
	}
	p.said, p.text = now, text
	fmt.Fprintln(p.out, text)
}

// end clears the bar.
func (p *progress) end() {
	if p.bar != nil && !p.ended {
		_ = p.bar.Clear()
	}
	p.ended = true
}

// progressWords says what a run does: "reading 12,400 of 100,000 products,
// 1,900/s, about 46 s left".
func progressWords(run syncRun, now time.Time) string {
	if run.Waits != "" {
		text := "waiting: " + run.Waits
		if left := time.UnixMilli(run.WaitsUntil).Sub(now); left >= time.Second {
			text += "; next try in " + roughly(left)
		}
		return text
	}
	switch run.Phase {
	case "exporting":
		if n := max(run.ObjectsTotal, run.Objects); n > 0 {
			return "Shopify is exporting, " + thousands(n) + " objects so far"
		}
		return "Shopify is exporting"
	case "reading", "listing":
		verb := "reading "
		if run.Phase == "listing" {
			verb = "comparing "
		}
		if run.Read == 0 && run.Expected == 0 {
			return strings.TrimSpace(verb)
		}
		return verb + amount(run.Read, run.Expected) + pace(run, now)
	case "repairing":
		return "reading what differs: " + signs(run.SyncRun) + " so far"
	case "removing":
		return "looking for products that are gone"
	}
	return "waiting for Shopify"
}

// amount says "12,400 of 100,000 products".
func amount(n, of int64) string {
	if of > 0 {
		return thousands(n) + " of " + products(of)
	}
	return products(n)
}

func products(n int64) string {
	if n == 1 {
		return "1 product"
	}
	return thousands(n) + " products"
}

func pace(run syncRun, now time.Time) string {
	var text string
	if run.Rate >= 1 {
		text = ", " + thousands(int64(run.Rate+0.5)) + "/s"
	}
	if left := time.UnixMilli(run.EndsAt).Sub(now); run.EndsAt > 0 && left > 0 {
		text += ", about " + roughly(left) + " left"
	}
	return text
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

// thousands writes a number with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	var sign string
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// signs says "+1 ~20 -3".
func signs(run store.SyncRun) string {
	return fmt.Sprintf("+%s ~%s -%s", thousands(run.Added), thousands(run.Changed), thousands(run.Removed))
}
