package backup

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/folder"
)

func scheduleOf(s *source, dir string) *Schedule {
	return &Schedule{
		Every: 20 * time.Minute, Keep: 2, Dir: dir, Own: dir, Data: s.dir.Path(), Need: func() int64 { return 0 }, Log: slog.New(slog.DiscardHandler),
		Take: func(ctx context.Context, secrets bool) (*Copies, error) { return Take(ctx, s.Source, secrets) },
	}
}

// names are the backups in a folder that are good.
func goodOnes(t *testing.T, path string) (good []string) {
	t.Helper()
	dir, err := folder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, _ := dir.Names()
	for _, name := range names {
		f, err := dir.Open(name, os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := Read(t.Context(), f, nil); err != nil || m.Secrets || m.FileName() != name {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		good = append(good, name)
		_ = f.Close()
	}
	return good
}

func TestBackupsAreMadeByScheduleAndTheNewestAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		defer s.end()
		path := filepath.Join(s.dir.Path(), "backups")
		run := func(p *Schedule, long time.Duration) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { p.Run(ctx); close(ended) }()
			time.Sleep(long)
			cancel()
			<-ended
		}
		p := scheduleOf(s, path)
		run(p, 90*time.Minute)
		now := p.Standing()
		if got := goodOnes(t, path); len(got) != 2 || got[1] != now.File || now.Why != "" || now.Bytes == 0 || now.Late(time.Now()) {
			t.Errorf("%q, %+v", got, now)
		}
		if want := now.Last.Add(20 * time.Minute); now.Next.Sub(want).Abs() > time.Second {
			t.Errorf("the next one is planned for %s", now.Next)
		}
		// A file that is not ours, and one that an earlier process did not finish.
		err := errors.Join(os.WriteFile(filepath.Join(path, "stockroom-notes.tar.gz"), nil, 0o600),
			os.WriteFile(filepath.Join(path, partOf(now.File)), nil, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		p = scheduleOf(s, path)
		run(p, 10*time.Minute) // after a restart the age of the last one counts
		if again := p.Standing(); again.File != now.File || again.Bytes != now.Bytes {
			t.Errorf("after a restart: %+v", again)
		}
		run(p, 5*time.Minute)
		if again := p.Standing(); again.File == now.File {
			t.Error("none was made in time after the last")
		}
		if err := os.Remove(filepath.Join(path, "stockroom-notes.tar.gz")); err != nil {
			t.Error("a file of somebody else was removed")
		}
		goodOnes(t, path)
	})
}

func TestABackupThatCanNotBeMadeIsSaidAndTriedAgainAndRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		defer s.end()
		path := filepath.Join(s.dir.Path(), "backups")
		p := scheduleOf(s, path)
		p.Keep, p.Own = 1, ""
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		var need atomic.Int64
		var locked atomic.Bool
		p.Need = need.Load
		take := p.Take
		p.Take = func(ctx context.Context, secrets bool) (*Copies, error) {
			if locked.Load() {
				return nil, errors.New("products.db is locked")
			}
			return take(ctx, secrets)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.Run(ctx); close(ended) }()
		time.Sleep(2 * time.Minute)
		first := p.Standing()
		for _, c := range []struct {
			spoil func() error
			words string
		}{
			{func() error { need.Store(1 << 60); return nil }, "skipped, as it would leave less than 10 % or 1 GiB free on the disk of "},
			{func() error { need.Store(0); locked.Store(true); return nil }, "products.db is locked"},
			{func() error { return os.Rename(path, path+".away") }, "there is no folder " + path + "; make it, mount its disk"},
		} {
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(21 * time.Minute)
			now := p.Standing()
			if !strings.HasPrefix(now.Why, c.words) || !now.Late(time.Now()) || now.File != first.File || time.Until(now.Next) > retryAfter {
				t.Errorf("%q, %+v", now.Why, now)
			}
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		if got := goodOnes(t, path); len(got) != 1 {
			t.Errorf("what was there is gone: %q", got)
		}
		locked.Store(false)
		time.Sleep(20 * time.Minute)
		if now := p.Standing(); now.Why != "" || now.Late(time.Now()) || now.File == first.File || now.Failed == 0 {
			t.Errorf("when it can be made again: %+v", now)
		}
		cancel()
		<-ended
	})
}
