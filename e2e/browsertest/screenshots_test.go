package browsertest

import (
	"bytes"
	"cmp"
	"database/sql"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	_ "modernc.org/sqlite" // spreads the demo's minute over an hour

	"stockroom/internal/fakeshopify"
)

// TestScreenshots writes the README's pictures into the folder that
// STOCKROOM_SCREENSHOTS names: make screenshots.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("STOCKROOM_SCREENSHOTS")
	if folder == "" {
		t.Skip("STOCKROOM_SCREENSHOTS names no folder for the pictures")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	a := newApp(t, appOptions{Products: 60, Demo: true})
	a.synced()
	for range 160 {
		a.shop.RandomEdit()
		a.deliver()
	}
	favourite := a.shop.IDs()[0]
	for _, product := range a.shop.Snapshot() {
		if product.Status == fakeshopify.StatusActive && len(product.Variants) >= 4 && len(product.Images) > 0 {
			favourite = product.ID
			break
		}
	}
	for i, edit := range []func(*fakeProduct){
		func(p *fakeProduct) { p.Tags = append(p.Tags, "new season") },
		func(p *fakeProduct) { p.Variants[0].SKU = new("SHELF-0042") },
		func(p *fakeProduct) { p.Vendor = "Harbour & Daughters" },
	} {
		if _, ok := a.shop.UpdateProduct(favourite, edit); !ok {
			t.Fatal("edit", i)
		}
		a.deliver()
	}
	a.stop()
	spread(t, filepath.Join(a.settings.DataDir, "products.db"))
	a.start()
	a.synced()
	if code := a.api(http.MethodPost, "/api/v1/shops/"+a.shop.Domain()+"/sync", `{"kind":"reconcile"}`, nil); code >= 300 {
		t.Fatalf("start a comparison: status %d", code)
	}
	await(t, "the comparison ends", func() bool { r := a.runs(); return r[0].Kind == "reconcile" && r[0].State == "done" })

	p := a.visit(t)
	p.rough = true
	p.pictures(folder, "overview", "/")
	p.pictures(folder, "product", fmt.Sprintf("/products/%s/%d", a.shop.Domain(), favourite))
	a.trouble()
	p.open("/")
	p.shows("be asked: Shopify has a fault")
	p.pictures(folder, "trouble", "/")
	p.pictures(folder, "jobs", "/jobs")
}

// pictures takes a page light, dark and on a phone.
func (p *tab) pictures(folder, name, path string) {
	p.t.Helper()
	for _, look := range []struct {
		name, theme   string
		width, height int64
	}{{"light", "light", 1100, 900}, {"dark", "dark", 1100, 900}, {"phone", "light", 400, 860}} {
		p.theme(look.theme)
		p.size(look.width, look.height)
		p.open(path)
		p.until(isLive)
		shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			p.t.Fatal(err)
		}
		file := filepath.Join(folder, name+"-"+look.name+".png")
		small, err := shrink(shot)
		if err != nil {
			p.t.Fatalf("%s: %v", file, err)
		}
		if len(small) > 150<<10 {
			p.t.Errorf("%s has %d bytes", file, len(small))
		}
		if err := os.WriteFile(file, small, 0o644); err != nil {
			p.t.Fatal(err)
		}
		p.t.Logf("%s: %d bytes", file, len(small))
	}
}

// shrink writes a picture with the 256 colours that it has most of.
func shrink(shot []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	bounds := img.Bounds()
	counts := map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)]++
		}
	}
	list := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(uint32(a.R)<<16|uint32(a.G)<<8|uint32(a.B), uint32(b.R)<<16|uint32(b.G)<<8|uint32(b.B)))
	})
	palette := make(color.Palette, 0, 256)
	for _, c := range list[:min(256, len(list))] {
		palette = append(palette, c)
	}
	index := make(map[color.RGBA]uint8, len(counts))
	for c := range counts {
		index[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			out.SetColorIndex(x, y, index[color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)])
		}
	}
	var b bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out)
	return b.Bytes(), err
}

// spread moves what the demo did within seconds apart, over the last hour, so
// that a picture shows what an hour of it looks like.
func spread(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var old []int64
	rows, err := db.Query(`SELECT received_at FROM deliveries ORDER BY received_at`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var at int64
		if err := rows.Scan(&at); err != nil {
			t.Fatal(err)
		}
		old = append(old, at)
	}
	if err := rows.Err(); err != nil || len(old) < 100 {
		t.Fatalf("%d deliveries, %v", len(old), err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	now := time.Now().UnixMilli()
	fresh := make([]int64, len(old))
	for i := range fresh {
		fresh[i] = now - 2000 - int64(random.Float64()*random.Float64()*58*60*1000)
	}
	slices.Sort(fresh)
	later := func(at int64) int64 {
		i, _ := slices.BinarySearch(old, at+1)
		return fresh[max(0, i-1)]
	}
	for _, column := range []struct{ table, name string }{{"deliveries", "received_at"}, {"changes", "at"}, {"products", "synced_at"}} {
		times, err := db.Query(fmt.Sprintf(`SELECT DISTINCT %s FROM %s`, column.name, column.table))
		if err != nil {
			t.Fatal(err)
		}
		var list []int64
		for times.Next() {
			var at int64
			if err := times.Scan(&at); err != nil {
				t.Fatal(err)
			}
			list = append(list, at)
		}
		if err := times.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(list) // upward, so that no new time is taken for an old one
		for _, at := range list {
			if _, err := db.Exec(fmt.Sprintf(`UPDATE %s SET %s = ? WHERE %s = ?`, column.table, column.name, column.name), later(at), at); err != nil {
				t.Fatal(err)
			}
		}
	}
}
