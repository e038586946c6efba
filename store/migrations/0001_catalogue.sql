-- The public tables are described in docs/schema.md. Times are integer UTC
-- milliseconds unless a column's name says otherwise. In each table the small
-- columns come first, so that a read of them does not walk the overflow pages
-- of a long description.

CREATE TABLE shops (
  shop        TEXT PRIMARY KEY,
  merchant_id TEXT,
  state       TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'uninstalled')),
  reason      TEXT,
  added_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE selections (
  shop       TEXT PRIMARY KEY,
  selection  TEXT NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE products (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  shop               TEXT NOT NULL,
  merchant_id        TEXT,
  external_id        INTEGER NOT NULL,
  status             TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE')),
  shopify_status     TEXT,
  selected           INTEGER NOT NULL CHECK (selected IN (0, 1)),
  shopify_updated_at INTEGER,
  triggered_ns       INTEGER,
  content_hash       TEXT NOT NULL,
  synced_at          INTEGER NOT NULL,
  source             TEXT NOT NULL,
  source_ref         TEXT,
  delivery_id        INTEGER,
  published_at       INTEGER,
  shopify_created_at INTEGER,
  title              TEXT,
  vendor             TEXT,
  product_type       TEXT,
  handle             TEXT,
  tags               TEXT,
  options            TEXT,
  images             TEXT,
  body_html          TEXT,
  UNIQUE (shop, external_id)
) STRICT;

-- Shopify's ids are unique over all shops; this finds a row of another shop.
CREATE INDEX products_by_external_id ON products (external_id);

CREATE TABLE variants (
  id                 INTEGER PRIMARY KEY AUTOINCREMENT,
  product_id         INTEGER NOT NULL REFERENCES products (id) ON DELETE CASCADE,
  external_id        INTEGER NOT NULL,
  row_hash           INTEGER NOT NULL,
  position           INTEGER,
  inventory_item_id  INTEGER,
  inventory_quantity INTEGER,
  title              TEXT,
  sku                TEXT,
  barcode            TEXT,
  price              TEXT,
  compare_at_price   TEXT,
  option1            TEXT,
  option2            TEXT,
  option3            TEXT,
  inventory_policy   TEXT,
  taxable            INTEGER,
  weight_grams       INTEGER,
  image_id           INTEGER,
  shopify_created_at INTEGER,
  shopify_updated_at INTEGER,
  UNIQUE (product_id, external_id)
) STRICT;

CREATE INDEX variants_by_inventory_item ON variants (inventory_item_id) WHERE inventory_item_id IS NOT NULL;
CREATE INDEX variants_by_sku ON variants (sku) WHERE sku IS NOT NULL AND sku <> '';

-- The journal. version_at is the body's updated_at; dedupe is 64 bits of a hash
-- over shop, topic, webhook id and body. One index serves both the
-- de-duplication and the history of one product.
CREATE TABLE deliveries (
  id           INTEGER PRIMARY KEY,
  shop         TEXT NOT NULL,
  topic        TEXT NOT NULL,
  webhook_id   TEXT,
  event_id     TEXT,
  external_id  INTEGER,
  received_at  INTEGER NOT NULL,
  triggered_at INTEGER,
  version_at   INTEGER,
  outcome      TEXT NOT NULL CHECK (outcome IN ('applied', 'stale', 'duplicate', 'queued', 'dead', 'ignored', 'mismatch')),
  duration_us  INTEGER NOT NULL,
  error        TEXT,
  dedupe       INTEGER NOT NULL
) STRICT;

CREATE INDEX deliveries_by_product ON deliveries (external_id, dedupe);

CREATE TABLE changes (
  seq         INTEGER PRIMARY KEY,
  shop        TEXT NOT NULL,
  external_id INTEGER NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('created', 'updated', 'deleted', 'activated', 'deactivated')),
  at          INTEGER NOT NULL,
  cause       TEXT NOT NULL
) STRICT;

CREATE TABLE tombstones (
  shop        TEXT NOT NULL,
  external_id INTEGER NOT NULL,
  written_at  INTEGER NOT NULL,
  cause       TEXT NOT NULL,
  PRIMARY KEY (shop, external_id)
) STRICT, WITHOUT ROWID;

-- Work that a commit asked for and that the outbound side has still to do. The
-- queue's jobs are rebuilt from here at every start.
CREATE TABLE wanted (
  shop        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  external_id INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  wanted_at   INTEGER NOT NULL,
  PRIMARY KEY (shop, kind, external_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
