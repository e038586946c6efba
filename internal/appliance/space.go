package appliance

import (
	"context"
	"fmt"
	"sync"
	"time"

	"stockroom/internal/datadir"
	"stockroom/queue"
	"stockroom/store"
)

const (
	spaceEvery  = 5 * time.Second // between two looks at the free space
	spaceTell   = time.Minute     // least time between two log lines of it, unless it got worse
	spaceForget = time.Minute     // after which a refused commit of the queue says nothing any more
)

// space is the room on the disk of the data dir, as it was seen last.
type space struct {
	mu      sync.Mutex
	seen    datadir.Space
	refused time.Time // when the queue's newest commit was refused for want of space, zero when it was not
	told    datadir.SpaceLevel
	toldAt  time.Time
}

// queueCommit notes whether there was room for a commit of the queue.
func (s *space) queueCommit(c queue.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = time.Time{}
	if c.Err != nil && store.CauseOfFile(c.Err) == store.CauseFull {
		s.refused = time.Now()
	}
}

// Space is the room on the disk of the data dir. It is looked up every few
// seconds, and costs nothing to ask for; At says when. The level takes in whether
// a store's newest write was refused for want of space.
func (a *Appliance) Space() datadir.Space {
	catalogue := a.store.Health().Cause == store.CauseFull
	a.space.mu.Lock()
	defer a.space.mu.Unlock()
	queue := !a.space.refused.IsZero() && time.Since(a.space.refused) < spaceForget
	return a.space.seen.WithRefused(catalogue || queue)
}

// room says why a sync may not write so many bytes more, "" that it may: deliveries
// come first.
func (a *Appliance) room(more int64) string {
	s, err := a.dir.Space(datadir.SpaceWarn{})
	if err != nil || s.Level == datadir.SpaceUnknown || s.Level == datadir.SpaceOK && s.Free-more >= s.Needed {
		return ""
	}
	words := fmt.Sprintf("the disk of the data dir has %d MiB free, and deliveries need %d MiB", s.Free>>20, datadir.SpaceNeeded>>20)
	if more > 0 {
		words += fmt.Sprintf(" beside the %d MiB that this sync may take", (more+1<<20-1)>>20)
	}
	return words + "; make room on it"
}

// lookAtSpace looks the free space up and says when its level is another one.
func (a *Appliance) lookAtSpace() {
	s := a.opt.Settings
	seen, err := a.dir.Space(datadir.SpaceWarn(s.SpaceWarn))
	if err != nil {
		a.log.Debug("free space", "error", err.Error())
	}
	a.space.mu.Lock()
	a.space.seen = seen
	a.space.mu.Unlock()
	a.tellSpace(a.Space())
}

// tellSpace has the log say when the level of s is another one than it said last.
func (a *Appliance) tellSpace(s datadir.Space) {
	a.space.mu.Lock()
	was := a.space.told
	tell := s.Level != was && (s.Level == datadir.SpaceCritical || s.At.Sub(a.space.toldAt) >= spaceTell)
	if tell {
		a.space.told, a.space.toldAt = s.Level, s.At
	}
	a.space.mu.Unlock()
	if !tell {
		return
	}
	about := []any{"free", s.Free, "of", s.Total, "data", a.dir.Path()}
	switch s.Level {
	case datadir.SpaceCritical:
		a.log.Error("the disk is full or nearly so: deliveries may have to be refused until there is room", about...)
	case datadir.SpaceLow:
		a.log.Warn("the disk has less room than --space-warn asks for", about...)
	case datadir.SpaceUnknown:
		a.log.Warn("the system does not tell how much room the disk has", "data", a.dir.Path())
	default:
		if was != "" {
			a.log.Info("the disk has room again", about...)
		}
	}
}

// watchSpace looks at the free space until ctx ends. It is apart from the other
// upkeep, which waits for the disk.
func (a *Appliance) watchSpace(ctx context.Context) {
	every(ctx, spaceEvery, a.lookAtSpace)
}

// registerSpace adds the gauges of the free space.
func (a *Appliance) registerSpace() {
	a.set.NewGauge(`stockroom_disk_total_bytes`, func() float64 { return float64(a.Space().Total) })
	for _, level := range []datadir.SpaceLevel{datadir.SpaceLow, datadir.SpaceCritical, datadir.SpaceUnknown} {
		a.set.NewGauge(`stockroom_disk_state{level="`+string(level)+`"}`, func() float64 {
			if a.Space().Level == level {
				return 1
			}
			return 0
		})
	}
}
