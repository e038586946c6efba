package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stockroom/internal/catalog"
	"stockroom/internal/config"
	"stockroom/internal/datadir"
	"stockroom/internal/state"
	"stockroom/queue"
	"stockroom/store"
)

const shop = "linen.myshopify.com"

// secrets are all that a source holds of them, as they lie in its files.
func secrets() []string {
	list := []string{"secret-of-the-app", "secret-before", "secret-of-notifications", "shpat_static", "shpat_granted"}
	for _, value := range []string{"hash-of-the-password", "session-of-somebody", "hash-of-a-token"} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(value)))
	}
	return list
}

// source is a data dir with something in every store.
type source struct {
	Source
	dir *datadir.Dir
	n   int64
}

func newSource(t *testing.T) *source {
	t.Helper()
	dir, err := datadir.Open(t.TempDir(), datadir.Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := &source{dir: dir}
	f := dir.Folder()
	s.Source = Source{Folder: f, Version: "test", Space: func() (datadir.Space, error) { return dir.Space(datadir.SpaceWarn{}) }}
	s.State, err = state.Open(dir.File(datadir.StateFile), time.Now(), state.Options{Folder: f})
	if err == nil {
		s.Store, err = store.Open(t.Context(), store.Options{Path: dir.File(datadir.ProductsFile), Folder: f})
	}
	if err == nil {
		s.Queue, err = queue.Open(queue.Options{Path: dir.File(datadir.QueueFile), Folder: f})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	s.fill(t)
	return s
}

func (s *source) end() {
	_ = errors.Join(s.Queue.Close(), s.Store.Close(), s.State.Close(), s.dir.Close())
}

func (s *source) fill(t *testing.T) {
	t.Helper()
	hidden := config.NewSecret
	err := errors.Join(
		s.State.AddShop(shop, "", time.Now()),
		s.State.SetCredentials(shop, state.Credentials{APIKey: "id", APISecret: hidden("secret-of-the-app"), PreviousSecret: hidden("secret-before"),
			AccessToken: hidden("shpat_static"), Further: map[string]config.Secret{state.NotificationSecret: hidden("secret-of-notifications")}}),
		s.State.SetToken(shop, state.Token{Value: hidden("shpat_granted"), ObtainedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}),
		s.State.Put("admin", "password", []byte("hash-of-the-password")), s.State.Put("session", "one", []byte("session-of-somebody")),
		s.State.Put("read-token", "prometheus", []byte("hash-of-a-token")), s.State.Put("sync", "alive", []byte("now")),
		s.Store.PutShop(t.Context(), store.Shop{Shop: shop}),
		os.WriteFile(s.dir.File(config.FileName), []byte("space-warn = \"1GiB\"\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		s.apply(t.Context())
		if _, _, err := s.Queue.Enqueue(t.Context(), queue.NewJob{Kind: "webhook", Payload: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
}

// apply stores a product of the next number and returns it.
func (s *source) apply(ctx context.Context) (id int64, err error) {
	s.n++
	p := &catalog.Product{ID: s.n, Title: catalog.Of(fmt.Sprint("Shirt ", s.n)), UpdatedAt: catalog.Of[int64](10_000)}
	_, err = s.Store.Apply(ctx, store.Delivery{Shop: shop, Topic: "products/update", WebhookID: fmt.Sprint("w", s.n), Dedupe: s.n,
		ReceivedAt: time.Now(), TriggeredAt: time.Now()}, catalog.Change{Topic: catalog.ProductsUpdate, Kind: catalog.Upsert, ID: s.n, Product: p})
	return s.n, err
}

// stream is a backup of the source.
func (s *source) stream(t *testing.T, secrets bool) []byte {
	t.Helper()
	c, err := Take(t.Context(), s.Source, secrets)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := errors.Join(c.WriteTo(t.Context(), &out), c.End()); err != nil {
		t.Fatal(err)
	}
	if names, _ := s.Folder.Names(); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, ".") }) {
		t.Errorf("copies are left: %q", names)
	}
	return out.Bytes()
}

// unpacked is all that a stream holds, one behind the other.
func unpacked(t *testing.T, stream []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestABackupHoldsSecretsOnlyWhenTheyAreAskedFor(t *testing.T) {
	s := newSource(t)
	for _, with := range []bool{true, false} {
		all := unpacked(t, s.stream(t, with))
		for _, secret := range secrets() {
			if got := bytes.Contains(all, []byte(secret)); got != with {
				t.Errorf("asked for %t: %q is in it: %t", with, secret, got)
			}
		}
	}
}

// I14, I9: what is cut or changed anywhere is known, whatever is read of it before.
func TestAStreamThatIsCutOrChangedIsNeverTakenForAWholeOne(t *testing.T) {
	s := newSource(t)
	whole := s.stream(t, true)
	m, err := Read(t.Context(), bytes.NewReader(whole), nil)
	if err != nil || m.Products != 20 || m.Waiting != 20 || !slices.Equal(m.Shops, []string{shop}) || len(m.Files) != 4 || !m.Secrets {
		t.Fatalf("%+v, %v", m, err)
	}
	refused := func(what string, stream []byte) {
		t.Helper()
		if _, err := Read(t.Context(), bytes.NewReader(stream), nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("nothing", nil)
	refused("no stream", []byte("something else"))
	refused("more than a stream", append(slices.Clone(whole), 0))
	step := max(1, len(whole)/150)
	for at := 0; at < len(whole); at += step {
		refused(fmt.Sprintf("cut at %d of %d", at, len(whole)), whole[:at])
		changed := slices.Clone(whole)
		changed[at] ^= 0x10
		// Some bits say nothing: of the time in a header, or that fill up a byte.
		if _, err := Read(t.Context(), bytes.NewReader(changed), nil); err == nil && !bytes.Equal(unpacked(t, changed), unpacked(t, whole)) {
			t.Errorf("changed at %d of %d: taken for whole", at, len(whole))
		}
	}
}

// rewritten is the stream with each file as change says.
func rewritten(t *testing.T, stream []byte, change func(name string, text []byte) []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w, r := tar.NewWriter(z), tar.NewReader(bytes.NewReader(unpacked(t, stream)))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		text, err2 := io.ReadAll(r)
		if text = change(h.Name, text); text == nil {
			continue
		}
		h.Size = int64(len(text))
		err3 := w.WriteHeader(h)
		_, err4 := w.Write(text)
		if err := errors.Join(err, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAStreamThatLacksAFileOrIsOfANewerVersionIsRefused(t *testing.T) {
	whole := newSource(t).stream(t, false)
	for _, left := range []string{manifestName, datadir.ProductsFile, datadir.QueueFile, datadir.StateFile, config.FileName, endName} {
		without := rewritten(t, whole, func(name string, text []byte) []byte {
			if name == left {
				return nil
			}
			return text
		})
		if _, err := Read(t.Context(), bytes.NewReader(without), nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("without %s: %v", left, err)
		}
	}
	newer := rewritten(t, whole, func(name string, text []byte) []byte {
		return bytes.Replace(text, []byte(`"format": 1`), []byte(`"format": 2`), 1)
	})
	if _, err := Read(t.Context(), bytes.NewReader(newer), nil); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer one: %v", err)
	}
	broken := errors.New("the connection broke")
	if _, err := Read(t.Context(), io.MultiReader(bytes.NewReader(whole[:2000]), failing{broken}), nil); !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
		t.Errorf("what can't be read is no damage: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAFileGetsItsNameOnlyWhenItIsGood(t *testing.T) {
	s := newSource(t)
	whole := s.stream(t, false)
	work, err := datadir.MakeWork(s.Folder)
	if err != nil {
		t.Fatal(err)
	}
	defer work.End()
	for name, fill := range map[string]func(io.Writer) error{
		"fails": func(io.Writer) error { return fs.ErrInvalid },
		"cut":   func(w io.Writer) error { _, err := w.Write(whole[:len(whole)-1]); return err },
		"good":  func(w io.Writer) error { _, err := w.Write(whole); return err },
	} {
		if err := os.WriteFile(work.File(partOf("b")), []byte("of a process that died"), 0o600); err != nil {
			t.Fatal(err)
		}
		var read, all int64
		_, err := WriteFile(t.Context(), work.Folder, "b", fill, func(done, of int64) { read, all = done, of })
		names, _ := work.Names()
		if name == "good" {
			info, ierr := work.Info("b")
			if err != nil || ierr != nil || info.Mode().Perm() != 0o600 || len(names) != 1 || read != all || all == 0 {
				t.Errorf("%v, %v, %q, %d of %d read", err, ierr, names, read, all)
			}
			_ = work.Remove("b")
		} else if err == nil || len(names) > 0 {
			t.Errorf("%s: %v, %q", name, err, names)
		}
	}
}

func restoreInto(t *testing.T, path string, stream []byte) (Restored, error) {
	t.Helper()
	dir, err := datadir.Open(path, datadir.Options{Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	return Restore(t.Context(), dir, bytes.NewReader(stream), nil, time.Now())
}

func TestRestorePutsAllInPlaceAndSaysWhatIsMissing(t *testing.T) {
	s := newSource(t)
	for _, with := range []bool{true, false} {
		stream, path := s.stream(t, with), filepath.Join(t.TempDir(), "new")
		for again := range 2 { // into an empty dir, and over it
			got, err := restoreInto(t, path, stream)
			if err != nil || (got.Kept != "") != (again == 1) || (len(got.NeedSecrets) == 0) != with {
				t.Fatalf("%+v, %v", got, err)
			}
			dir, err := datadir.Open(path, datadir.Options{Ballast: -1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := examine(t.Context(), dir.Folder(), got.Manifest); err != nil {
				t.Error(err)
			}
			kept, err := openState(dir.Folder())
			if err != nil {
				t.Fatal(err)
			}
			if at, ok := RestoredFrom(kept); !ok || !at.Equal(got.CreatedAt) {
				t.Errorf("restored from %s, %t", at, ok)
			}
			if n := len(kept.Secrets(shop)); (n == 3) != with {
				t.Errorf("%d secrets", n)
			}
			if err := errors.Join(Settled(kept), kept.Close(), dir.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// A backup that is cut, damaged inside or newer leaves the dir as it was.
func TestRestoreOfWhatIsNotGoodChangesNothing(t *testing.T) {
	s := newSource(t)
	whole, path := s.stream(t, false), filepath.Join(t.TempDir(), "dir")
	if _, err := restoreInto(t, path, whole); err != nil {
		t.Fatal(err)
	}
	content := func() string {
		var all strings.Builder
		err := filepath.WalkDir(path, func(file string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && e.Name() != "lock" {
				text, err := os.ReadFile(file)
				fmt.Fprintf(&all, "%s %x\n", file, text)
				return err
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
	before := content()
	for what, c := range map[string]struct {
		stream []byte
		err    error
	}{
		"cut": {whole[:len(whole)/2], ErrDamaged},
		"newer": {rewritten(t, whole, func(_ string, b []byte) []byte {
			return bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 2`), 1)
		}), ErrNewer},
	} {
		if _, err := restoreInto(t, path, c.stream); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", what, err)
		}
		if content() != before {
			t.Errorf("%s: the dir is changed", what)
		}
	}
}

// I1: what was acknowledged before the moment is in it, and the writers go on.
func TestABackupUnderLoadHoldsAllThatWasStoredBeforeItAndNothingThatBeganAfter(t *testing.T) {
	s := newSource(t)
	ctx, cancel := context.WithCancel(t.Context())
	stored := make(chan int64, 1<<20)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			if id, err := s.apply(context.WithoutCancel(ctx)); err == nil {
				stored <- id
			}
		}
	}()
	for range 5 {
		for len(stored) < 20 {
			time.Sleep(time.Millisecond)
		}
		before := int64(0)
		for len(stored) > 0 {
			before = <-stored
		}
		m, err := Read(t.Context(), bytes.NewReader(s.stream(t, false)), nil)
		if err != nil {
			t.Fatal(err)
		}
		after := before + int64(len(stored)) + 1
		if m.Products < before || m.Products > after {
			t.Errorf("%d products; %d were stored before it, %d when it was done", m.Products, before, after)
		}
	}
	cancel()
	<-ended
}
