-- The same body under the same topic can come again without end, each time under
-- another webhook id, which is not signed. A row stands for count of them; last_at
-- is when the newest arrived, NULL while there is one.
ALTER TABLE deliveries ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE deliveries ADD COLUMN last_at INTEGER;
