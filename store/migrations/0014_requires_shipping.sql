-- Whether a variant is sent; a service or a download is not.
ALTER TABLE variants ADD COLUMN requires_shipping INTEGER CHECK (requires_shipping IN (0, 1));

INSERT OR IGNORE INTO wanted (shop, kind, external_id, reason, wanted_at)
SELECT shop, 'full_sync', 0, 'this version of Stockroom keeps more of each product', unixepoch() * 1000
FROM shops WHERE EXISTS (SELECT 1 FROM products WHERE products.shop = shops.shop);

DROP VIEW catalogue;
CREATE VIEW catalogue AS
SELECT p.shop,
       p.external_id                                                          AS product_id,
       v.external_id                                                          AS variant_id,
       p.title,
       v.title                                                                AS variant_title,
       v.sku,
       v.barcode,
       CAST(v.price AS REAL)                                                  AS price,
       CAST(v.compare_at_price AS REAL)                                       AS compare_at_price,
       CASE WHEN v.tracked IS NOT 0 THEN v.inventory_quantity END              AS stock,
       v.tracked,
       v.requires_shipping,
       p.status,
       p.shopify_status,
       p.published_at IS NOT NULL                                             AS published,
       p.handle,
       p.vendor,
       p.product_type,
       p.category,
       'gid://shopify/Product/' || p.external_id                              AS product_gid,
       'gid://shopify/ProductVariant/' || v.external_id                       AS variant_gid,
       strftime('%Y-%m-%dT%H:%M:%SZ', p.shopify_updated_at / 1000, 'unixepoch') AS updated_at
FROM products p JOIN variants v ON v.product_id = p.id;
