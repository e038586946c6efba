package store

import (
	"strings"
	"testing"
)

// A flipped bit in the text of a trigger is no damage to SQLite's own checks, and every
// change of a product fails by it.
func TestADamagedTriggerIsDamageOfTheFile(t *testing.T) {
	b := open(t)
	b.must(b.tryPut(1))
	b.must(b.s.Close())
	db := b.other()
	for _, sql := range []string{
		`PRAGMA writable_schema = ON`,
		`UPDATE sqlite_schema SET sql = replace(sql, 'new.title', ' ew.title') WHERE type = 'trigger'`,
	} {
		_, err := db.Exec(sql)
		b.must(err)
	}
	b.reopen()
	for id := int64(2); b.s.Health().Quarantined == "" && id < 10; id++ {
		_ = b.tryPut(id) // the first finds it out
	}
	if h := b.s.Health(); !strings.Contains(h.Reason, "trigger") || !strings.Contains(h.Reason, "no such column: ew.title") {
		t.Fatalf("health %+v", h)
	}
	b.must(b.tryPut(11))
}

// What every file has to be like is what a file is like.
func TestTheWrittenSchemaIsTheFiles(t *testing.T) {
	b := open(t)
	wants, err := writtenSchema()
	b.must(err)
	rows, err := b.other().Query(`SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema`)
	b.must(err)
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var name, text string
		b.must(rows.Scan(&name, &text))
		if wants[name] != text {
			t.Errorf("%s: %q, in the file %q", name, wants[name], text)
		}
	}
	b.must(rows.Err())
	if n != len(wants) || n == 0 {
		t.Errorf("%d in the file, %d wanted", n, len(wants))
	}
}
