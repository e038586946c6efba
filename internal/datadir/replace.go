package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"stockroom/internal/config"
	"stockroom/internal/folder"
)

// What replaces the stores of a data dir is a folder whose name says how far that is.
// Each step is a rename, and each may be done again: the next Open goes on where a dead
// process ended. Behind each name is the instant, which the folder that keeps the old
// files has too.
const (
	replacing = "replacing-" // the old files are on their way out
	restoring = "restoring-" // and now the new ones on their way in
	keptFiles = "replaced-"  // what was there before

	sortFiles = "sync-" // and a number: in them a full sync of these stores sorts what it reads
)

// Holds reports whether there are stores in the dir.
func (d *Dir) Holds() bool {
	return slices.ContainsFunc(stores, func(name string) bool { return !d.Missing(name) })
}

// isStore reports whether a file is a store or belongs to one: its log, or what was set
// aside of it.
func isStore(name string) bool {
	return slices.ContainsFunc(stores, func(store string) bool { return strings.HasPrefix(name, store) })
}

// Kept reports whether a name in a data dir is that of a folder with what a restore put
// away.
func Kept(name string) bool { return strings.HasPrefix(name, keptFiles) }

// Replace puts the files of a work folder, which are synced, in the place of the stores
// and of the settings if they are among them. It happens as a whole: after a crash the
// next Open ends it, once it has begun. What was there before is moved into a folder of
// the dir, whose name is returned; "" when there was nothing. No store may be open.
func (d *Dir) Replace(work *Work, now time.Time) (kept string, err error) {
	stamp := now.UTC().Format("20060102T150405.000Z")
	if _, err := d.folder.Root().Lstat(keptFiles + stamp); !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("replace the stores: there is a %s%s already; try again", keptFiles, stamp)
	}
	err = errors.Join(work.Sync(), work.Close(), d.folder.Check())
	if err == nil {
		err = d.folder.Rename(work.name, replacing+stamp)
	}
	if err == nil {
		err = d.folder.Sync()
	}
	if err != nil {
		return "", fmt.Errorf("replace the stores: %w", err)
	}
	if kept, err = d.replace(replacing + stamp); err != nil {
		return "", fmt.Errorf("replace the stores: %w; "+
			"that is half done, and the next start of Stockroom on this data dir ends it", err)
	}
	return kept, nil
}

// endReplacing goes on with what a dead process began.
func (d *Dir) endReplacing() error {
	names, err := d.folder.Names()
	for _, name := range names {
		if err == nil && (strings.HasPrefix(name, replacing) || strings.HasPrefix(name, restoring)) {
			_, err = d.replace(name)
		}
	}
	if err != nil {
		return fmt.Errorf("end the restoring of a backup that was begun: %w", err)
	}
	return nil
}

// replace does what is left of it.
func (d *Dir) replace(name string) (kept string, err error) {
	if stamp, out := strings.CutPrefix(name, replacing); out {
		if err := d.moveOut(name, keptFiles+stamp); err != nil {
			return "", err
		}
		next := restoring + stamp
		if err := errors.Join(d.folder.Rename(name, next), d.folder.Sync()); err != nil {
			return "", err
		}
		name = next
	}
	if err := d.moveAll(name, ".", func(string) bool { return true }); err != nil {
		return "", err
	}
	if err := errors.Join(d.folder.Remove(name), d.folder.Sync()); err != nil {
		return "", err
	}
	kept = keptFiles + strings.TrimPrefix(name, restoring)
	if _, err := d.folder.Root().Lstat(kept); err != nil {
		return "", nil // nothing was there
	}
	return kept, nil
}

// moveOut moves the stores out of the way, with what belongs to them, and the settings
// where others come.
func (d *Dir) moveOut(from, kept string) error {
	_, settings := d.folder.Root().Lstat(from + "/" + config.FileName)
	ours := func(name string) bool {
		return isStore(name) || strings.HasPrefix(name, sortFiles) && strings.Contains(name, ".db") ||
			name == config.FileName && settings == nil
	}
	names, err := d.folder.Names()
	if err != nil || !slices.ContainsFunc(names, ours) {
		return err
	}
	if err := d.folder.Root().Mkdir(kept, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.moveAll(".", kept, ours)
}

// moveAll moves the regular files of one folder to another, durably.
func (d *Dir) moveAll(from, to string, which func(name string) bool) error {
	source, err := d.folder.Sub(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := d.folder.Sub(to)
	if err != nil {
		return err
	}
	defer target.Close()
	names, err := source.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := source.Info(name); err != nil || !which(name) {
			if err == nil || errors.Is(err, folder.ErrNotRegular) {
				continue
			}
			return err
		}
		if err := d.folder.Rename(from+"/"+name, to+"/"+name); err != nil {
			return err
		}
	}
	return errors.Join(target.Sync(), source.Sync())
}
