-- Which of the theme's templates shows a product. The column stands behind the long
-- description, as an added one does: it is read only with the whole row.
ALTER TABLE products ADD COLUMN template_suffix TEXT;

INSERT OR IGNORE INTO wanted (shop, kind, external_id, reason, wanted_at)
SELECT shop, 'full_sync', 0, 'this version of Stockroom keeps more of each product', unixepoch() * 1000
FROM shops WHERE EXISTS (SELECT 1 FROM products WHERE products.shop = shops.shop);
