-- In pull mode a run in half a minute may bring changes, so the newest full read stands
-- behind thousands of them.
CREATE INDEX sync_runs_by_kind ON sync_runs (shop, kind, id);
