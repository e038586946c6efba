package appliance

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stockroom/internal/datadir"
	"stockroom/internal/folder"
	"stockroom/queue"
)

// filesOf returns what the files of a folder hold, by their names.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// F7: a server whose dir was moved renamed and removed files of the next one.
func TestAMovedDataDirEndsTheServerAndTheOneInItsPlaceIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newSpaceRig(t, "0")
		path := first.dir.Path()
		ended, stop := first.Work(t.Context())
		synctest.Wait()
		if err := os.Rename(path, path+".old"); err != nil {
			_ = errors.Join(stop(), first.Close())
			t.Skipf("can't move an open folder here: %v", err)
		}
		second, err := Open(t.Context(), Options{Settings: first.opt.Settings, Manual: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := second.queue.Enqueue(t.Context(), queue.NewJob{Kind: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(second.store.Probe(t.Context()), second.dir.Announce("http://127.0.0.1:1", "second")); err != nil {
			t.Fatal(err)
		}
		before := filesOf(t, path)

		time.Sleep(dirEvery + time.Millisecond)
		select {
		case <-ended.Done():
		default:
			t.Error("the work goes on")
		}
		var lost *datadir.DirError
		if err := stop(); !errors.As(err, &lost) || !strings.HasPrefix(err.Error(), "another folder is at "+path+" now: ") {
			t.Errorf("it ended because of %v", err)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		if err := second.store.Probe(t.Context()); err != nil {
			t.Error(err)
		}
		for name, text := range filesOf(t, path) {
			if before[name] != text && name != "products.db-wal" && name != "products.db-shm" { // which the probe writes
				t.Errorf("%s of the other server is changed", name)
			}
			delete(before, name)
		}
		if len(before) > 0 {
			t.Errorf("files of the other server are gone: %v", before)
		}
		// The stores of the first are still open; the bubble waits for them.
		if err := errors.Join(second.Close(), os.Rename(path, path+".new"), os.Rename(path+".old", path)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(first.queue.Close(), first.closeOutbound(), first.store.Close(), first.state.Close()); err != nil {
			t.Log(err) // they may have noticed
		}
		synctest.Wait()
		if n := strings.Count(first.log.String(), `level=ERROR msg="another folder is at `+path+" now: "); n != 1 {
			t.Errorf("the log says it %d times:\n%s", n, first.log.String())
		}
	})
}

func TestWhatIsNoProofThatTheDataDirWasLostIsToldOnceAndEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpaceRig(t, "0")
		path := r.dir.Path()
		ended, stop := r.Work(t.Context())
		synctest.Wait()
		// A link to itself: the system can't look, as with a disk that fails.
		if err := errors.Join(os.Rename(path, path+".old"), os.Symlink(path, path)); err != nil {
			_ = errors.Join(stop(), r.Close())
			t.Skipf("can't move an open folder here: %v", err)
		}
		time.Sleep(3*dirEvery + time.Millisecond)
		if err := errors.Join(ended.Err(), os.Remove(path), os.Rename(path+".old", path)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(stop(), r.Close()); err != nil {
			t.Error(err)
		}
		if n := strings.Count(r.log.String(), "it can't be told whether the data dir is still at its path"); n != 1 {
			t.Errorf("%d lines:\n%s", n, r.log.String())
		}
	})
}

// What a store says of the dir ends the server as what the watch says does.
func TestALostDataDirIsAnsweredWithWhyAndEndsTheServerOnce(t *testing.T) {
	o, log := slowly(t, func() {})
	l, err := Listen(o.Settings)
	if err != nil {
		t.Fatal(err)
	}
	l.AnswerStarting(o.Opening, slog.New(slog.DiscardHandler))
	a, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	l.Ready = func() { close(ready) }
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(context.WithoutCancel(t.Context()), l) }()
	<-ready
	path := a.dir.Path()
	for range 3 {
		a.queueCommit(queue.Commit{Err: errors.Join(fs.ErrInvalid, &folder.LostError{Path: filepath.Join(path, "lock"), Dir: true})})
	}
	why := "the lock file of the data dir " + path + " was removed or replaced"
	for _, q := range []struct {
		h                    http.Handler
		method, path, accept string
	}{
		{&l.front.public, "POST", "/webhooks/shopify/products", ""}, {&l.front.public, "GET", "/readyz", ""}, {&l.front.admin, "GET", "/", "text/html"},
	} {
		r, w := httptest.NewRequest(q.method, q.path, strings.NewReader("{}")), httptest.NewRecorder()
		r.Header.Set("Accept", q.accept)
		q.h.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), why) || strings.Contains(w.Body.String(), "starting") {
			t.Errorf("%s %s: %d %s", q.method, q.path, w.Code, w.Body)
		}
	}
	err = <-ended
	var lost *datadir.DirError
	if !errors.As(err, &lost) || !strings.HasPrefix(err.Error(), why) {
		t.Errorf("it ended because of %v", err)
	}
	a.lost = context.Background() // nothing was lost: the stores may be closed
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), why) {
		t.Errorf("%d errors:\n%s", n, log.String())
	}
}

// A dir that was lost just before the stop is noticed before the stores close.
func TestADataDirThatWasLostBeforeTheStopIsNoticedByIt(t *testing.T) {
	first := newSpaceRig(t, "0")
	path := first.dir.Path()
	if err := os.Rename(path, path+".old"); err != nil {
		_ = first.Close()
		t.Skipf("can't move an open folder here: %v", err)
	}
	err := first.Close()
	var lost *datadir.DirError
	if !errors.As(err, &lost) || !strings.Contains(err.Error(), path+" was moved") {
		t.Errorf("it closed with %v", err)
	}
	if _, err := os.Stat(filepath.Join(path+".old", "products.db-wal")); err != nil {
		t.Errorf("the catalogue was closed: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.queue.Close(), first.closeOutbound(), first.store.Close(), first.state.Close()); err != nil {
		t.Log(err)
	}
}
