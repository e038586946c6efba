-- Changes that a run read from the shop before a delivery told of them, by
-- product. A delivery of that or a later version takes them off.
CREATE TABLE undelivered (
  shop        TEXT NOT NULL,
  external_id INTEGER NOT NULL,
  topic       TEXT NOT NULL,    -- that should have told of the oldest of them
  first_at    INTEGER NOT NULL, -- when the oldest was made, by the shop's updated_at
  latest_at   INTEGER NOT NULL, -- the same of the newest
  changes     INTEGER NOT NULL, -- how many were read
  found_at    INTEGER NOT NULL, -- when the newest was read
  PRIMARY KEY (shop, external_id)
) STRICT, WITHOUT ROWID;
