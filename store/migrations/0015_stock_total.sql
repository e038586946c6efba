-- What the last read of the shop said is in stock of all variants together, NULL when
-- only deliveries brought the row. A comparison finds by it stock that moved without
-- the product's time. The column stands behind the long description, so it is read
-- from the index.
ALTER TABLE products ADD COLUMN stock_total INTEGER;
DROP INDEX products_by_external_id;
CREATE INDEX products_by_external_id ON products (external_id, stock_total);
