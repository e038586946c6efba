package bulk

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestAnyOrderAnyChunksAnyKillsGiveEveryGroupOnce: whatever the order of the
// lines, the cuts and the moments of death, what was saved in the
// end is what the file says, each group once.
func TestAnyOrderAnyChunksAnyKillsGiveEveryGroupOnce(t *testing.T) {
	dir := fastFolder(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		list := catalogue(r, rapid.IntRange(0, 40).Draw(rt, "roots"), rapid.IntRange(0, 12).Draw(rt, "children"), nil)
		how := rapid.SampledFrom([]layout{grouped, ungrouped, shuffled}).Draw(rt, "layout")
		lines := arrange(r, list, how)
		noise := rapid.Bool().Draw(rt, "noise")
		data := file(r, lines, noise)
		most := rapid.SampledFrom([]int{1, 7, 300, 1 << 20}).Draw(rt, "chunk")
		kills := rapid.IntRange(0, 6).Draw(rt, "kills")
		saves := rapid.IntRange(1, 20).Draw(rt, "saves")
		d := newDisk(dir, fmt.Sprint(n))
		chunk := func() int { return 1 + r.IntN(most) }
		var s Stats
		for done := false; !done; {
			life := 1 << 30
			if kills > 0 {
				kills--
				life = r.IntN(len(list) + 2*len(data)/min(most, len(data)+1) + 2)
			}
			s, done = d.process(rt, data, chunk, func() bool { return r.IntN(saves) == 0 }, func() bool { life--; return life < 0 })
		}
		want := truthOf(lines)
		d.check(rt, want)
		if len(d.late) > 0 {
			rt.Fatalf("%d roots are said to be late", len(d.late))
		}
		if err := s.Check(int64(len(data)), want.objects, int64(len(want.roots))); err != nil || s.Lines != want.lines || s.Duplicates+s.Late > 0 {
			rt.Fatalf("%v: %+v, want %d lines", err, s, want.lines)
		}
		if how == grouped && !noise {
			for id, g := range d.groups {
				if !g.Contiguous {
					rt.Fatalf("root %d: its children follow it directly, and it is not said", id)
				}
			}
		}
		if how == shuffled {
			checkContiguous(rt, d, lines)
		}
	})
}

// checkContiguous: a group is said to be contiguous only where it is.
func checkContiguous(t fataler, d *disk, lines []object) {
	t.Helper()
	for i, o := range lines {
		if o.child != "" {
			continue
		}
		n := 0
		for i+1+n < len(lines) && lines[i+1+n].root == o.root {
			n++
		}
		if g := d.groups[o.root]; g.Contiguous && n != len(g.Children) {
			t.Fatalf("root %d: %d children follow it, not %d, and it is called contiguous", o.root, n, len(g.Children))
		}
	}
}

// TestCopiesAndFalseCountsLoseNothing: with lines that are there twice and roots
// that say a wrong number of children, every child is in its group or its root
// is called late.
func TestCopiesAndFalseCountsLoseNothing(t *testing.T) {
	dir := fastFolder(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		lies := rapid.IntRange(0, 3).Draw(rt, "lies")
		list := catalogue(r, rapid.IntRange(0, 30).Draw(rt, "roots"), 30, func(n int) int {
			if lies > 0 && r.IntN(4) == 0 {
				return max(0, n+r.IntN(2*lies+1)-lies)
			}
			return n
		})
		copies := rapid.IntRange(0, 30).Draw(rt, "copies") // per cent
		for i, g := range list {
			for _, o := range g {
				if r.IntN(100) < copies {
					list[i] = append(list[i], o)
				}
			}
		}
		lines := arrange(r, list, rapid.SampledFrom([]layout{grouped, ungrouped, shuffled}).Draw(rt, "layout"))
		data := file(r, lines, true)
		d := newDisk(dir, fmt.Sprint(n))
		kills := rapid.IntRange(0, 6).Draw(rt, "kills")
		most := rapid.SampledFrom([]int{50, 1000, 1 << 20}).Draw(rt, "chunk")
		var s Stats
		for done := false; !done; {
			life := 1 << 30
			if kills > 0 {
				kills--
				life = r.IntN(len(list) + 2*len(data)/most + 2)
			}
			s, done = d.process(rt, data, func() int { return 1 + r.IntN(most) }, func() bool { return r.IntN(3) == 0 }, func() bool { life--; return life < 0 })
		}
		want := truthOf(lines)
		d.check(rt, want)
		if s.Roots != int64(len(want.roots)) || s.Orphans+s.BadLines > 0 || !s.LastWhole || s.Lines != want.lines {
			rt.Fatalf("%+v, want %d roots, %d lines", s, len(want.roots), want.lines)
		}
		if s.Objects > want.objects || s.Objects+s.Late < want.objects {
			rt.Fatalf("%d objects and %d late lines, want %d objects", s.Objects, s.Late, want.objects)
		}
		if lies == 0 && s.Objects != want.objects {
			rt.Fatalf("%d objects, want %d", s.Objects, want.objects)
		}
	})
}
