package appliance

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Work starts what works on the data dir: deliveries that wait, fetches, syncs
// and upkeep. ended is done when a worker ends by itself; stop ends them all and
// says why one failed. They outlive ctx, which only hands its values on.
func (a *Appliance) Work(ctx context.Context) (ended context.Context, stop func() error) {
	workers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	work, wctx := errgroup.WithContext(workers)
	work.Go(func() error { return a.intake.Run(wctx) })
	work.Go(func() error { return a.syncer.Run(wctx) })
	work.Go(func() error { return a.watchDir(wctx) })
	also := []func(context.Context){a.limiterRest, a.upkeep, a.watchSpace, a.watchFiles}
	if !a.opt.Manual { // a command says itself what it found
		also = append(also, a.watchStatus)
	}
	for _, do := range also {
		work.Go(func() error {
			do(wctx)
			return nil
		})
	}
	return wctx, func() error {
		cancel()
		return work.Wait()
	}
}
