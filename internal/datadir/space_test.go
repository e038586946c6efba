package datadir

import (
	"testing"
)

func TestTheLevelOfFreeSpaceFollowsFromWhatIsLeft(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for name, tt := range map[string]struct {
		s    Space
		want SpaceLevel
	}{
		"plenty":                   {Space{Free: 50 * gib, Total: 100 * gib, Warn: 5 * gib, Needed: SpaceNeeded}, SpaceOK},
		"exactly the warning":      {Space{Free: 5 * gib, Total: 100 * gib, Warn: 5 * gib, Needed: SpaceNeeded}, SpaceOK},
		"below it":                 {Space{Free: 5*gib - 1, Total: 100 * gib, Warn: 5 * gib, Needed: SpaceNeeded}, SpaceLow},
		"600 KB":                   {Space{Free: 600 << 10, Total: 100 * mib, Warn: gib, Needed: SpaceNeeded}, SpaceCritical},
		"no warning asked for":     {Space{Free: 17 * mib, Total: 100 * mib, Needed: SpaceNeeded}, SpaceOK},
		"the ballast was given up": {Space{Free: 50 * gib, Total: 100 * gib, Released: true}, SpaceCritical},
		"a store's write refused":  {Space{Free: 50 * gib, Total: 100 * gib, Refused: true}, SpaceCritical},
		"not known":                {Space{}, SpaceUnknown},
		"refused and not known":    {Space{Refused: true}, SpaceCritical},
	} {
		if got := tt.s.judged().Level; got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestTheSpaceOfADirIsLookedUp(t *testing.T) {
	d, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := d.Space(SpaceWarn{Bytes: 1 << 62})
	if err != nil {
		t.Fatal(err)
	}
	if s.Free <= 0 || s.Total < s.Free || s.At.IsZero() || s.Warn != 1<<62 || s.Level == SpaceOK {
		t.Errorf("space %+v", s)
	}
	// The larger of the two limits counts.
	if s, err = d.Space(SpaceWarn{Bytes: 1, Percent: 50}); err != nil || s.Warn != s.Total/100*50 {
		t.Errorf("space %+v, %v", s, err)
	}
}
