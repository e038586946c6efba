-- What a run failed for, as a code beside the words of error.
ALTER TABLE sync_runs ADD COLUMN cause TEXT NOT NULL DEFAULT '';
