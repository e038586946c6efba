//go:build ignore

// Feed keeps a folder of JSON files, one a product, equal to Stockroom's copy.
//
//	go run docs/examples/feed/main.go -dir products
//
// It reads all products once and then follows the change feed. It may be stopped
// at any moment, kill -9 included: the number of the newest change it has written
// is kept in DIR.seq, and doing a change twice does no harm. Take it as a pattern
// for a marketplace feed, a search index or an ERP: only put and drop differ.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errGone: the feed does not go back to where we stopped, or is another one.
var errGone = errors.New("the feed can't be followed from here")

type follower struct {
	base, token, dir string
	once             bool
}

func main() {
	f := follower{token: os.Getenv("STOCKROOM_TOKEN")} // stockroom token add feed
	flag.StringVar(&f.base, "url", "http://127.0.0.1:8081", "Stockroom's admin address")
	flag.StringVar(&f.dir, "dir", "products", "folder to keep")
	flag.BoolVar(&f.once, "once", false, "end when nothing is left to do")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for {
		err := f.follow(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
			return
		case errors.Is(err, errGone):
			log.Print(err, "; reading all products again")
			if err := os.Remove(f.seqFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				log.Fatal(err)
			}
		default:
			log.Print(err, "; trying again in two seconds")
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
		}
	}
}

// follow goes on where the folder stands. It returns nil only with -once.
func (f *follower) follow(ctx context.Context) error {
	seq, err := f.position()
	if errors.Is(err, fs.ErrNotExist) {
		seq, err = f.snapshot(ctx)
	}
	for err == nil {
		var n int
		if seq, n, err = f.changes(ctx, seq); err == nil && n == 0 && f.once {
			return nil
		}
	}
	return err
}

// snapshot reads all products into a new folder, which then takes the old one's
// place. The number comes with the answer's head: what changes while we read
// comes again from the feed.
func (f *follower) snapshot(ctx context.Context) (seq int64, err error) {
	resp, err := f.get(ctx, "/api/v1/products-export?format=ndjson")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if seq, err = strconv.ParseInt(resp.Header.Get("Stockroom-Seq"), 10, 64); err != nil {
		return 0, err
	}
	fresh := f.dir + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return 0, err
	}
	// A decoder sees the end of the whole answer; an export that broke off is an error.
	for dec := json.NewDecoder(resp.Body); ; {
		var p json.RawMessage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, fmt.Errorf("the export broke off: %w", err)
		}
		var head struct {
			Shop string `json:"shop"`
			GID  string `json:"gid"`
		}
		if err := json.Unmarshal(p, &head); err != nil {
			return 0, err
		}
		if err := put(fresh, head.Shop, number(head.GID), p); err != nil {
			return 0, err
		}
	}
	if err := os.MkdirAll(fresh, 0o700); err != nil { // there may be no products
		return 0, err
	}
	if err := os.RemoveAll(f.dir); err != nil {
		return 0, err
	}
	if err := os.Rename(fresh, f.dir); err != nil {
		return 0, err
	}
	log.Printf("all products read, as of change %d", seq)
	return seq, f.keep(seq)
}

// changes asks for what came after seq, waiting for it, and does it. Only then
// the new position is kept.
func (f *follower) changes(ctx context.Context, seq int64) (next int64, n int, err error) {
	wait := 30
	if f.once {
		wait = 0
	}
	resp, err := f.get(ctx, fmt.Sprintf("/api/v1/changes?after=%d&wait=%d&limit=500", seq, wait))
	if err != nil {
		return seq, 0, err
	}
	defer resp.Body.Close()
	if next, err = strconv.ParseInt(resp.Header.Get("Stockroom-Next"), 10, 64); err != nil {
		return seq, 0, err
	}
	for lines := bufio.NewReader(resp.Body); ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		var c struct {
			Seq        int64
			Shop, Kind string
			GID        string
		}
		if err == nil {
			err = json.Unmarshal(line, &c)
		}
		if err == nil {
			err = f.do(ctx, c.Shop, number(c.GID), c.Kind)
		}
		if err != nil {
			return seq, n, err // this piece of the feed comes again
		}
	}
	if next == seq {
		return seq, n, nil
	}
	return next, n, f.keep(next)
}

// number is what stands behind the last slash of a global id. As text it is exact
// in every language; numbers that are floats are not.
func number(gid string) string { return gid[strings.LastIndexByte(gid, '/')+1:] }

// do brings one product up to date: as it is now, which may be newer than the
// change.
func (f *follower) do(ctx context.Context, shop, id, kind string) error {
	if kind == "deleted" {
		return drop(f.dir, shop, id)
	}
	resp, err := f.get(ctx, "/api/v1/products/"+url.PathEscape(shop)+"/"+url.PathEscape(id))
	if errors.Is(err, fs.ErrNotExist) {
		return drop(f.dir, shop, id) // deleted since
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return put(f.dir, shop, id, body)
}

func (f *follower) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.base, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	if f.token != "" {
		req.Header.Set("Authorization", "Bearer "+f.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode == http.StatusOK {
		return resp, err
	}
	defer resp.Body.Close()
	var problem struct{ Detail string }
	_ = json.NewDecoder(resp.Body).Decode(&problem) // a proxy may answer otherwise
	switch resp.StatusCode {
	case http.StatusGone, http.StatusConflict:
		return nil, fmt.Errorf("%w: %s", errGone, problem.Detail)
	case http.StatusNotFound:
		return nil, fs.ErrNotExist
	}
	return nil, fmt.Errorf("%s: %s", resp.Status, problem.Detail)
}

func (f *follower) seqFile() string { return f.dir + ".seq" }

func (f *follower) position() (int64, error) {
	text, err := os.ReadFile(f.seqFile())
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

func (f *follower) keep(seq int64) error {
	return replace(f.seqFile(), []byte(strconv.FormatInt(seq, 10)+"\n"))
}

func put(dir, shop, id string, product []byte) error {
	if err := os.MkdirAll(filepath.Join(dir, shop), 0o700); err != nil {
		return err
	}
	return replace(filepath.Join(dir, shop, id+".json"), product)
}

func drop(dir, shop, id string) error {
	err := os.Remove(filepath.Join(dir, shop, id+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replace writes a file whole or not at all.
func replace(path string, data []byte) error {
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
