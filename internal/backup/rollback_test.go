package backup

import (
	"slices"
	"testing"

	"stockroom/internal/datadir"
)

// A crash leaves a generation that was begun in some of the files, which is no roll-back;
// any older copy beside it is one, alone and in pairs.
func TestWhatACrashLeavesIsNoRollBackAndEveryOlderCopyIsOne(t *testing.T) {
	at := func(g uint64, raising bool) *ends { return &ends{Generation: g, Raising: raising} }
	whole := []noted{
		{at(7, false), at(7, false), at(7, false)},
		{at(8, true), at(7, false), at(7, false)},
		{at(8, true), at(8, false), at(7, false)},
		{at(8, true), at(8, false), at(8, false)},
		{at(8, false), at(8, false), at(8, false)},
		{at(1, true), nil, nil}, // the first one of a data dir
		{at(1, true), at(1, false), nil},
		{at(5, false), nil, at(5, false)}, // a file that was made anew
		{nil, at(5, false), at(5, false)},
		{},
	}
	for _, n := range whole {
		if list := n.older(); len(list) > 0 {
			t.Errorf("%+v %+v %+v: older are %q", n.state, n.products, n.queue, list)
		}
	}
	names := []string{datadir.StateFile, datadir.ProductsFile, datadir.QueueFile}
	for _, n := range whole[:5] {
		for older := 1; older < 7; older++ {
			for _, by := range []uint64{2, 5} {
				rolled, want := n, []string{}
				for i, e := range []**ends{&rolled.state, &rolled.products, &rolled.queue} {
					if older&(1<<i) != 0 {
						*e = at((*e).Generation-by, false)
						want = append(want, names[i])
					}
				}
				if older == 1 && n.products.Generation > n.queue.Generation {
					want = append(want, datadir.QueueFile) // with state.db went what tells it from a crash
				}
				if list := rolled.older(); !slices.Equal(list, want) {
					t.Errorf("%+v %+v %+v: older are %q, want %q", rolled.state, rolled.products, rolled.queue, list, want)
				}
			}
		}
	}
	// By one generation, where none was begun.
	for older := 1; older < 7; older++ {
		rolled, want := noted{at(7, false), at(7, false), at(7, false)}, []string{}
		for i, e := range []**ends{&rolled.state, &rolled.products, &rolled.queue} {
			if older&(1<<i) != 0 {
				*e = at(6, false)
				want = append(want, names[i])
			}
		}
		if list := rolled.older(); !slices.Equal(list, want) {
			t.Errorf("by one: older are %q, want %q", list, want)
		}
	}
}

// A generation that did not come to its end is ended before the next begins.
func TestAGenerationThatFailedIsEndedFirst(t *testing.T) {
	s := newSource(t)
	for range 3 {
		if err := s.Raise(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.noteInState(ends{Generation: 4, Raising: true}); err != nil {
		t.Fatal(err)
	}
	for want := uint64(4); want < 6; want++ {
		if older, _, err := s.RolledBack(t.Context()); err != nil || len(older) > 0 {
			t.Errorf("older are %q, %v", older, err)
		}
		if err := s.Raise(t.Context()); err != nil {
			t.Fatal(err)
		}
		n, err := s.noted(t.Context())
		if err != nil || *n.state != *n.products || *n.products != *n.queue || n.state.Generation != want || n.state.Jobs != 20 || n.state.Seq == 0 {
			t.Errorf("%+v %+v %+v, %v", n.state, n.products, n.queue, err)
		}
	}
	if err := s.noteInState(ends{Generation: 5, Jobs: 21}); err != nil {
		t.Fatal(err)
	}
	if older, _, err := s.RolledBack(t.Context()); err != nil || !slices.Equal(older, []string{datadir.QueueFile}) {
		t.Errorf("of the same generation: older are %q, %v", older, err)
	}
}
