-- A variant's product is looked for at the end of a transaction. Where SQLite
-- does it row by row, a statement of many rows first copies every page that it
-- changes, to be able to take back half of itself. Only the text of the schema
-- changes, so no row is written anew.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'ON DELETE CASCADE,', 'ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,')
WHERE type = 'table' AND name = 'variants';
PRAGMA writable_schema = RESET;

-- Other connections read the schema anew after a change that is none of text.
CREATE TABLE schema_changed (id INTEGER PRIMARY KEY) STRICT;
DROP TABLE schema_changed;
