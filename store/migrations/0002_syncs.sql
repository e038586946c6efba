-- products with read_at: when the newest read of the shop itself began that
-- showed the stored version; NULL: only deliveries brought it. The table is made
-- anew because an added column would stand behind the long description.
CREATE TABLE products_new (
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
  read_at            INTEGER,
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

INSERT INTO products_new (
  id, shop, merchant_id, external_id, status, shopify_status, selected, shopify_updated_at, triggered_ns, content_hash,
  synced_at, source, source_ref, delivery_id, published_at, shopify_created_at, title, vendor, product_type, handle, tags,
  options, images, body_html)
SELECT
  id, shop, merchant_id, external_id, status, shopify_status, selected, shopify_updated_at, triggered_ns, content_hash,
  synced_at, source, source_ref, delivery_id, published_at, shopify_created_at, title, vendor, product_type, handle, tags,
  options, images, body_html
FROM products ORDER BY id;

-- An id is never used twice, so the numbering goes on where it was.
DELETE FROM sqlite_sequence WHERE name = 'products_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'products_new', seq FROM sqlite_sequence WHERE name = 'products';

DROP TABLE products;
ALTER TABLE products_new RENAME TO products;
CREATE INDEX products_by_external_id ON products (external_id);

-- Runs of the catalogue syncs, what they have seen so far and what they found
-- to differ.

CREATE TABLE sync_runs (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  shop          TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('full', 'incremental', 'reconcile')),
  reason        TEXT NOT NULL,
  dry_run       INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
  state         TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
  phase         TEXT NOT NULL,
  started_at    INTEGER NOT NULL,
  finished_at   INTEGER NOT NULL,
  proven        INTEGER NOT NULL CHECK (proven IN (0, 1)),
  proven_at     INTEGER NOT NULL,
  error         TEXT NOT NULL,
  expected      INTEGER NOT NULL,
  read          INTEGER NOT NULL,
  objects       INTEGER NOT NULL,
  objects_total INTEGER NOT NULL,
  bytes         INTEGER NOT NULL,
  bytes_total   INTEGER NOT NULL,
  added         INTEGER NOT NULL DEFAULT 0,
  changed       INTEGER NOT NULL DEFAULT 0,
  removed       INTEGER NOT NULL DEFAULT 0,
  unchanged     INTEGER NOT NULL DEFAULT 0,
  ignored       INTEGER NOT NULL DEFAULT 0,
  doubtful      INTEGER NOT NULL DEFAULT 0,
  points        INTEGER NOT NULL,
  calls         INTEGER NOT NULL,
  operation     TEXT NOT NULL,
  byte_offset   INTEGER NOT NULL,
  spilled       INTEGER NOT NULL,
  mark          TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX sync_runs_by_shop ON sync_runs (shop, id);
CREATE INDEX sync_runs_by_proof ON sync_runs (shop, kind, proven_at) WHERE proven_at > 0;

-- The products that a run has stored, each with how the run's counters count
-- it, so that a product stored twice is counted once.
CREATE TABLE sync_seen (
  run         INTEGER NOT NULL,
  external_id INTEGER NOT NULL,
  counted     INTEGER NOT NULL,
  PRIMARY KEY (run, external_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE drift (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  run         INTEGER NOT NULL,
  shop        TEXT NOT NULL,
  external_id INTEGER NOT NULL,
  kind        TEXT NOT NULL CHECK (kind IN ('missing', 'different', 'extra')),
  at          INTEGER NOT NULL,
  title       TEXT NOT NULL,
  fields      TEXT NOT NULL
) STRICT;

CREATE INDEX drift_by_run ON drift (run, id);

-- Versions that the shop itself showed and that the selection's rules did not
-- match. They are kept nowhere else.
CREATE TABLE passed_over (
  shop        TEXT NOT NULL,
  external_id INTEGER NOT NULL,
  version_at  INTEGER NOT NULL,
  read_at     INTEGER NOT NULL,
  PRIMARY KEY (shop, external_id)
) STRICT, WITHOUT ROWID;
