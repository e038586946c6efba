-- What search engines are shown in place of a product's title and description.
ALTER TABLE products ADD COLUMN seo_title TEXT;
ALTER TABLE products ADD COLUMN seo_description TEXT;

INSERT OR IGNORE INTO wanted (shop, kind, external_id, reason, wanted_at)
SELECT shop, 'full_sync', 0, 'this version of Stockroom keeps more of each product', unixepoch() * 1000
FROM shops WHERE EXISTS (SELECT 1 FROM products WHERE products.shop = shops.shop);
