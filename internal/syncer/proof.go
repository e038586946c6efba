package syncer

import (
	"cmp"
	"context"
	"slices"
	"time"

	"stockroom/store"
)

// proof is what is known of how a shop's copy stands; kept in memory, read again
// after each run.
type proof struct {
	store.Proof
	remote   int64 // the shop's own count, -1 when not known
	remoteAt time.Time
	compared *store.SyncRun // the newest comparison that came to its end; nil for none
	read     bool           // a full sync came to its end, proven or not
	left     bool           // the newest run that could have proven it left something open
	full     *store.SyncRun // the newest full sync that ended; nil for none
}

// refreshProof reads it from the catalogue.
func (s *Syncer) refreshProof(ctx context.Context, shop string) {
	p := proof{remote: -1}
	var err error
	if p.Proof, err = s.o.Store.LastProof(ctx, shop); err != nil {
		s.log.Debug("when the copy was proven can't be read now", "shop", shop, "error", err.Error())
		return
	}
	// Each kind alone: incrementals are many, and prove nothing.
	full, err := s.o.Store.Runs(ctx, store.RunFilter{Shop: shop, Kind: store.RunFull, Limit: 10})
	if err == nil {
		var compared []store.SyncRun
		compared, err = s.o.Store.Runs(ctx, store.RunFilter{Shop: shop, Kind: store.RunReconcile, Limit: 10})
		full = append(full, compared...)
	}
	if err != nil {
		s.log.Debug("runs can't be read now", "shop", shop, "error", err.Error())
		return
	}
	runs := slices.SortedFunc(slices.Values(full), func(a, b store.SyncRun) int { return cmp.Compare(b.ID, a.ID) })
	looked := false
	for _, r := range runs { // newest first
		if !looked && r.State == store.RunDone && !r.DryRun && r.Kind != store.RunIncremental {
			looked, p.left = true, r.ProvenAt == 0
		}
		if r.Expected > 0 && p.remoteAt.IsZero() {
			p.remote, p.remoteAt = r.Expected, r.StartedAt.Time()
		}
		p.read = p.read || r.Kind == store.RunFull && r.State == store.RunDone
		if p.full == nil && r.Kind == store.RunFull && r.State != store.RunRunning {
			p.full = &r
		}
		if p.compared == nil && r.Kind == store.RunReconcile && r.State == store.RunDone {
			p.compared = &r
		}
	}
	k := s.keeperOf(shop)
	k.set(func() { k.proof = p })
	wake(k.wakeLooks)
}

// Staleness is how long ago the copy was last shown to equal the shop's; known
// is false when it never was, when a loss was found since, and when the clock is
// before the proof.
func (s *Syncer) Staleness(shop string, now time.Time) (d time.Duration, known bool) {
	k := s.keeperOf(shop)
	p := get(k, &k.proof)
	if get(k, &k.fullWanted) != nil || p.IDs == 0 {
		return 0, false
	}
	d = now.Sub(time.UnixMilli(p.IDs))
	return d, d >= 0
}

// ProvenFieldsSince reports whether every field of every product was shown to be
// equal after an instant, for all connected shops.
func (s *Syncer) ProvenFieldsSince(at time.Time) bool {
	shops := s.o.State.Shops()
	for _, shop := range shops {
		k := s.keeperOf(shop.Domain)
		if get(k, &k.fullWanted) != nil || get(k, &k.proof).Fields <= at.UnixMilli() {
			return false
		}
	}
	return len(shops) > 0
}
