-- When the newest read of the shop itself began that showed the stored version;
-- NULL: only deliveries brought it.
ALTER TABLE products ADD COLUMN read_at INTEGER;

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
