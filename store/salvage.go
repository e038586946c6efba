package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"stockroom/internal/catalog"
	"stockroom/internal/folder"
)

const salvageBatch = 50 // products in one transaction

// keepNumbering lets the fresh file go on numbering where the damaged one
// stopped, so that an internal id never means two products. What can't be read
// is left at its start.
func (s *Store) keepNumbering(old string) {
	src, err := s.openDamaged(old)
	if err != nil {
		return
	}
	defer src.close()
	for _, table := range []string{"products", "variants"} {
		n, err := src.count(`SELECT seq FROM sqlite_sequence WHERE name = ?`, table)
		if err != nil || n == 0 {
			continue
		}
		if _, err := s.conn.exec(`INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)`, table, n); err != nil {
			s.log.Warn("numbering can't be carried over", "table", table, "error", err.Error())
		}
	}
}

func (s *Store) openDamaged(path string) (*conn, error) {
	d := newDatabase(s.files.dir, filepath.Base(path))
	if _, err := d.look(true); err != nil {
		return nil, err
	}
	return d.connect(context.Background(), url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(250)", "wal_autocheckpoint(0)"}})
}

// salvage copies what is sound in a damaged file into the fresh one: every
// tombstone that can be read, and every product whose content hash still fits
// its columns. It goes through the writer's bulk lane, so deliveries are taken
// meanwhile, and it never overwrites what they wrote. The rest comes back with
// the next full reconcile.
func (s *Store) salvage(old string) {
	defer func() {
		select {
		case s.salvaged <- struct{}{}:
		default:
		}
	}()
	taken, lost, err := s.salvageAll(old)
	s.mu.Lock()
	s.health.Salvaged = taken
	s.mu.Unlock()
	if err != nil {
		s.log.Warn("not everything could be read from the damaged file", "products", taken, "unsound", lost, "error", err.Error())
		return
	}
	s.log.Info("products were taken over from the damaged file", "products", taken, "unsound", lost)
}

func (s *Store) salvageAll(old string) (taken, lost int, err error) {
	src, err := s.openDamaged(old)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if e := src.close(); err == nil {
			err = e
		}
	}()
	// An older version's file lacks columns that are read below.
	err = migrate(src, faultless)
	if _, newer := errors.AsType[*folder.NewerError](err); err != nil && !newer {
		return 0, 0, err
	}
	if err := s.salvageTombstones(src); err != nil {
		return 0, 0, err
	}
	// Ids first and rows one by one: one unreadable page then costs the rows on
	// it and no others.
	last, err := src.count(`SELECT coalesce(max(id), 0) FROM products`)
	if err != nil {
		return 0, 0, err
	}
	var batch []salvaged
	for id := int64(1); id <= last; id++ {
		if s.life.Err() != nil {
			return taken, lost, errClosed
		}
		row, err := readSalvaged(src, id)
		switch {
		case err != nil:
			lost++
		case row != nil:
			batch = append(batch, *row)
		}
		if len(batch) == salvageBatch || id == last {
			n, err := s.restoreSalvaged(batch)
			if err != nil {
				return taken, lost, err
			}
			taken += n
			batch = batch[:0]
		}
	}
	return taken, lost, nil
}

func (s *Store) salvageTombstones(src *conn) error {
	type tombstone struct {
		shop, cause string
		id, at      int64
	}
	var all []tombstone
	readErr := src.each(`SELECT shop, external_id, written_at, cause FROM tombstones`, 4, func(row []driver.Value) error {
		all = append(all, tombstone{shop: asText(row[0]), id: asInt(row[1]), at: asInt(row[2]), cause: asText(row[3])})
		return nil
	})
	err := s.write(context.Background(), s.bulk, len(all), func(t *tx) error {
		for _, b := range all {
			if err := t.do("write tombstone", `INSERT OR IGNORE INTO tombstones (shop, external_id, written_at, cause) VALUES (?, ?, ?, ?)`, b.shop, b.id, b.at, b.cause); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return readErr
}

// salvaged is one product of a damaged file whose hash fits.
type salvaged struct {
	id        int64
	shop      string
	selected  bool
	triggered int64
	ref       string
	p         *catalog.Product
}

func readSalvaged(src *conn, id int64) (*salvaged, error) {
	var row [5]driver.Value
	found, err := src.one(`SELECT shop, selected, triggered_ns, source_ref, content_hash FROM products WHERE id = ?`, row[:], id)
	if err != nil || !found {
		return nil, err
	}
	p, err := (&tx{conn: src}).load(id)
	if err != nil {
		return nil, err
	}
	if p.ContentHash().String() != asText(row[4]) {
		return nil, fmt.Errorf("product %d does not fit its content hash", p.ID)
	}
	return &salvaged{id: id, shop: asText(row[0]), selected: asInt(row[1]) != 0, triggered: asInt(row[2]), ref: asText(row[3]), p: p}, nil
}

func (s *Store) restoreSalvaged(batch []salvaged) (int, error) {
	n := 0
	err := s.write(context.Background(), s.bulk, len(batch)*8, func(t *tx) error {
		n = 0
		for _, row := range batch {
			done, err := t.restore(row)
			if err != nil {
				return err
			}
			if done {
				n++
			}
		}
		return nil
	})
	return n, err
}

func (t *tx) restore(row salvaged) (bool, error) {
	h, err := t.head(row.shop, row.p.ID, nil)
	if err != nil {
		return false, err
	}
	if h.id != 0 || h.tombstone != 0 {
		return false, nil
	}
	taken, err := t.exists("look for the id", `SELECT 1 FROM products WHERE id = ?`, row.id)
	if err != nil || taken {
		return false, err
	}
	o := origin{source: "salvage", ref: row.ref, triggered: row.triggered, cause: "salvage"}
	return true, t.insertProductAs(orNull(row.id), row.shop, row.p, o, row.selected, row.p.ContentHash().String())
}
