package appliance

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"stockroom/internal/answer"
	"stockroom/internal/catalog"
	"stockroom/internal/datadir"
	"stockroom/internal/shopify"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
	"stockroom/web"
)

// Remove forgets a connection: first at Shopify, which needs its credentials,
// then in state.db, then its effects. A step that fails leaves the rest to the
// next call, or to the next start.
func (s shops) Remove(ctx context.Context, shop string, purge, dry bool) (web.Removed, error) {
	a, out := s.a, web.Removed{Shop: shop}
	known, connected := a.state.Shop(shop)
	_, removed := a.state.RemovedAt(shop)
	switch {
	case known.Declared:
		return out, s.declared(state.ErrDeclared)
	case removed && !purge:
		return out, &answer.Refusal{Status: http.StatusNotFound, Title: "Removed already", Detail: shop +
			" was removed already; `" + a.command("shop remove "+shop+" --purge") + "` deletes what is still kept of it."}
	case !connected && !removed:
		return out, &answer.Refusal{Status: http.StatusNotFound, Title: "No such shop", Code: answer.CodeUnknownShop, Detail: shop +
			" is not connected; `" + a.command("shop list") + "` shows the shops that are."}
	}
	if !dry {
		a.consents.Forget(shop)
	}
	counts, err := a.store.CountShop(ctx, shop)
	if err != nil && dry {
		return out, err
	}
	out.Products = int(counts.Products)
	if purge {
		out.ProductsDeleted, out.Files = out.Products, append(out.Files, a.setAside()...)
	} else {
		out.ProductsDeactivated = int(counts.Active)
	}
	if dry {
		return out, nil
	}
	if connected {
		if err := a.disconnect(ctx, known, &out); err != nil {
			return out, err
		}
	}
	if purge {
		out.ProductsDeleted, err = a.erase(ctx, shop, "shop removed")
		return out, err
	}
	done, err := a.store.RemoveShop(ctx, shop, false, "shop removed")
	out.ProductsDeactivated = done.Deactivated
	if errors.Is(err, store.ErrUnavailable) {
		a.unmirrored.Store(true)
	}
	return out, err
}

// disconnect ends a shop's connection.
func (a *Appliance) disconnect(ctx context.Context, shop state.Shop, out *web.Removed) error {
	c, _ := a.state.Credentials(shop.Domain)
	if (c.AccessToken.IsSet() || c.APISecret.IsSet()) && shop.UninstalledAt.IsZero() {
		deleted, left, err := a.syncer.Unsubscribe(ctx, shop.Domain)
		out.SubscriptionsDeleted = deleted
		for _, sub := range left {
			out.SubscriptionsLeft = append(out.SubscriptionsLeft, sub.Topic+" "+sub.URI)
		}
		if err != nil {
			out.LeftBecause = err.Error()
			if e := (*shopify.Error)(nil); errors.As(err, &e) {
				out.LeftBecause = e.Words()
			}
			a.log.Warn("not all webhook subscriptions of a removed shop could be deleted",
				"shop", shop.Domain, "left", out.SubscriptionsLeft, "error", out.LeftBecause)
		}
	}
	if err := a.state.RemoveShop(shop.Domain, time.Now()); err != nil {
		return shops{a}.declared(err)
	}
	a.refreshDirectory()
	a.syncer.ShopsChanged()
	if err := a.forgetOutbound(shop.Domain); err != nil {
		a.log.Warn("what is kept about calls to a removed shop can't be dropped now",
			"shop", shop.Domain, "error", err.Error())
	}
	return nil
}

// redact deletes everything that is kept of a shop, as the law asks. The delivery that
// brings this does not wait for state.db longer than ctx lasts.
func (a *Appliance) redact(ctx context.Context, shop string) error {
	done := make(chan error, 1)
	go func() {
		_, err := a.erase(ctx, shop, "shop/redact")
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// erase deletes everything that is kept of a shop, its credentials last: as long
// as they are there it can be asked for again. It returns how many products went.
func (a *Appliance) erase(ctx context.Context, shop, cause string) (int, error) {
	done, err := a.store.RemoveShop(ctx, shop, true, cause)
	if err != nil {
		return 0, err
	}
	if _, err := a.queue.DiscardAll(ctx, queue.Filter{Labels: map[string]string{queue.LabelShop: shop}}, func(queue.Job) bool { return true }); err != nil {
		return done.Deleted, err
	}
	if err := a.state.ForgetShop(shop); err != nil && !errors.Is(err, state.ErrUnknownShop) {
		return done.Deleted, err
	}
	a.refreshDirectory()
	return done.Deleted, nil
}

// matchRows goes through the shops that the catalogue knows. It brings a removal to
// its end that the catalogue did not hear of, and takes back a shop that state.db lost.
func (a *Appliance) matchRows(ctx context.Context) error {
	rows, err := a.store.Shops(ctx)
	if err != nil {
		return err
	}
	damage, _ := a.state.Damage()
	for _, row := range rows {
		if _, removed := a.state.RemovedAt(row.Shop); removed {
			_, err = a.store.RemoveShop(ctx, row.Shop, false, "shop removed")
		} else if damage.Took() {
			err = a.takeBack(ctx, row, damage.At)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeBack takes from the catalogue what state.db lost of a shop at an instant: the
// shop and its selection. Its credentials are nowhere else, and nobody knows how long
// it goes without them, so all of it has to be read again.
func (a *Appliance) takeBack(ctx context.Context, row store.Shop, lost time.Time) error {
	if _, connected := a.state.Shop(row.Shop); !connected {
		a.log.Warn("the shop was lost with state.db and is taken from products.db; it needs its credentials again",
			"shop", row.Shop)
		want := store.Wanted{Shop: row.Shop, Kind: store.WantSync, Reason: "state.db was lost or damaged"}
		if err := a.store.Want(ctx, want); err != nil {
			return err
		}
		if err := a.state.RestoreShop(row.Shop, row.MerchantID, time.UnixMilli(row.AddedAt)); err != nil {
			return err
		}
		a.syncer.ShopsChanged()
	}
	have, known := a.state.Selection(row.Shop)
	if known && !a.stateOlder {
		return nil
	}
	sel, err := a.store.Selection(ctx, row.Shop) // newer than that of an earlier copy
	if errors.Is(err, store.ErrNotFound) {       // of a row from before the loss it means all products
		if row.AddedAt > lost.UnixMilli() {
			return nil
		}
		sel, err = catalog.Selection{Mode: catalog.SelectAll}, nil
	}
	if err != nil || known && store.SameSelection(sel, have) {
		return err
	}
	a.log.Warn("the selection was lost with state.db and is taken from products.db", "shop", row.Shop, "selection", sel.String())
	return a.state.SetSelection(row.Shop, sel)
}

// setAside lists the files of the data dir that are copies of ours and not in
// use: damaged ones that were set aside, what a restore put away, and backups that were
// made there, or by schedule wherever they are.
func (a *Appliance) setAside() (paths []string) {
	inUse := []string{"state.db", "queue.db", "products.db", "products.db-wal", "products.db-shm"}
	entries, err := os.ReadDir(a.dir.Path())
	if err != nil {
		a.log.Warn("the data dir can't be listed", "error", err.Error())
	}
	for _, e := range entries {
		ours := slices.ContainsFunc(inUse, func(name string) bool { return strings.HasPrefix(e.Name(), name) })
		if ours && !slices.Contains(inUse, e.Name()) {
			paths = append(paths, filepath.Join(a.dir.Path(), e.Name()))
		}
		if datadir.Kept(e.Name()) {
			list, _ := filepath.Glob(filepath.Join(a.dir.Path(), e.Name(), "*"))
			paths = append(paths, list...)
		}
	}
	return append(paths, a.schedule.Files()...)
}
