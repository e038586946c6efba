package datadir

import (
	"fmt"
	"time"
)

// SpaceLevel is how much of a worry the room on the disk is.
type SpaceLevel string

// The levels.
const (
	SpaceOK       SpaceLevel = "ok"
	SpaceLow      SpaceLevel = "low"      // less than the settings want
	SpaceCritical SpaceLevel = "critical" // deliveries are at stake
	SpaceUnknown  SpaceLevel = "unknown"  // the system does not tell
)

// SpaceNeeded is what has to be free for deliveries to be safe, in bytes: the
// write-ahead log of products.db up to its checkpoint and the pages that it is
// copied to, 4 MiB each, and as much again for queue.db.
const SpaceNeeded = 16 << 20

// SpaceWarn says from when on there is less room than there should be: below
// Bytes, or below Percent of the disk. A 0 counts for nothing.
type SpaceWarn struct {
	Bytes   int64
	Percent int
}

// Space is the room on the disk of the data dir at an instant.
type Space struct {
	At       time.Time
	Free     int64 // bytes that can still be written, the ballast not counted
	Total    int64 // bytes of the disk, free and used; 0 when not known
	Level    SpaceLevel
	Warn     int64 // bytes of Free below which the level is low
	Needed   int64 // bytes of Free below which it is critical
	Released bool  // the ballast was given up because the disk was full
	// Refused: a store's newest write failed for want of space. Whoever knows the
	// stores sets it.
	Refused bool
}

// Space looks at the disk. An error comes with a Space of the level unknown.
func (d *Dir) Space(w SpaceWarn) (Space, error) {
	s := Space{At: time.Now(), Level: SpaceUnknown, Released: d.BallastReleased()}
	free, total, err := room(d.Path())
	if err != nil {
		return s.judged(), fmt.Errorf("look for free space: %w", err)
	}
	if total <= 0 {
		return s.judged(), nil
	}
	s.Free, s.Total, s.Needed = free, total, SpaceNeeded
	s.Warn = max(w.Bytes, total/100*int64(w.Percent))
	return s.judged(), nil
}

// Room returns how many bytes can still be written below path, and how many its disk
// holds, 0 when it does not tell.
func Room(path string) (free, total int64, err error) { return room(path) }

// judged returns s with the level that follows from the rest.
func (s Space) judged() Space {
	switch {
	case s.Released || s.Refused:
		s.Level = SpaceCritical
	case s.Total <= 0:
		s.Level = SpaceUnknown
	case s.Free < s.Needed:
		s.Level = SpaceCritical
	case s.Free < s.Warn:
		s.Level = SpaceLow
	default:
		s.Level = SpaceOK
	}
	return s
}

// WithRefused returns s as it stands when a store's newest write was refused
// for want of space, or was not.
func (s Space) WithRefused(refused bool) Space {
	s.Refused = refused
	return s.judged()
}
