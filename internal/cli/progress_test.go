package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"stockroom/store"
	"stockroom/web"
)

// screen is a terminal of a few columns that wraps and knows what a drawn line
// needs: return, erase to the end of the line, new line.
type screen struct {
	t       *testing.T
	columns int
	rows    [][]rune
	at      int
}

func newScreen(t *testing.T, columns int) *screen {
	return &screen{t: t, columns: columns, rows: [][]rune{nil}}
}

func (s *screen) Write(b []byte) (int, error) {
	for rest := string(b); rest != ""; {
		row := &s.rows[len(s.rows)-1]
		switch {
		case strings.HasPrefix(rest, "\x1b[K"), strings.HasPrefix(rest, "\x1b[0K"):
			*row = (*row)[:min(s.at, len(*row))]
			rest = rest[strings.IndexByte(rest, 'K')+1:]
			continue
		case rest[0] == '\x1b':
			s.t.Fatalf("a code that the screen does not know: %q", rest)
		case rest[0] == '\r':
			s.at = 0
		case rest[0] == '\n':
			s.rows, s.at = append(s.rows, nil), 0
		default:
			if s.at == s.columns {
				s.rows, s.at = append(s.rows, nil), 0
				row = &s.rows[len(s.rows)-1]
			}
			for len(*row) <= s.at {
				*row = append(*row, ' ')
			}
			r, _ := utf8.DecodeRuneInString(rest)
			(*row)[s.at] = r
			s.at++
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
	}
	return len(b), nil
}

func (s *screen) lines() (list []string) {
	for _, row := range s.rows {
		list = append(list, strings.TrimRight(string(row), " "))
	}
	return list
}

// aWholeRun is how a sync passes, with the longest of words.
func aWholeRun(now time.Time) (list []web.Run) {
	add := func(run web.Run, phase string) {
		run.Phase = phase
		list = append(list, run)
	}
	add(web.Run{}, "")
	add(web.Run{SyncRun: store.SyncRun{ObjectsTotal: 1_234_567}}, "exporting")
	for n := int64(0); n <= 100_000; n += 12_500 {
		add(web.Run{SyncRun: store.SyncRun{Read: n, Expected: 100_000}, Rate: 1900, EndsAt: now.Add(time.Duration((100_000-n)/2) * time.Millisecond)}, "reading")
	}
	add(web.Run{SyncRun: store.SyncRun{Read: 5}}, "reading")
	add(web.Run{SyncRun: store.SyncRun{Read: 7, Expected: 3}}, "listing")
	add(web.Run{SyncRun: store.SyncRun{Read: 3, Expected: 9}, Waits: "Größeres geht vor: Shopify läßt gerade nur wenige Anfragen durch", WaitsUntil: now.Add(24 * time.Second)}, "reading")
	add(web.Run{SyncRun: store.SyncRun{Read: 100_000, Expected: 100_000}}, "removing")
	add(web.Run{SyncRun: store.SyncRun{Read: 100_000, Expected: 100_000, Added: 1_000_000, Changed: 2_000_000, Removed: 3_000_000}}, "repairing")
	return list
}

func TestProgressIsDrawnOnOneLineOfAnyWidthAndLeavesNothing(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	for _, shop := range []string{"", "linen-and-sons.myshopify.com"} {
		for columns := 1; columns <= 120; columns++ {
			s := newScreen(t, columns)
			p := &progress{out: s, shop: shop, columns: func() int { return columns }}
			for i, run := range aWholeRun(now) {
				p.show(run, now)
				if columns >= len("^C") {
					fmt.Fprint(s, "^C")
				}
				if lines := s.lines(); len(lines) != 1 {
					t.Fatalf("%d columns: wrapped at %+v: %q", columns, run, lines)
				} else if columns >= 40 && utf8.RuneCountInString(lines[0]) < len("|  reading") {
					t.Errorf("%d columns, step %d: %q says nothing", columns, i, lines[0])
				}
			}
			p.end()
			fmt.Fprint(s, "x\n")
			if lines := s.lines(); lines[0] != "x" {
				t.Errorf("%d columns: %q is left", columns, lines[0])
			}
		}
	}
}

func TestWhatIsDrawnFitsTheTerminal(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	run := web.Run{SyncRun: store.SyncRun{Phase: "reading", Read: 50_000, Expected: 100_000}, Rate: 1900, EndsAt: now.Add(26 * time.Second)}
	for _, c := range []struct {
		columns    int
		shop, want string
	}{
		{122, "", "  50% |████████████            |  reading 50,000 of 100,000 products, 1,900/s, about 26 s left"},
		{82, "", "  50% |████    |  reading 50,000 of 100,000 products, 1,900/s, about 26 s left"},
		{72, "", "  50% |███    |  reading 50,000 of 100,000 products, about 26 s left"},
		{52, "", "  50% |██  |  50,000 of 100,000, about 26 s left"},
		{42, "", "  50% |██  |  reading, about 26 s left"},
		{32, "", "  50% |█████      |  reading"},
		{22, "", " 50%  reading"},
		{82, "linen.myshopify.com", "  50% |█████     |  linen: reading 50,000 of 100,000 products, about 26 s left"},
		{52, "linen.myshopify.com", "  50% |███    |  linen: reading, about 26 s left"},
	} {
		s := newScreen(t, c.columns)
		p := &progress{out: s, shop: c.shop, columns: func() int { return c.columns }}
		p.show(run, now)
		if got := s.lines()[0]; got != c.want {
			t.Errorf("%d columns:\n%q, want\n%q", c.columns, got, c.want)
		}
	}
}

func TestWhatComesAfterTheReadingIsDrawnToo(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	s := newScreen(t, 80)
	p := &progress{out: s, columns: func() int { return 80 }}
	for phase, want := range map[string]string{"removing": "looking for products that are gone", "repairing": "reading what differs: +0 ~0 -0 so far", "listing": "comparing 9 of 9 products"} {
		p.show(web.Run{SyncRun: store.SyncRun{Phase: "reading", Read: 5500, Expected: 6000}}, now)
		p.show(web.Run{SyncRun: store.SyncRun{Phase: phase, Read: 9, Expected: 9}}, now)
		if got := s.lines()[0]; !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q", phase, got)
		}
	}
}

func TestNothingIsDrawnOnAFileOrInAPipe(t *testing.T) {
	var out bytes.Buffer
	for _, w := range []io.Writer{&out, io.Discard} {
		e := &env{Process: Process{Stderr: w, Environ: []string{"TERM=xterm"}}}
		if p := e.newProgress("my-shop", false); p.columns != nil {
			t.Error("drawn on what is no terminal")
		}
	}
}
