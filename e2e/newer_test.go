package e2e_test

import (
	"bytes"
	"database/sql"
	enc "encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"stockroom/internal/boltfile"
	"stockroom/queue"
	"stockroom/store"
)

// newerForms give each file of a data dir the form of the version after this one.
func newerForms() map[string]func(path string) error {
	inBolt := func(path string, change func(tx *bolt.Tx) error) error {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Update(change)
	}
	return map[string]func(path string) error{
		"products.db": func(path string) error {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				return err
			}
			defer db.Close()
			_, err = db.Exec(fmt.Sprintf(`PRAGMA user_version = %d`, store.Format()+1))
			return err
		},
		"queue.db": func(path string) error {
			return inBolt(path, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("format"), fmt.Append(nil, queue.Format+1))
			})
		},
		"state.db": func(path string) error {
			const table, key = "state.sum", "sum" // its first record is the one that is read first
			whole := append([]byte{boltfile.RecordVersion + 1}, table+"\x00"+key+"\x00{}"...)
			raw := enc.LittleEndian.AppendUint32(whole[:1:1], boltfile.Checksum(whole))
			return inBolt(path, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte(table)).Put([]byte(key), append(raw, "{}"...))
			})
		},
	}
}

// A file of a newer version ends the server, and a command that opens it, with exit code 4
// and the name of the version that wrote it last, and is not changed.
func TestANewerFileIsRefusedByTheNameOfItsVersion(t *testing.T) {
	t.Parallel()
	s := startServer(t, serveOptions{})
	wantAnswer(t, s.post(delivery{Body: productBody(1, 1, 1)}), answerApplied)
	s.stop()
	for file, raise := range newerForms() {
		t.Run(file, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			err := os.CopyFS(dir, os.DirFS(s.Dir))
			if err == nil {
				err = os.Chmod(dir, 0o700)
			}
			if err == nil {
				err = raise(filepath.Join(dir, file))
			}
			if err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			// The binary of these tests is version "e2e".
			want := file + " was written by Stockroom e2e, which is newer than this one, and was left as it is; " +
				"use version e2e or a later one, or "
			server := launch(t, serveOptions{Dir: dir})
			if code, _ := server.wait(); code != 4 || !strings.Contains(server.log.String(), want) {
				t.Errorf("serve: exit code %d\n%s", code, server.log)
			}
			if r := runCLI(t, nil, "", "products", "list", "--data", dir); r.Code != 4 || !strings.Contains(r.Stderr, want) {
				t.Errorf("products list: exit code %d\n%s", r.Code, r.Stderr)
			}
			if after, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed: %d bytes were %d, %v", len(after), len(before), err)
			}
		})
	}
}
