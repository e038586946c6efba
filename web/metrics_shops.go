package web

import (
	"context"
	"fmt"
	"math"

	vm "github.com/VictoriaMetrics/metrics"

	"stockroom/internal/status"
)

// label is the value of the label shop for a shop: its name or "other".
func (s *Server) label(shop string) string {
	if s.o.Telemetry == nil {
		return shop
	}
	return s.o.Telemetry.Label(shop)
}

// labelled lists the shops with a label of their own and how many share one.
func (s *Server) labelled() (named []string, sharing int) {
	if s.o.Telemetry == nil {
		return nil, 0
	}
	return s.o.Telemetry.Own(), len(s.o.Telemetry.Sharing())
}

// folded gathers one value for each label set of a scrape. Shops that share a
// label are added up, or the worst of them counts.
type folded struct {
	values map[string]float64
	order  []string
}

func (f *folded) fold(series string, v float64, with func(a, b float64) float64) {
	if f.values == nil {
		f.values = map[string]float64{}
	}
	if old, ok := f.values[series]; ok {
		v = with(old, v)
	} else {
		f.order = append(f.order, series)
	}
	f.values[series] = v
}

func (f *folded) has(series string) bool {
	_, ok := f.values[series]
	return ok
}

func (f *folded) write(set *vm.Set) {
	for _, series := range f.order {
		v := f.values[series]
		if math.IsNaN(v) {
			continue // not known for one of the shops behind it
		}
		set.NewGauge(series, func() float64 { return v })
	}
}

func add(a, b float64) float64 { return a + b }

// copyGauges adds how each shop's copy stands against the shop.
func (s *Server) copyGauges(ctx context.Context, set *vm.Set, a *status.Account) {
	var f folded
	for _, v := range a.Shops {
		if v.State == "uninstalled" {
			continue // nothing is compared any more
		}
		label := s.label(v.Shop)
		if counts, err := s.counts.get(ctx, v.Shop); err == nil {
			f.fold(fmt.Sprintf(`stockroom_products{shop=%q,where="local"}`, label), float64(counts.Products), add)
		}
		if v.Sync != nil {
			f.status(label, v.Sync)
		}
	}
	f.write(set)
}

// status adds one shop's status.
func (f *folded) status(label string, st *status.Sync) {
	shop := func(name string, v float64, with func(a, b float64) float64) {
		f.fold(fmt.Sprintf(`%s{shop=%q}`, name, label), v, with)
	}
	lowest, highest := math.Min, math.Max

	stale := st.Staleness
	if stale < 0 {
		stale = math.Inf(1)
	}
	shop("stockroom_in_step", one(st.InStep), lowest)
	shop("stockroom_staleness_seconds", stale, highest)
	shop("stockroom_undelivered_changes", float64(st.Deliveries.Undelivered), add)
	shop("stockroom_subscriptions_present", one(st.Subscriptions.Present), lowest)

	remote := float64(st.Remote)
	if st.Remote < 0 {
		remote = math.NaN() // a sum that leaves a shop out would look like missing products
	}
	f.fold(fmt.Sprintf(`stockroom_products{shop=%q,where="shop"}`, label), remote, add)

	var running, read, expected float64
	if r := st.Running; r != nil {
		running, read, expected = 1, float64(r.Read), float64(r.Expected)
	}
	shop("stockroom_sync_running", running, add)
	shop("stockroom_sync_products_read", read, add)
	shop("stockroom_sync_products_expected", expected, add)

	if r := st.LastReconcile; r != nil {
		for kind, n := range map[string]int64{"missing": r.Added, "different": r.Changed, "extra": r.Removed} {
			f.fold(fmt.Sprintf(`stockroom_drift_products{shop=%q,kind=%q}`, label, kind), float64(n), add)
		}
	}
	for _, sc := range st.Schedules {
		var at float64
		if !sc.LastSuccess.IsZero() {
			at = float64(sc.LastSuccess.UnixMilli()) / 1000
		}
		f.fold(fmt.Sprintf(`stockroom_schedule_last_success_timestamp_seconds{shop=%q,schedule=%q}`, label, sc.Name), at, lowest)
		f.fold(fmt.Sprintf(`stockroom_schedule_late{shop=%q,schedule=%q}`, label, sc.Name), one(sc.Late), highest)
	}
}
