-- What a list of products is searched by, one short row a product in the order
-- lists have. The products table itself is many times larger, and an index over
-- these columns would be written anew by every update; these triggers write only
-- what changed.
CREATE TABLE product_search (
  shop         TEXT NOT NULL,
  id           INTEGER NOT NULL, -- products.id
  status       TEXT NOT NULL,
  vendor       TEXT,
  product_type TEXT,
  handle       TEXT,
  title        TEXT,
  PRIMARY KEY (shop, id)
) STRICT, WITHOUT ROWID;

INSERT INTO product_search SELECT shop, id, status, vendor, product_type, handle, title FROM products ORDER BY shop, id;

-- How many products each shop has: counting them takes a walk over all.
CREATE TABLE product_counts (
  shop     TEXT PRIMARY KEY,
  products INTEGER NOT NULL,
  active   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO product_counts SELECT shop, count(*), sum(status = 'ACTIVE') FROM products GROUP BY shop;

CREATE TRIGGER product_search_insert AFTER INSERT ON products BEGIN
  INSERT OR REPLACE INTO product_search (shop, id, status, vendor, product_type, handle, title)
  VALUES (new.shop, new.id, new.status, new.vendor, new.product_type, new.handle, new.title);
  INSERT INTO product_counts (shop, products, active) VALUES (new.shop, 1, new.status = 'ACTIVE')
  ON CONFLICT (shop) DO UPDATE SET products = products + 1, active = active + excluded.active;
END;

CREATE TRIGGER product_search_update AFTER UPDATE OF status, vendor, product_type, handle, title ON products
WHEN old.status <> new.status OR old.title IS NOT new.title OR old.handle IS NOT new.handle
  OR old.vendor IS NOT new.vendor OR old.product_type IS NOT new.product_type
BEGIN
  UPDATE product_search SET status = new.status, vendor = new.vendor, product_type = new.product_type,
         handle = new.handle, title = new.title
  WHERE shop = new.shop AND id = new.id;
  UPDATE product_counts SET active = active + (new.status = 'ACTIVE') - (old.status = 'ACTIVE')
  WHERE shop = new.shop AND old.status <> new.status;
END;

CREATE TRIGGER product_search_delete AFTER DELETE ON products BEGIN
  DELETE FROM product_search WHERE shop = old.shop AND id = old.id;
  UPDATE product_counts SET products = products - 1, active = active - (old.status = 'ACTIVE') WHERE shop = old.shop;
END;

CREATE INDEX variants_by_barcode ON variants (barcode) WHERE barcode IS NOT NULL AND barcode <> '';

-- Outcomes that are rare and looked for. The common ones have no entry, so they
-- cost nothing here. (SQLite sees only through OR that one of them fits.)
CREATE INDEX deliveries_rare ON deliveries (outcome, id) WHERE outcome = 'dead' OR outcome = 'mismatch' OR outcome = 'queued';
