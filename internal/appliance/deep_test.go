package appliance

import (
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/web"
)

func TestADeepLookReadsEachRowAndJobAndTheRightsOfFiles(t *testing.T) {
	p, err := Open(t.Context(), Options{Settings: settingsFor(t, unpack(t, "testdata/dir-cd2628a.tgz")), Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	require := func(check, level, text string) {
		t.Helper()
		list := append(p.examineDeep(t.Context(), web.Finding{}), p.examineFiles()...)
		at := slices.IndexFunc(list, func(f web.Finding) bool { return f.Check == check })
		if at < 0 || list[at].Level != level || !strings.Contains(list[at].Text, text) || (list[at].Fix == "") != (level == levelOK) {
			t.Errorf("%s: %+v", check, list)
		}
	}
	require("rows", levelOK, "each of 4 products")
	require("jobs", levelOK, "is as it was stored")
	require("files", levelOK, "nobody else")

	path := p.dir.File("products.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`UPDATE products SET title = 'Mut' WHERE external_id = 7123456789`); err != nil {
		t.Fatal(err)
	}
	require("rows", levelFail, "1 of 4 products are not as they were stored, such as product 7123456789")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	require("files", levelWarn, "itself keep other users of this machine from products.db")
}

func TestASlowDiskIsNamedByWhatDeliveriesWaitFor(t *testing.T) {
	for level, writes := range map[string][]time.Duration{
		levelOK:   {2 * time.Millisecond, time.Second, time.Millisecond},
		levelWarn: {60 * time.Millisecond, 70 * time.Millisecond, time.Millisecond},
		levelFail: {time.Millisecond, 3 * time.Second, time.Millisecond},
	} {
		if f := judgeDisk(writes); f.Level != level || (f.Fix == "") != (level == levelOK) {
			t.Errorf("%v: %+v", writes, f)
		}
	}
}
