-- Products of which a read of the shop was refused, because what is stored is
-- dated later, though the read began after that was committed. Until a second
-- read decides, the copy is not known to equal the shop's.
CREATE TABLE open_differences (
  shop         TEXT NOT NULL,
  external_id  INTEGER NOT NULL,
  committed_at INTEGER NOT NULL, -- when the stored version, or the tombstone, was written
  content_hash TEXT NOT NULL,    -- of what the refused read showed
  read_at      INTEGER NOT NULL, -- when that read began
  opened_at    INTEGER NOT NULL, -- when the first one was refused
  PRIMARY KEY (shop, external_id)
) STRICT, WITHOUT ROWID;
