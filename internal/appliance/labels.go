package appliance

import (
	"context"
	"slices"

	"stockroom/internal/telemetry"
)

// recentRows is how many of the newest rows of the journal tell which shops are
// busy.
const recentRows = 5000

// labelShops gives the busiest shops metric series of their own, when there are
// more shops than that.
func (a *Appliance) labelShops(ctx context.Context) {
	shops := a.state.Shops()
	updates := make(map[string]int, len(shops))
	if len(shops) > telemetry.Shops {
		rows, err := a.store.Deliveries(ctx, "", 0, recentRows)
		if err != nil {
			a.log.Debug("which shops are busy is not known", "error", err.Error())
		}
		for _, d := range rows {
			updates[d.Shop]++
		}
	}
	names := make([]string, 0, len(shops))
	for _, shop := range shops {
		names = append(names, shop.Domain)
	}
	slices.SortStableFunc(names, func(x, y string) int { return updates[y] - updates[x] })
	a.telemetry.Prefer(names)
}
