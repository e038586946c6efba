package store

import "context"

// ItemOwner is the product that an inventory item belongs to.
type ItemOwner struct {
	ExternalID int64 // Shopify's id of the product
	Title      string
}

const itemOwner = `SELECT p.external_id, coalesce(p.title, '') FROM variants v JOIN products p ON p.id = v.product_id
	WHERE v.inventory_item_id = ? AND p.shop = ? LIMIT 1`

// OwnerOfItem returns the product of a shop that has a variant with this inventory
// item; ErrNotFound when none has.
func (s *Store) OwnerOfItem(ctx context.Context, shop string, item int64) (ItemOwner, error) {
	return queryOne(ctx, s, func(scan func(...any) error) (o ItemOwner, err error) {
		err = scan(&o.ExternalID, &o.Title)
		return o, err
	}, itemOwner, item, shop)
}
